"""From a coarse mask to the photo's own edges: the guided filter, solved on a small picture and applied to the full one.

Enters a coarse mask and its photo; leaves the mask at full resolution. In every window the mask is explained as a linear
function of the colours, m = a . I + b (He, Sun and Tang 2013, equation 19); a and b are smooth, so they may be found on a
small copy, enlarged, and applied to all the pixels ("fast guided filter", 2015). Work goes by strips: 48 megapixels
need little more than the result.
"""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from backend.types import ByteArray, FloatArray, Mask

STRIP_ROWS = 256
REGULARITY = 1e-4
"""Variance of colour below which a window counts as flat and keeps its mean."""


def shrink(plane: ByteArray | FloatArray, width: int, height: int) -> NDArray[np.generic]:
    """(h, w) or (h, w, 3) uint8, or (h, w) float32 -> (height, width, ...), each pixel the mean of those it covers.

    Never enlarges more than bilinearly.
    """
    picture = PIL.Image.fromarray(plane)
    block = max(1, min(plane.shape[1] // (2 * width), plane.shape[0] // (2 * height)))
    reduced = picture.reduce(block) if block > 1 else picture
    scale = plane.shape[1] / block, plane.shape[0] / block
    return np.asarray(reduced.resize((width, height), PIL.Image.Resampling.BILINEAR, box=(0, 0, *scale)))


def solve(guide: FloatArray, mask: Mask, radius: int) -> FloatArray:
    """The linear model of each window. guide: (h, w, 3) in [0, 1]; mask: (h, w); radius: pixels -> (h, w, 4) as (a, b)."""

    def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = uniform_filter(values.astype(np.float64), 2 * radius + 1, mode="nearest")
        return result

    colour = np.stack([mean(guide[..., i]) for i in range(3)], -1)  # (h, w, 3)
    level = mean(mask)
    cross = np.stack([mean(guide[..., i] * mask) for i in range(3)], -1) - colour * level[..., None]
    spread = np.empty((*mask.shape, 3, 3))
    for i in range(3):
        for j in range(i, 3):
            spread[..., i, j] = mean(guide[..., i] * guide[..., j]) - colour[..., i] * colour[..., j]
            spread[..., j, i] = spread[..., i, j]
    spread += REGULARITY * np.eye(3)
    slope = np.linalg.solve(spread, cross[..., None])[..., 0]  # (h, w, 3)
    offset = level - (slope * colour).sum(-1)
    return np.stack([*(mean(slope[..., i]) for i in range(3)), mean(offset)], -1).astype(np.float32)


def enlarge(plane: FloatArray, width: int, rows: tuple[int, int], height: int) -> FloatArray:
    """Rows [rows[0], rows[1]) of a (h, w) float32 plane enlarged to (height, width), bilinear."""
    scale = plane.shape[0] / height
    box = (0.0, rows[0] * scale, float(plane.shape[1]), min(rows[1] * scale, float(plane.shape[0])))
    picture = PIL.Image.fromarray(plane)
    return np.asarray(picture.resize((width, rows[1] - rows[0]), PIL.Image.Resampling.BILINEAR, box=box))


def apply(model: FloatArray, rgb: ByteArray, keep: FloatArray, contrast: float) -> Mask:
    """Evaluate the model on the whole photo.

    model: (h, w, 4) of `solve`; rgb: (H, W, 3) uint8; keep: (h, w), 1 where the mask may be, 0 elsewhere; contrast: slope
    about one half that undoes the filter's softness. -> (H, W) float32 in [0, 1].
    """
    height, width = rgb.shape[:2]
    result = np.zeros((height, width), np.float32)
    planes = [np.ascontiguousarray(model[..., i]) for i in range(4)]
    for top in range(0, height, STRIP_ROWS):
        rows = (top, min(top + STRIP_ROWS, height))
        room = enlarge(keep, width, rows, height)
        if not room.any():
            continue
        value = enlarge(planes[3], width, rows, height).copy()
        for channel in range(3):
            value += enlarge(planes[channel], width, rows, height) * (rgb[rows[0] : rows[1], :, channel] * np.float32(1 / 255))
        value = np.clip((value - 0.5) * np.float32(contrast) + 0.5, 0, 1)
        result[rows[0] : rows[1]] = value * np.clip(room, 0, 1)
    return result
