"""Looks at a part of a frame: a box of the small copy that work goes on in, what the networks see there of the full frame.

The copy is at most `SIDE` pixels long. A `Boxed` is in the copy's pixels; answers come in them too.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit

from backend.observe import flow
from backend.observe.animal.look import look_for_animal
from backend.observe.mask import Boxed, join_looks
from backend.observe.refine import shrink
from backend.observe.u2net import SIZE, U2Netp, load_u2netp
from backend.types import ByteArray, FloatArray, Mask

SIDE = 640
"""Longer side of the copy."""
MARGIN = 0.25
"""Room around what is looked at, as a share of its longer side."""
ROOM = 8
"""Pixels of room beside that."""
RIM = 3
"""Pixels about an animal that belong to nothing else."""

Bools = NDArray[np.bool_]


def copy_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the copy."""
    scale = min(1.0, SIDE / max(width, height))
    return max(flow.SMALLEST_SIDE, round(width * scale)), max(flow.SMALLEST_SIDE, round(height * scale))


def make_copy(rgb: ByteArray) -> tuple[ByteArray, ByteArray]:
    """A frame (H, W, 3) -> the copy (h, w, 3) and its grey (h, w)."""
    small = np.asarray(shrink(rgb, *copy_size(rgb.shape[1], rgb.shape[0])), np.uint8)
    return small, np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def extent(inside: Bools) -> tuple[int, int]:
    """Width and height of the box of what is true; 0, 0 where nothing is."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return (int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)) if len(rows) else (0, 0)


def box_of(inside: Bools, margin: float = MARGIN, room: int = ROOM, whole: tuple[float, float] = (0.0, 0.0)) -> Boxed:
    """left, top, right, bottom of what is true, with room. whole: width and height of the whole animal: its rest may be on any side."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    width, height = extent(inside)
    across, along = (int(margin * max(width, height) + max(0.0, full - seen)) + room for full, seen in zip(whole, (width, height)))
    bottom, right = inside.shape
    return (
        max(0, int(columns[0]) - across), max(0, int(rows[0]) - along),
        min(right, int(columns[-1]) + 1 + across), min(bottom, int(rows[-1]) + 1 + along),
    )  # fmt: skip


def part_of(box: Boxed) -> tuple[slice, slice]:
    """Rows and columns of a box."""
    return slice(box[1], box[3]), slice(box[0], box[2])


def around(inside: Bools) -> Bools:
    """The box of what is true, with room, less what is true."""
    result = np.zeros_like(inside)
    result[part_of(box_of(inside))] = True
    return result & ~inside


def odds_of(share: FloatArray, most: float) -> FloatArray:
    """The logarithm of the odds, no further than those of `most`."""
    return np.asarray(logit(np.clip(share, 1 - most, most)), np.float32)


@functools.lru_cache(maxsize=1)
def _network() -> U2Netp:
    return load_u2netp().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def glance(rgb: ByteArray) -> Mask:
    """`mask.look_for_subject` in three quarters of the time: channels last in memory, as the picture is. Its bits differ."""
    square = torch.from_numpy(np.array(shrink(rgb, SIZE, SIZE)))[None].float() / 255  # (1, 320, 320, 3)
    with torch.inference_mode():
        answer: Mask = _network()(square.permute(0, 3, 1, 2))[0].numpy()
    return answer


def look(rgb: ByteArray, box: Boxed, shape: tuple[int, ...], known: bool) -> tuple[Mask, Mask]:
    """What both networks see in a box, and what the animal decoder sees.

    rgb: (H, W, 3); shape: (h, w) of the copy; known: whether the decoder knows this kind of animal: else the other one is asked alone.
    """
    return _ask(_cut(rgb, box, shape), box, known)


def look_beside(rgb: ByteArray, small: ByteArray, box: Boxed, animal: Bools, known: bool) -> Mask:
    """What else both networks see in a box once the animal, (h, w) of the box, is painted over: beside most of it, a head that comes out
    from behind a post is overlooked. small: (h, w, 3), the copy."""
    covered = cv2.dilate(animal.astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)) > 0
    ground = small[part_of(box)][~covered]
    if not len(ground):
        return np.zeros(animal.shape, np.float32)
    crop = _cut(rgb, box, small.shape)
    large = cv2.resize(covered.astype(np.uint8), (crop.shape[1], crop.shape[0]), interpolation=cv2.INTER_NEAREST) > 0
    crop[large] = np.median(ground, 0).astype(np.uint8)
    return _ask(crop, box, known)[0]


def _ask(crop: ByteArray, box: Boxed, known: bool) -> tuple[Mask, Mask]:
    subject = glance(crop)
    if not known:
        return _fit(subject, box), _fit(subject, box)
    animal = look_for_animal(crop)
    return _fit(join_looks(animal, subject), box), _fit(animal, box)


def _cut(rgb: ByteArray, box: Boxed, shape: tuple[int, ...]) -> ByteArray:
    """The part of the frame that a box stands for."""
    scale = np.array([rgb.shape[1] / shape[1], rgb.shape[0] / shape[0]])
    (left, top), (right, bottom) = (np.array(box[:2]) * scale).astype(int), np.ceil(np.array(box[2:]) * scale).astype(int)
    return np.array(rgb[top:bottom, left:right])


def _fit(answer: Mask, box: Boxed) -> Mask:
    return np.asarray(shrink(np.ascontiguousarray(answer), box[2] - box[0], box[3] - box[1]), np.float32)
