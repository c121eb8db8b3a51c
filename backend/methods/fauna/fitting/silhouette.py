"""A posed mesh as a silhouette, and how it differs from the mask.

Enters camera points and triangles. `picture` renders coverage, differentiable at its outline (Laine et al. 2020 antialiasing);
`MaskTarget` adds what reaches further than a pixel: the mask's distance transform pulls stray vertices in, covered pixels pull the
nearest vertices out, of the limb that stood nearest. Image positions in [-1, 1], y down; camera frame OpenCV.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from backend.render.cpu import antialias, rasterize
from backend.rig.template import Template

RENDER_SIZE = 160
"""Pixels a side of the silhouettes that a fit compares."""
UNDECIDED = 0.05
"""Half widths by which another limb may have stood farther from a pixel and still be pulled by it."""
FAR = 10.0
"""Half widths."""


def clip_of(camera: Tensor, focal: float | Tensor) -> Tensor:
    """Camera points (V, 3), OpenCV -> clip coordinates (1, V, 4), y down as the renderer's rows; near plane at 0.1."""
    z = camera[:, 2]
    return torch.stack([focal * camera[:, 0], focal * camera[:, 1], (z - 0.2) * 1.001, z], -1)[None].contiguous()


def picture(camera: Tensor, faces: Tensor, focal: float | Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Of a mesh in the camera's frame: what each pixel shows (1, size, size, 4), and coverage (size, size), differentiable at its
    outline."""
    clip = clip_of(camera, focal)
    rast = rasterize(clip, faces, (size, size))
    covered = (rast[..., 3:] > 0).to(camera.dtype)
    return rast, antialias(covered, rast, clip, faces)[0, ..., 0]


def overlap(coverage: Tensor, mask: Tensor) -> Tensor:
    """Intersection over union of two pictures (s, s) of shares."""
    both = coverage * mask
    return both.sum() / (coverage + mask - both).sum().clamp_min(1)


def moments(mask: Tensor) -> tuple[Tensor, Tensor]:
    """(s, s) bool -> mean and standard deviation of the covered pixels, (2,) each, in [-1, 1]: thin tails hardly move them."""
    places = (torch.nonzero(mask).flip(1) + 0.5) / mask.shape[0] * 2 - 1  # (n, 2) x, y
    return places.mean(0), places.std(0)


def limb_distance(pixels: Tensor, points: Tensor, template: Template, group: str) -> Tensor:
    """(n, 2) pixels, (P, 2) the template's points -> distance (n,) to the nearest bone of a group; far for one without bones."""
    bones = [i for i, bone in enumerate(template.bones) if bone.group == group and bone.tail is not None]
    if not bones:
        return torch.full((len(pixels),), FAR)
    heads, tails = points[template.head_points[bones]], points[template.tail_points[bones]]
    along, offset = tails - heads, pixels[:, None] - heads  # (b, 2), (n, b, 2)
    share = ((offset * along).sum(-1) / along.square().sum(-1).clamp_min(1e-8)).clamp(0, 1)
    return (offset - share[..., None] * along).norm(dim=-1).amin(1)


class MaskTarget:
    """The mask and what reaches further than its outline.

    bones: (V,) the bone that each vertex follows most; start: (P, 2) where the template's points stand as the fit begins. What isn't
    covered yet pulls at the limb that stood nearest: a hind foot that reaches for the front foot's place leaves a deep hollow, out of
    which no gradient leads.
    """

    def __init__(self, mask: Tensor, seed: int, template: Template, bones: Tensor, start: Tensor) -> None:
        self.mask = mask
        inside = mask.numpy() > 0.5
        size = mask.shape[0]
        outside_distance = distance_transform_edt(~inside) * (2.0 / size)
        self.outside = torch.from_numpy(outside_distance.astype(np.float32))[None, None]
        rows, columns = np.nonzero(inside)
        keep = np.random.default_rng(seed).permutation(len(rows))[:500]
        xy = (np.stack([columns[keep], rows[keep]], 1) + 0.5) / size * 2 - 1
        self.pixels = torch.from_numpy(xy.astype(np.float32))  # (n, 2)
        groups = list(template.groups)
        self.limb = torch.tensor([groups.index(bone.group) for bone in template.bones])[bones]  # (V,)
        gap = torch.stack([limb_distance(self.pixels, start, template, group) for group in groups], 1)
        self.farther = (gap - gap.amin(1, keepdim=True) - UNDECIDED).clamp_min(0)  # (n, g)

    def energy(self, image: Tensor, coverage: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Projected vertices (V, 2) and coverage (s, s) -> (overlap missed, stray vertices, uncovered pixels)."""
        at = functional.grid_sample(self.outside, image[None, None].clamp(-1.5, 1.5), padding_mode="border", align_corners=False)
        with torch.no_grad():
            size = coverage.shape[0]
            index = ((self.pixels + 1) / 2 * size).long().clamp(0, size - 1)
            bare = coverage[index[:, 1], index[:, 0]] < 0.5
            pixels = self.pixels[bare]
            away = torch.cdist(pixels, image) + self.farther[bare][:, self.limb]
            nearest = away.argmin(-1) if len(pixels) else torch.zeros(0, dtype=torch.long)
        uncovered = (image[nearest] - pixels).square().sum() / len(self.pixels)
        return 1 - overlap(coverage, self.mask), at.square().mean(), uncovered


def preview(coverage: Tensor, mask: Tensor) -> np.ndarray:
    """(s, s, 3) uint8: what both cover in grey, the mask alone in blue, the creature alone in orange."""
    c, m = coverage.detach().numpy()[..., None], mask.numpy()[..., None]
    both, alone, bare = np.array([200, 200, 200]), np.array([240, 140, 60]), np.array([70, 120, 220])
    picture = 30 + (both - 30) * c * m + (alone - 30) * c * (1 - m) + (bare - 30) * (1 - c) * m
    return np.clip(picture, 0, 255).astype(np.uint8)
