"""The CUDA renderer: `cpu.py`'s signature over nvdiffrast (Laine et al. 2020), which is imported at the first call only.

nvdiffrast stores the row of ndc y = -1 first, as OpenGL does. Our clip y points down, so that row is the picture's top
row: nothing is flipped. (u, v) are the barycentrics of vertices 0 and 1 and the id is counted from 1 in both backends.
Two differences from `cpu.py` remain: its sums are atomic, so gradients repeat only up to rounding, and its antialiasing
looks no further than the near pixel's own triangle (see `antialias_kernels`); both agree where triangles are larger
than pixels.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def _library() -> Any:
    """nvdiffrast's torch module; ImportError where the CUDA environment lacks it."""
    return importlib.import_module("nvdiffrast.torch")


@cache
def _context(device: torch.device) -> Any:
    """One rasteriser context a device: it owns the buffers of the largest picture so far."""
    return _library().RasterizeCudaContext(device=device)


def rasterize(clip: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor:
    """clip (B, V, 4), faces (F, 3) int32, both on one CUDA device -> (B, h, w, 4); see `cpu.rasterize`."""
    if len(faces) == 0:  # nvdiffrast refuses an empty mesh
        return clip.new_zeros((clip.shape[0], *size, 4))
    rast, _ = _library().rasterize(_context(clip.device), clip.contiguous(), faces.contiguous(), resolution=list(size), grad_db=False)
    result: Tensor = rast
    return result


def interpolate(attr: Tensor, rast: Tensor, faces: Tensor) -> Tensor:
    """attr (B or 1, V, C), rast (B, h, w, 4) -> (B, h, w, C); see `cpu.interpolate`."""
    if len(faces) == 0:
        return attr.new_zeros((*rast.shape[:3], attr.shape[2]))
    values, _ = _library().interpolate(attr.contiguous(), rast.contiguous(), faces.contiguous())
    result: Tensor = values
    return result


def texture(tex: Tensor, uv: Tensor) -> Tensor:
    """tex (B or 1, H, W, C), uv (B, h, w, 2), v down the stored rows -> (B, h, w, C); see `cpu.texture`."""
    result: Tensor = _library().texture(tex.contiguous(), uv.contiguous(), filter_mode="linear", boundary_mode="clamp")
    return result


def antialias(color: Tensor, rast: Tensor, clip: Tensor, faces: Tensor) -> Tensor:
    """color (B, h, w, C) -> the same with silhouettes blended, gradient to clip; see `cpu.antialias`."""
    if len(faces) == 0:
        return color
    result: Tensor = _library().antialias(color.contiguous(), rast.contiguous(), clip.contiguous(), faces.contiguous())
    return result
