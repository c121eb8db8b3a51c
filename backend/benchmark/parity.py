"""The two renderers side by side: the same scene, values and gradients, largest differences.

Leaves a dict for a log. Scenes have triangles larger than pixels, where both antialias alike (see `render.nvdiff`), and a band
of pixels whose triangle differs by rounding at shared edges is counted and left out of the comparison of values.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from backend.benchmark.raster import bumpy_ball
from backend.render import Renderer, cpu, renderer_for
from backend.render.camera import projection, transform_points

SIZE = 256
AROUND, RINGS = 24, 12
DISTANCES = (2.6, 3.2, 4.0)


def compare_renderers(device: torch.device | str, other: Renderer | None = None) -> dict[str, Any]:
    """Draw one batch with `cpu` and with the device's renderer (or `other`).

    Returns same_ids (share of pixels), and largest absolute differences: barycentrics, depth (z/w), color (interpolated and
    antialiased), texture; and relative differences (of norms) of the gradients to clip, to attributes and to the texture.
    ImportError where nvdiffrast is missing.
    """
    ours = _draw(cpu, torch.device("cpu"))  # type: ignore[arg-type]
    theirs = _draw(other or renderer_for(device), torch.device(device))
    same = ours["rast"][..., 3] == theirs["rast"][..., 3]
    # a pixel blends with its neighbours: compare where they agree too
    calm = torch.nn.functional.avg_pool2d(same.float()[:, None], 3, 1, 1, count_include_pad=False)[:, 0] > 0.999

    def largest(name: str, where: Tensor, channels: slice = slice(None)) -> float:
        return float((ours[name] - theirs[name])[..., channels][where].abs().max())

    def relative(name: str) -> float:
        return float((ours[name] - theirs[name]).norm() / ours[name].norm())

    return {
        "device": str(device),
        "same_ids": float(same.float().mean()),
        "barycentrics": largest("rast", same, slice(0, 2)),
        "depth": largest("rast", same, slice(2, 3)),
        "color": largest("color", calm),
        "texture": largest("texture", same),
        "clip_gradient": relative("clip_gradient"),
        "attribute_gradient": relative("attribute_gradient"),
        "texture_gradient": relative("texture_gradient"),
    }


def _draw(renderer: Renderer, device: torch.device) -> dict[str, Tensor]:
    """Values and gradients of one batch, on the CPU."""
    vertices, faces = (torch.from_numpy(a).to(device) for a in bumpy_ball(AROUND, RINGS))
    matrix = projection(1.2 * SIZE, SIZE, SIZE, 0.1, 20.0).to(device)
    moved = torch.stack([vertices + vertices.new_tensor([0.05, -0.03, d]) for d in DISTANCES])
    clip = transform_points(moved, matrix).detach().requires_grad_(True)
    attributes = (vertices[None] * 0.4 + 0.5).detach().requires_grad_(True)
    picture = torch.rand(1, 32, 32, 3, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_(True)
    weight = torch.rand(len(DISTANCES), SIZE, SIZE, 3, generator=torch.Generator().manual_seed(1)).to(device)
    rast = renderer.rasterize(clip, faces, (SIZE, SIZE))
    values = renderer.interpolate(attributes, rast, faces)
    drawn = (rast[..., 3:] > 0).float()
    textured = renderer.texture(picture, values[..., :2].detach().contiguous()) * drawn
    color = renderer.antialias(values, rast, clip, faces)
    ((color + textured) * weight).sum().backward()
    gradients = {"clip_gradient": clip.grad, "attribute_gradient": attributes.grad, "texture_gradient": picture.grad}
    found = {"rast": rast, "color": color, "texture": textured} | {k: g for k, g in gradients.items() if g is not None}
    return {name: value.detach().cpu() for name, value in found.items()}
