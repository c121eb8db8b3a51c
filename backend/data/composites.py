"""Composites: a cut-out animal pasted over a photograph of a place, with the exact mask.

Enters a cut-out (colour and alpha), a scene and a random generator; leaves a picture of 768 x 512 with the share of each pixel that the
animal covers. The animal is resized, perhaps mirrored, and put somewhere into the frame; its light is drawn some way toward the place's,
the sharper of the two is blurred some way toward the other, its edge is as soft as a lens makes it, and both share one sensor's noise and
JPEG. None of that touches the mask: what is pasted is what is true.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy import ndimage

from backend.types import ByteArray, FloatArray

WIDTH, HEIGHT = 768, 512
SHARES = (0.25, 0.4, 0.55, 0.7, 0.9)
"""Sizes of animals: the box's side over the picture's, in the direction in which it fills more of it."""
ZOOM = (1.0, 1.5)
"""How much closer than necessary a scene is cropped."""
EDGE = (0.5, 1.0)
"""Pixels by which the alpha is blurred."""
LIGHT, GAIN = 0.3, (0.75, 1.35)
"""How far, in logarithms, the animal's mean colour goes toward that of the place around it, and within which factors."""
SOFTNESS, MOST_BLUR = 0.35, 1.6
"""Pixels of blur that each time of enlargement puts on the other part, and at most."""
NOISE, QUALITY = (0.5, 4.0), (75, 95)
RIM = 4
"""Pixels beyond its box to which an animal's colours are continued, for its soft edge."""
SOLID = 250
"""Alpha from which a cut-out's colour is the animal's own; nearer its edge it may be the old background's."""


@dataclass(frozen=True)
class Cutout:
    """name: of the animal's picture; rgb (h, w, 3), alpha (h, w) uint8."""

    name: str
    rgb: ByteArray
    alpha: ByteArray


@dataclass(frozen=True)
class Composite:
    """rgb (512, 768, 3) uint8; mask (512, 768) float32 in [0, 1], the pasted alpha."""

    rgb: ByteArray
    mask: FloatArray


def compose(cutout: Cutout, scene: ByteArray, share: float, rng: np.random.Generator) -> Composite:
    """Paste an animal into a scene (h, w, 3). share: see `SHARES`. Raises ValueError for a cut-out that is empty."""
    colour, alpha = _trim(cutout)
    if rng.random() < 0.5:
        colour, alpha = colour[:, ::-1], alpha[:, ::-1]
    scale = share * min(WIDTH / alpha.shape[1], HEIGHT / alpha.shape[0])
    size = max(8, round(alpha.shape[1] * scale)), max(8, round(alpha.shape[0] * scale))
    animal, cover = _resize(colour, size), np.clip(_resize(alpha, size), 0, 1)
    place, enlarged = crop_scene(scene, rng)
    left = round(rng.uniform(0, WIDTH - size[0]))
    top = round((HEIGHT - size[1]) * rng.beta(2.0, 1.2))  # animals stand low in a picture more often than high
    animal = _match_light(animal, cover, place[top : top + size[1], left : left + size[0]])
    animal = _blur(animal, SOFTNESS * (enlarged / scale - 1))
    place = _blur(place, SOFTNESS * (scale / enlarged - 1))
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[top : top + size[1], left : left + size[0]] = cover
    mask = np.asarray(ndimage.gaussian_filter(mask, rng.uniform(*EDGE)))
    front = place.copy()
    front[_around(top, size[1], HEIGHT), _around(left, size[0], WIDTH)] = _pad(animal, top, left)
    picture = front * mask[..., None] + place * (1 - mask[..., None])
    return Composite(_record(picture, rng), mask)


def crop_scene(scene: ByteArray, rng: np.random.Generator) -> tuple[FloatArray, float]:
    """A part of a scene, perhaps mirrored -> (512, 768, 3) in [0, 1], and how many times it was enlarged."""
    height, width = scene.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height) * rng.uniform(*ZOOM)
    part = WIDTH / scale, HEIGHT / scale
    left, top = rng.uniform(0, width - part[0]), rng.uniform(0, height - part[1])
    picture = PillowImage.fromarray(scene).resize(
        (WIDTH, HEIGHT), PillowImage.Resampling.BICUBIC, box=(left, top, min(left + part[0], width), min(top + part[1], height))
    )
    pixels = np.asarray(picture, np.float32) / np.float32(255)
    return np.ascontiguousarray(pixels[:, ::-1] if rng.random() < 0.5 else pixels), scale


def cut(rgb: ByteArray, alpha: ByteArray) -> tuple[ByteArray, ByteArray]:
    """Colour (h, w, 3) and alpha (h, w) of the box of a picture's animals, the colour their own up to and beyond their edge."""
    inside = alpha > 127
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    alpha, inside = alpha[box], inside[box]
    solid = alpha >= SOLID if (alpha >= SOLID).any() else inside
    nearest = ndimage.distance_transform_edt(~solid, return_distances=False, return_indices=True)
    return rgb[box][tuple(nearest)], alpha


def _trim(cutout: Cutout) -> tuple[FloatArray, FloatArray]:
    """`cut`, in [0, 1]."""
    if not (cutout.alpha > 127).any():
        raise ValueError(f"{cutout.name} holds no animal")
    colour, alpha = cut(cutout.rgb, cutout.alpha)
    return colour.astype(np.float32) / np.float32(255), (alpha / np.float32(255)).astype(np.float32)


def _resize(plane: FloatArray, size: tuple[int, int]) -> FloatArray:
    """(h, w) or (h, w, 3) float32 -> size (width, height), without ringing."""
    if plane.ndim == 3:
        return np.stack([_resize(np.ascontiguousarray(plane[..., i]), size) for i in range(3)], -1)
    picture = PillowImage.fromarray(np.ascontiguousarray(plane)).resize(size, PillowImage.Resampling.BICUBIC)
    return np.clip(np.asarray(picture, np.float32), 0, 1)


def _match_light(animal: FloatArray, cover: FloatArray, place: FloatArray) -> FloatArray:
    own = (animal * cover[..., None]).sum((0, 1)) / cover.sum()
    factor = np.clip(((place.mean((0, 1)) + 0.05) / (own + 0.05)) ** LIGHT, *GAIN)
    return np.clip(animal * factor.astype(np.float32), 0, 1)


def _blur(picture: FloatArray, sigma: float) -> FloatArray:
    sigma = min(sigma, MOST_BLUR)
    return np.asarray(ndimage.gaussian_filter(picture, (sigma, sigma, 0), mode="nearest")) if sigma > 0 else picture


def _around(start: int, length: int, end: int) -> slice:
    return slice(max(0, start - RIM), min(end, start + length + RIM))


def _pad(animal: FloatArray, top: int, left: int) -> FloatArray:
    """The animal's colours with a rim of the nearest ones, as far as the picture goes."""
    height, width = animal.shape[:2]
    rows = np.clip(np.arange(HEIGHT)[_around(top, height, HEIGHT)] - top, 0, height - 1)
    columns = np.clip(np.arange(WIDTH)[_around(left, width, WIDTH)] - left, 0, width - 1)
    return animal[rows[:, None], columns]


def _record(picture: NDArray[np.floating], rng: np.random.Generator) -> ByteArray:
    """Sensor noise and JPEG."""
    noisy = picture * 255 + rng.standard_normal(picture.shape, np.float32) * rng.uniform(*NOISE)
    buffer = io.BytesIO()
    PillowImage.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(*QUALITY)))
    return np.asarray(PillowImage.open(buffer).convert("RGB"))
