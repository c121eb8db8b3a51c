"""The renderer for a device: two modules with one signature.

Both offer rasterize(clip, faces, size), interpolate(attr, rast, faces), texture(tex, uv), antialias(color, rast, clip, faces)
with the shapes and conventions of `cpu.py`.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor


class Renderer(Protocol):
    """What `cpu.py` and `nvdiff.py` both are; see `cpu.py` for shapes and conventions."""

    def rasterize(self, clip: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor: ...

    def interpolate(self, attr: Tensor, rast: Tensor, faces: Tensor) -> Tensor: ...

    def texture(self, tex: Tensor, uv: Tensor) -> Tensor: ...

    def antialias(self, color: Tensor, rast: Tensor, clip: Tensor, faces: Tensor) -> Tensor: ...


def renderer_for(device: torch.device | str) -> Renderer:
    """`nvdiff` on CUDA devices, `cpu` on the CPU; ValueError for other devices, ImportError if nvdiffrast is missing on CUDA."""
    kind = torch.device(device).type
    if kind == "cpu":
        from backend.render import cpu

        return cast(Renderer, cpu)
    if kind == "cuda":
        import backend.render.nvdiff as nvdiff

        return cast(Renderer, nvdiff)
    raise ValueError(f"no renderer for device {kind!r}")
