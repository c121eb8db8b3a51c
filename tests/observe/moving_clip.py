"""Made-up clips with truth: cut-outs of the sample photos that move over a ground of noise, the camera turning or still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from backend.types import ByteArray, Clip, Image

PHOTOS = Path(__file__).parents[1] / "photos"
WIDTH, HEIGHT, FPS = 400, 256, 12.0
GREEN = np.array([0.75, 1.0, 0.6], np.float32)


@dataclass(frozen=True)
class Part:
    """name: of a photo; places: (x, y) of its upper left corner in each frame, None where it isn't there; scale: of its pixels."""

    name: str
    places: Sequence[tuple[float, float] | None]
    scale: float = 1.0


@dataclass(frozen=True)
class Truth:
    """masks: (t, h, w) uint8 of the first part; background: (t, 3, 3)."""

    clip: Clip
    masks: ByteArray
    background: NDArray[np.float64]


def noise_ground(seed: int = 0, size: tuple[int, int] = (2 * WIDTH, 2 * HEIGHT)) -> NDArray[np.float32]:
    """(h, w, 3) in 0..255: noise of several sizes, like a meadow's."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0]), np.float32)
    for cells in (6, 14, 40, 110):
        small = rng.standard_normal((max(2, cells * size[1] // size[0]), cells)).astype(np.float32)
        total += cv2.resize(small, size, interpolation=cv2.INTER_CUBIC) * 9
    return np.clip(135 + total, 0, 255)[..., None] * GREEN


def turning(frames: int, step: float = 3.0) -> NDArray[np.float64]:
    """(t, 3, 3): the camera turns to the right by `step` pixels a frame, and rolls a little."""
    matrices = []
    for k in range(frames):
        angle = 0.004 * np.sin(k)
        c, s = np.cos(angle), np.sin(angle)
        matrices.append(np.array([[c, -s, -step * k], [s, c, 0.5 * np.sin(0.7 * k)], [-1e-6 * k, 0, 1.0]]))
    return np.stack([matrix @ np.linalg.inv(matrices[0]) for matrix in matrices])


def cutout(name: str, scale: float) -> NDArray[np.float32]:
    """(h, w, 4): colour times cover in 0..255, cover in 0..1."""
    with Picture.open(PHOTOS / f"{name}.png") as opened:
        picture = opened.convert("RGBA")
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    pixels = np.asarray(picture, np.float32)
    return np.concatenate([pixels[..., :3] * pixels[..., 3:] / 255, pixels[..., 3:] / 255], -1)


def make_clip(
    parts: Sequence[Part], background: NDArray[np.float64] | None = None, alpha: bool = False, textured: bool = True, name: str = "made up"
) -> Truth:
    """Parts lie over each other in their order, in the first frame's pixels: the camera's turn moves them as well."""
    frames = len(parts[0].places)
    background = np.tile(np.eye(3), (frames, 1, 1)) if background is None else background
    ground = noise_ground() if textured else np.full((2 * HEIGHT, 2 * WIDTH, 3), 150, np.float32)
    middle = np.array([[1, 0, -WIDTH / 2], [0, 1, -HEIGHT / 2], [0, 0, 1]])
    layers = [cutout(part.name, part.scale) for part in parts]
    rng = np.random.default_rng(1)
    pictures, masks = [], np.zeros((frames, HEIGHT, WIDTH), np.uint8)
    for k, view in enumerate(background):
        # The matrices are of pixels whose centres are at +0.5.
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        shift = np.linalg.inv(half) @ view @ half
        picture = cv2.warpPerspective(ground, shift @ middle, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        cover = np.zeros((HEIGHT, WIDTH), np.float32)
        for index, (part, layer) in enumerate(zip(parts, layers, strict=True)):
            place = part.places[k]
            if place is None:
                continue
            put = np.array([[1, 0, place[0]], [0, 1, place[1]], [0, 0, 1]], np.float64)
            seen = cv2.warpPerspective(layer, shift @ put, (WIDTH, HEIGHT))
            picture = seen[..., :3] + picture * (1 - seen[..., 3:])
            cover = seen[..., 3] if index == 0 else cover * (1 - seen[..., 3])
        masks[k] = np.rint(cover * 255)
        noisy = picture + rng.standard_normal(picture.shape, np.float32) * 2
        pictures.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    numbers = np.arange(frames, dtype=np.int32)

    def read(k: int) -> Image:
        return Image(pictures[k].copy(), masks[k].copy() if alpha else None)

    return Truth(Clip(WIDTH, HEIGHT, FPS, numbers / FPS, numbers, read, alpha, name), masks, background)


def overlap(found: NDArray[np.floating], true: ByteArray) -> float:
    inside, wanted = found > 0.5, true > 127
    return float((inside & wanted).sum() / max(1, (inside | wanted).sum()))
