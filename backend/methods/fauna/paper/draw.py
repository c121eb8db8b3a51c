"""Pictures of posed meshes: mask and the 16 components, with gradients, on the CPU renderer.

Vertices in the OpenGL camera frame (x right, y up, looking along -z); pictures have y down. Masks are antialiased, which is what
carries their gradients to the vertices; components are interpolated, with gradients through the barycentrics.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.render.cpu import antialias, interpolate, rasterize

NEAR, FAR = 0.1, 60.0


def to_clip(points: Tensor, focal: float) -> Tensor:
    """Camera points (B, V, 3) -> clip coordinates (B, V, 4), y down."""
    x, y, z = points.unbind(-1)
    depth = -z
    a, b = (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)
    return torch.stack([x * focal, -y * focal, a * depth + b, depth], -1)


def draw(points: Tensor, faces: Tensor, colours: Tensor | None, focal: float, side: int) -> tuple[Tensor, Tensor | None]:
    """Posed vertices (B, V, 3), faces (F, 3) -> masks (B, s, s) and, from vertex colours (1, V, C), pictures (B, s, s, C)."""
    clip = to_clip(points, focal)
    rast = rasterize(clip, faces, (side, side))
    cover = (rast[..., 3:] > 0).float()
    mask = antialias(cover, rast.detach(), clip, faces)[..., 0]
    return mask, None if colours is None else interpolate(colours, rast, faces)


@torch.no_grad()
def glance(points: Tensor, faces: Tensor, colours: Tensor | None, focal: float, side: int) -> tuple[Tensor, Tensor | None]:
    """As `draw`, without antialiasing and gradients: a third of its time."""
    rast = rasterize(to_clip(points, focal), faces, (side, side))
    return (rast[..., 3] > 0).float(), None if colours is None else interpolate(colours, rast, faces)
