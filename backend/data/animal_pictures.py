"""Squares to learn masks from: animals cut out of renders or photographs over places without animals, with the exact cover.

Enter the folder that `data.prepare` wrote (its training split only), `Backgrounds`, and cut-outs of photographs; leave pictures
(side, side, 3) and covers (side, side). An animal takes from an eighth of the square to more than all of it, is squeezed as a wide or
tall picture is when it is made square, may stand behind grass, be partly outside, throw a shadow, or have another beside it; some
squares have none. Pieces of other photographs are pasted in the same way, so that being pasted does not make an animal. Some squares
are a part of a photograph of animals as it is.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter
from scipy import ndimage

from backend.data.backgrounds import SQUEEZE, Backgrounds, crop_photograph, draw_background
from backend.data.composites import cut
from backend.data.photographed import Photographed, crop
from backend.types import ByteArray, FloatArray

NONE, TWO = 0.08, 0.16
"""Shares of squares without an animal and with two."""
PHOTOGRAPHED, AS_IT_IS = 0.4, 0.15
"""Shares of pasted animals that are cut out of photographs, and of squares that are a part of one, where there are any."""
SMALL_SHARE = 0.5
SMALL, LARGE = (0.12, 0.6), (0.6, 1.0)
"""An animal's longer side over the square's: in a whole picture, and in what the second look sees."""
OUTSIDE, GRASS, SHADOW, PIECES, ENLARGED = 0.15, 0.15, 0.4, 0.35, 0.35
"""Shares of animals partly outside, behind grass, with a shadow; of squares with pasted pieces, and enlarged from fewer pixels."""
LIGHT = 0.35
"""How far, in logarithms, an animal's mean colour goes toward the place's, at most."""
NOISE, QUALITY, COMPRESSED = 5.0, (45, 96), 0.8


class Renders:
    """The training pictures that `data.prepare` wrote. Raises ValueError where there are none."""

    def __init__(self, folder: Path) -> None:
        truth = np.load(folder / "truth.npz")
        self.index = np.flatnonzero(truth["split"] == "train")
        if not len(self.index):
            raise ValueError(f"{folder} holds no picture to learn from")
        self._pictures = np.load(folder / "images_rgb.npy", mmap_mode="r")
        self._masks = np.load(folder / "images_mask.npy", mmap_mode="r")

    def cut(self, number: int) -> tuple[ByteArray, ByteArray]:
        """Colour (h, w, 3) and alpha (h, w) of one animal's box, the colour the animal's own up to and beyond its edge."""
        return cut(self._pictures[number], np.asarray(self._masks[number]))


def make_picture(
    renders: Renders, backgrounds: Backgrounds, side: int, rng: np.random.Generator, photographed: tuple[Photographed, ...] = ()
) -> tuple[ByteArray, ByteArray]:
    """One square -> its colours (side, side, 3) and the share of each pixel that an animal covers (side, side), both uint8."""
    untouched = [one for one in photographed if one.all]
    if untouched and rng.random() < AS_IT_IS:
        place, cover = crop(untouched[rng.integers(len(untouched))], _draw_share(rng), side, rng)
    else:
        place, cover = _compose(renders, backgrounds, side, rng, photographed)
    return _record(place, rng), np.rint(np.clip(cover, 0, 1) * 255).astype(np.uint8)


def _compose(
    renders: Renders, backgrounds: Backgrounds, side: int, rng: np.random.Generator, photographed: tuple[Photographed, ...]
) -> tuple[FloatArray, FloatArray]:
    """Colours (side, side, 3) of 0..255 and cover (side, side) of animals pasted before a place."""
    complete = [one for one in photographed if one.complete]
    place = draw_background(backgrounds, side, rng).astype(np.float32)
    cover = np.zeros((side, side), np.float32)
    if rng.random() < PIECES:
        for _ in range(rng.integers(1, 4)):
            place = _paste_piece(place, backgrounds, rng)
    drawn = rng.random()
    count = 0 if drawn < NONE else 2 if drawn < NONE + TWO else 1
    share = _draw_share(rng)
    for _ in range(count):
        if complete and rng.random() < PHOTOGRAPHED:
            colour, alpha = complete[rng.integers(len(complete))].cutout
        else:
            colour, alpha = renders.cut(int(rng.choice(renders.index)))
        place, cover = _paste_animal(place, cover, colour, alpha, share * rng.uniform(0.8, 1.0), rng)
        if rng.random() < GRASS:
            place, cover = _grow_grass(place, cover, backgrounds, rng)
    return place, cover


def _draw_share(rng: np.random.Generator) -> float:
    if rng.random() < SMALL_SHARE:
        return float(np.exp(rng.uniform(*np.log(SMALL))))
    return float(rng.uniform(*LARGE)) * (1.25 if rng.random() < 0.1 else 1.0)


def _paste_animal(
    place: FloatArray, cover: FloatArray, colour: ByteArray, alpha: ByteArray, share: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Over a place (side, side, 3) of 0..255 and its cover -> both with one animal more."""
    side = len(place)
    ratio = np.exp(rng.uniform(-SQUEEZE, SQUEEZE) / 2)
    shape = alpha.shape[1] * ratio, alpha.shape[0] / ratio
    scale = share * side / max(shape)
    size = max(6, round(shape[0] * scale)), max(6, round(shape[1] * scale))
    layers = PillowImage.fromarray(np.dstack([colour, alpha])).resize(size, PillowImage.Resampling.BICUBIC)
    if rng.random() < 0.5:
        layers = layers.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(layers, np.float32)
    outside = rng.random() < OUTSIDE
    left, top = (_draw_start(side, length, outside, rng) for length in size)
    if not outside and size[1] < side:
        top = round((side - size[1]) * rng.beta(1.6, 1.2))
    rows, columns, part = _overlap(side, size, left, top)
    body = _light(pixels[part][..., :3], pixels[part][..., 3], place[rows, columns], rng)
    if rng.random() < SHADOW:
        place = _cast_shadow(place, pixels[..., 3] / np.float32(255), left, top, rng)
    layer, behind = np.zeros_like(cover), place.copy()
    layer[rows, columns] = pixels[part][..., 3] / 255
    if not outside or rng.random() < 0.5:
        layer = np.asarray(ndimage.gaussian_filter(layer, rng.uniform(0.2, 0.8)))
    behind[rows, columns] = body
    return behind * layer[..., None] + place * (1 - layer[..., None]), np.maximum(cover, layer)


def _draw_start(side: int, length: int, outside: bool, rng: np.random.Generator) -> int:
    """Where an animal begins; one that is partly outside keeps three fifths of its length."""
    if outside or length >= side:
        room = 0.4 * length if outside else 0.1 * length
        return round(rng.uniform(min(-room, side - length), max(side - length + room, 0)))
    return int(rng.integers(0, side - length + 1))


def _overlap(side: int, size: tuple[int, int], left: int, top: int) -> tuple[slice, slice, tuple[slice, slice]]:
    """Rows and columns of the square, and the part of the animal's box that lies there."""
    rows = slice(max(0, top), min(side, top + size[1]))
    columns = slice(max(0, left), min(side, left + size[0]))
    return rows, columns, (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))


def _light(body: FloatArray, alpha: FloatArray, around: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The animal's colours (h, w, 3) in something like the place's light."""
    weight = alpha[..., None] / max(float(alpha.sum()), 1.0)
    own, other = (body * weight).sum((0, 1)), around.mean((0, 1))
    factor = ((other + 12) / (own + 12)) ** rng.uniform(0, LIGHT)
    grey = body.mean(-1, keepdims=True)
    body = grey + (body - grey) * rng.uniform(0.5, 1.15)
    body = (body - own.mean()) * rng.uniform(0.75, 1.35) + own.mean()
    return np.asarray(np.clip(body * np.clip(factor, 0.6, 1.6), 0, 255), np.float32)


def _cast_shadow(place: FloatArray, alpha: FloatArray, left: int, top: int, rng: np.random.Generator) -> FloatArray:
    """A flat dark copy of the outline, soft, about the feet; drawn before the animal."""
    side = len(place)
    size = alpha.shape[1], max(2, round(alpha.shape[0] * rng.uniform(0.06, 0.25)))
    flat = PillowImage.fromarray((alpha * 255).astype(np.uint8)).resize(size)
    start = top + alpha.shape[0] - round(size[1] * rng.uniform(0.4, 0.8))
    shade = PillowImage.new("L", (side, side))
    shade.paste(flat, (left + round(rng.normal(0, 0.1) * size[0]), start))
    dark = np.asarray(shade.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 4))), np.float32) / 255
    return np.asarray(place * (1 - rng.uniform(0.2, 0.65) * dark[..., None]), np.float32)


def _grow_grass(place: FloatArray, cover: FloatArray, backgrounds: Backgrounds, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Blades of a ground in front of what stands lowest."""
    side = len(cover)
    rows = np.flatnonzero((cover > 0.5).any(1))
    if not len(rows):
        return place, cover
    height = rng.uniform(0.05, 0.3) * (rows[-1] - rows[0] + 1)
    blades = ndimage.gaussian_filter1d(rng.random(side), rng.uniform(0.6, 3.0), mode="wrap")
    blades = (blades - blades.min()) / max(float(np.ptp(blades)), 1e-6)
    first = rows[-1] + 1 - height * blades ** rng.uniform(0.7, 2.0)
    front = np.clip(np.arange(side)[:, None] - first[None, :], 0, 1)[..., None].astype(np.float32)
    ground = backgrounds.grounds[rng.integers(len(backgrounds.grounds))].resize((side, side))
    if rng.random() < 0.5:  # the same ground as behind
        texture = np.roll(place, -int(side * rng.uniform(0.1, 0.4)), 1)
    else:
        texture = np.asarray(ground, np.float32)
    return place * (1 - front) + texture * front, cover * (1 - front[..., 0])


def _paste_piece(place: FloatArray, backgrounds: Backgrounds, rng: np.random.Generator) -> FloatArray:
    """A blob or box of another photograph: pasted, but no animal."""
    side = len(place)
    size = np.maximum(8, (side * rng.uniform(0.08, 0.5, 2)).astype(int))
    shape = np.zeros((size[1], size[0]), np.float32)
    if rng.random() < 0.6:
        waves = rng.normal(size=(4, 2)) / np.arange(1, 5)[:, None] * rng.uniform(0.05, 0.3)
        y, x = (np.mgrid[: size[1], : size[0]] + 0.5) / size[::-1, None, None] * 2 - 1
        angle = np.arctan2(y, x)
        radius = 0.75 + sum(a * np.cos((k + 1) * angle) + b * np.sin((k + 1) * angle) for k, (a, b) in enumerate(waves))
        shape[np.hypot(x, y) < radius] = 1
    else:
        shape[2:-2, 2:-2] = 1
    if rng.random() < 0.7:
        piece = np.asarray(crop_photograph(backgrounds, int(max(size)), rng), np.float32)[: size[1], : size[0]]
    else:
        ground = backgrounds.grounds[rng.integers(len(backgrounds.grounds))]
        piece = np.asarray(ground.resize((int(size[0]), int(size[1]))), np.float32) * rng.uniform(0.5, 1.3)
    left, top = (int(rng.integers(0, side - length)) for length in size)
    alpha = np.asarray(ndimage.gaussian_filter(shape, rng.uniform(0.3, 1.2)))[..., None]
    result = place.copy()
    part = result[top : top + size[1], left : left + size[0]]
    result[top : top + size[1], left : left + size[0]] = np.clip(piece, 0, 255) * alpha + part * (1 - alpha)
    return result


def _record(picture: FloatArray, rng: np.random.Generator) -> ByteArray:
    """Exposure, focus, few pixels enlarged, noise and JPEG."""
    picture = np.clip(picture * rng.uniform(0.8, 1.2, (1, 1, 1)) * rng.uniform(0.93, 1.07, (1, 1, 3)), 0, 255)
    picture = 255 * (picture / 255) ** np.exp(rng.uniform(-0.25, 0.25))
    noise: NDArray[np.float32] = rng.standard_normal(picture.shape, np.float32)
    image = PillowImage.fromarray(np.clip(picture + noise * rng.uniform(0, NOISE), 0, 255).astype(np.uint8))
    side = image.width
    few = round(side / rng.uniform(1, 2.2)) if rng.random() < ENLARGED else side
    if few < side:
        image = image.resize((few, few), PillowImage.Resampling.BILINEAR)
    if rng.random() < COMPRESSED:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(*QUALITY)))
        image = PillowImage.open(buffer).convert("RGB")
    return np.asarray(image.resize((side, side), PillowImage.Resampling.BICUBIC) if few < side else image)
