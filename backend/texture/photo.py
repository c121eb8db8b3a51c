"""The photo as a stack of ever smaller pictures of the animal alone.

Enters: the photo at full resolution and its mask. Leaves: a pyramid of premultiplied colours in which a pixel counts for as
much as it lies safely inside the mask, so that no level at any scale holds background. Williams, "Pyramidal Parametrics", 1983.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from backend.types import ByteArray, FloatArray, Mask

LARGEST_SIDE = 2048
"""Pixels of the finest level's longer side: beyond that, a texel of a 1024 texture covers several photo pixels anyway."""
ERODED = 0.004
"""Width of the mask's rim that is never read, as a share of the mask's diagonal: hair there is mixed with background."""
RAMP = 0.008
"""Width over which the reading then rises to full weight, as a share of the diagonal."""
LEVELS = 6
STRIP = 64
"""Rows of the finest level made at once: a 48-megapixel photo is never held as floats."""


@dataclass(frozen=True)
class Pyramid:
    """levels: (1, 4, h, w) each, RGB times weight, and weight; left, top: the finest level's corner in photo pixels;
    reduction: photo pixels a pixel of the finest level."""

    levels: tuple[Tensor, ...]
    left: int
    top: int
    reduction: int

    def sample(self, places: FloatArray, footprint: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Colours of the animal at places of the photo.

        places: (n, 2) photo pixels (x, y), centres at +0.5; footprint: (n,) side in photo pixels of what a texel covers.
        Returns colours (n, 3) in [0, 1] and weights (n,) in [0, 1], 0 where there is no safe pixel.
        """
        at = torch.from_numpy((places - [self.left, self.top]).astype(np.float32) / self.reduction)
        level = np.log2(np.maximum(footprint / self.reduction, 1.0)).clip(0, len(self.levels) - 1).astype(np.float32)
        total = torch.zeros(len(at), 4)
        for k, picture in enumerate(self.levels):
            share = torch.from_numpy(np.maximum(1 - np.abs(level - k), 0))
            chosen = torch.nonzero(share > 0)[:, 0]
            if len(chosen) == 0:
                continue
            height, width = picture.shape[2:]
            grid = at[chosen] / 2**k * torch.tensor([2.0 / width, 2.0 / height]) - 1
            found = grid_sample(picture, grid[None, None], mode="bilinear", padding_mode="zeros", align_corners=False)[0, :, 0].T
            total[chosen] += found * share[chosen, None]
        values = total.numpy()
        return values[:, :3] / np.maximum(values[:, 3:], 1e-6), values[:, 3]


def build_pyramid(rgb: ByteArray, mask: Mask) -> Pyramid | None:
    """rgb (h, w, 3) uint8, mask (h, w) in [0, 1] -> the pyramid of the masked part, None if the mask is empty.

    Raises ValueError if sizes differ.
    """
    if rgb.shape[:2] != mask.shape:
        raise ValueError(f"photo {rgb.shape[:2]} and mask {mask.shape} differ in size")
    rows, columns = np.flatnonzero((mask > 0.5).any(1)), np.flatnonzero((mask > 0.5).any(0))
    if len(rows) == 0:
        return None
    top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    reduction = -(-max(bottom - top, right - left) // LARGEST_SIDE)
    height, width = -(-(bottom - top) // reduction), -(-(right - left) // reduction)
    color = np.empty((height, width, 3), np.float32)
    cover = np.empty((height, width), np.float32)
    for start in range(0, height, STRIP):
        stop = min(start + STRIP, height)
        area = slice(top + start * reduction, min(top + stop * reduction, bottom)), slice(left, right)
        soft = mask[area].astype(np.float32)[..., None]
        share = _reduce(soft, reduction, width)
        color[start:stop] = _reduce(rgb[area].astype(np.float32) * (soft / 255), reduction, width) / np.maximum(share, 1e-6)
        cover[start:stop] = share[..., 0]
    inside = np.pad(cover > 0.5, 1)
    # where the photo itself ends there is no rim: the animal goes on
    edges = ((top == 0, np.s_[0, :], np.s_[1, :]), (left == 0, np.s_[:, 0], np.s_[:, 1]),
             (bottom == len(rgb), np.s_[-1, :], np.s_[-2, :]), (right == rgb.shape[1], np.s_[:, -1], np.s_[:, -2]))  # fmt: skip
    for cut, outer, inner in edges:
        if cut:
            inside[outer] = inside[inner]
    depth = distance_transform_edt(inside)[1:-1, 1:-1] - 0.5
    diagonal = float(np.hypot(height, width))
    rim, ramp = max(1.0, ERODED * diagonal), max(1.0, RAMP * diagonal)
    weight = np.clip((depth - rim) / ramp, 0, 1)[..., None].astype(np.float32)
    level = torch.from_numpy(np.concatenate([color * weight, weight], -1)).permute(2, 0, 1)[None].contiguous()
    levels = [level]
    while len(levels) < LEVELS and min(levels[-1].shape[2:]) > 4:
        even = levels[-1].shape[2] % 2, levels[-1].shape[3] % 2
        levels.append(avg_pool2d(torch.nn.functional.pad(levels[-1], (0, even[1], 0, even[0])), 2))
    return Pyramid(tuple(levels), left, top, reduction)


def _reduce(values: np.ndarray[Any, Any], factor: int, width: int) -> FloatArray:
    """Box filter: (h, w, c) -> (ceil(h / factor), width, c), the last row and column of boxes padded with zeros."""
    height = -(-values.shape[0] // factor)
    padded = np.pad(values, ((0, height * factor - values.shape[0]), (0, width * factor - values.shape[1]), (0, 0)))
    return np.asarray(avg_pool2d(torch.from_numpy(padded).permute(2, 0, 1), factor).permute(1, 2, 0).numpy(), np.float32)
