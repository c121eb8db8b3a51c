"""What the network sees in each frame of a clip, kept small, and on disk for another run.

Enters: frames and masks, one at a time. Leaves: `Looks`, arrays over the frames in which the animal is visible. Each frame has a crop of
its own, the clip's camera turned to the animal; positions and frames as in `fitting.evidence`. What was seen is stored as it comes, a file
for every few frames: a clip that was interrupted goes on where it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from backend.errors import MenagerieError
from backend.media.crop import LEVEL, crop_camera, default_focal
from backend.methods.fauna.clip.flow import flow_between, unknown
from backend.methods.fauna.clip.packed import Packed
from backend.methods.fauna.clip.stored import load_arrays, store_arrays
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fitting.limbs import JOINTS, find_limbs
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE
from backend.methods.fauna.fitting.viewpoint import FLIP
from backend.methods.fauna.glances import FRAME, composed, perceive
from backend.methods.fauna.networks import Networks
from backend.methods.request import ClipRequest
from backend.types import Image, Mask, Progress

CROP_FILL = 0.83
"""Share of the square crop that the animal's box fills, as for photos."""
CHUNK = 16
"""Frames in a stored file."""
CROP_FOV = math.radians(18.0)
"""Field of view of an animal's crop where the clip's is not known: what moves is filmed from farther away than what sits for a photo. Too
wide a lens turns an animal that passes, too long a one turns it the other way."""
WIDEST = math.radians(38.0)
"""Field of view along a clip's longer side, at most, where none is known: an animal that is small in the picture is far away rather than
filmed through a wide lens."""
SAMPLED = 24
"""Frames whose masks say which focal length a clip without one is given."""


@dataclass(frozen=True)
class Looks:
    """numbers (t,) int64 which frames of the clip; turn (t, 3, 3) clip's camera -> crop; focal (t,) of the crops, half widths;
    mask: (t, s, s) uint8; flow: (t, s, s, 2) int16, to the next frame (`clip.flow`); code (t, C), feature (t, F) and light (t, F) of
    the image; category and rest (t, P, 3), girth (t, n, 2) regressed;
    rotation (t, 4, 3, 3) object to crop and translation (t, 3), OpenCV, of the four hypotheses; logits (t, 4), the least is the best;
    seen (t, P, 2), confidence (t, P); lifted (t, P, 3) about its mean, crop's axes; limb_place (t, 2 pairs, 2, j, 2),
    limb_mass (t, 2, 2, j) and limb_odds (t, 2, j): both legs of each pair (`fitting.limbs`).
    """

    numbers: Tensor
    turn: Tensor
    focal: Tensor
    mask: Packed
    flow: Packed
    code: Tensor
    feature: Tensor
    light: Tensor
    category: Tensor
    rest: Tensor
    girth: Tensor
    rotation: Tensor
    translation: Tensor
    logits: Tensor
    seen: Tensor
    confidence: Tensor
    lifted: Tensor
    limb_place: Tensor
    limb_mass: Tensor
    limb_odds: Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, some: slice | Tensor | list[int]) -> Looks:
        return Looks(**{field.name: getattr(self, field.name)[some] for field in fields(self)})


PACKED = ("mask", "flow")
TENSORS = tuple(field.name for field in fields(Looks) if field.name not in PACKED)
Frame = tuple[Image, Mask]


def clip_focal(request: ClipRequest) -> float:
    """Pixels: one focal length for the clip, from the middle one of its animal's sizes (`media.crop.default_focal`), where no frame says;
    of a field of view of `WIDEST` at most.

    Raises `no_animal` for a clip in which nothing is visible.
    """
    some = np.flatnonzero(request.visible)
    if len(some) == 0:
        raise MenagerieError("no_animal", "The animal is in none of the clip's frames.")
    first = request.clip.read(int(some[0])).focal_px
    if first is not None:
        return first
    some = some[np.unique(np.linspace(0, len(some) - 1, min(SAMPLED, len(some))).astype(int))]
    masks = [request.mask(int(k)) for k in some]
    area = [float((mask > LEVEL).sum()) for mask in masks]
    guess = default_focal(request.clip.width, request.clip.height, masks[int(np.argsort(area)[len(area) // 2])], CROP_FILL, CROP_FOV)
    return max(guess, 0.5 * max(request.clip.width, request.clip.height) / math.tan(WIDEST / 2))


def look(networks: Networks, frame: Frame, after: Frame | None, number: int, focal: float) -> Looks:
    """One frame, as `Looks` of length 1. after: the next one, if there is one; focal: the clip's, pixels. Raises `no_animal` for an empty
    mask."""
    image, mask = frame
    height, width = mask.shape
    crop = crop_camera(mask, (width, height), focal, CROP_FILL)
    rgb, cover = composed(image, mask, crop, BUNDLED.image_size)
    with torch.no_grad():
        seen = perceive(networks.model, networks.encoder, rgb, cover, FRAME)
    limbs = [find_limbs(seen.heat, seen.seen, seen.confidence, networks.model.template, pair) for pair in JOINTS]
    half = 1 / math.tan(crop.fov / 2)
    translation = (FLIP @ seen.viewpoints.translation[0]) * torch.tensor([1.0, 1.0, half / networks.model.focal])
    small = functional.adaptive_avg_pool2d(cover[None], RENDER_SIZE)[0]
    found = {
        "numbers": torch.tensor(number),
        "turn": torch.from_numpy(crop.rotation.astype(np.float32)),
        "focal": torch.tensor(half),
        "code": seen.code[0], "feature": seen.feat_key[0], "light": seen.feat_out[0],
        "category": seen.category[0], "rest": seen.rest[0], "girth": seen.girth[0],
        "rotation": FLIP @ seen.viewpoints.rotation[0], "translation": translation, "logits": seen.viewpoints.logits[0],
        "seen": seen.seen[0], "confidence": seen.confidence[0], "lifted": seen.lifted[0] @ FLIP,
        "limb_place": torch.stack([pair.place[0] for pair in limbs]), "limb_mass": torch.stack([pair.mass[0] for pair in limbs]),
        "limb_odds": torch.stack([pair.odds[0] for pair in limbs]),
    }  # fmt: skip
    flow = unknown() if after is None else flow_between((rgb, cover), composed(*after, crop, BUNDLED.image_size))
    silhouette = Packed.of((small * 255).round().to(torch.uint8)[None])
    return Looks(mask=silhouette, flow=Packed.of(flow[None]), **{name: value[None] for name, value in found.items()})


def look_through(networks: Networks, request: ClipRequest, focal: float, progress: Progress, span: tuple[float, float]) -> Looks:
    """All visible frames, those of earlier runs from `request.folder`. Raises `Cancelled` through progress."""
    numbers = np.flatnonzero(request.visible)
    parts: list[Looks] = []

    @lru_cache(maxsize=2)  # one frame's next is the next one
    def frame(number: int) -> Frame:
        return request.clip.read(number), request.mask(number)

    for start in range(0, len(numbers), CHUNK):
        some = numbers[start : start + CHUNK]
        path = request.folder / f"looks-{some[0]:05d}.npz"
        stored = load(path, some, focal)
        if stored is None:
            made = []
            for done, k in enumerate(some):
                progress("see", span[0] + (span[1] - span[0]) * (start + done) / len(numbers))
                own = frame(int(k))
                after = frame(int(k) + 1) if k + 1 < len(request.visible) and request.visible[k + 1] else None
                made.append(look(networks, own, after, int(k), focal))
            stored = join(made)
            store(path, stored, focal)
        parts.append(stored)
    return join(parts)


def join(parts: list[Looks]) -> Looks:
    """One after another."""
    mask, flow = (Packed.join([getattr(part, name) for part in parts]) for name in PACKED)
    return Looks(mask=mask, flow=flow, **{name: torch.cat([getattr(part, name) for part in parts]) for name in TENSORS})


def store(path: Path, looks: Looks, focal: float) -> None:
    """Whole or not at all."""
    arrays = {name: getattr(looks, name).numpy() for name in TENSORS}
    packed = {name: getattr(looks, name).unpacked().numpy() for name in PACKED}
    store_arrays(path, {"focal_px": np.float64(focal), **packed, **arrays})


def load(path: Path, numbers: NDArray[np.int64], focal: float) -> Looks | None:
    """What `store` wrote for these frames with this focal length; None where it is something else, damaged or not there."""
    arrays = load_arrays(path, {"focal_px", *PACKED, *TENSORS})
    if arrays is None or not np.array_equal(arrays["focal_px"], np.float64(focal)) or not np.array_equal(arrays["numbers"], numbers):
        return None
    try:
        mask, flow = (Packed.of(torch.from_numpy(arrays[name])) for name in PACKED)
    except ValueError:
        return None
    return Looks(mask=mask, flow=flow, **{name: torch.from_numpy(arrays[name]) for name in TENSORS})
