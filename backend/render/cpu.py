"""The CPU renderer: rasterize, interpolate, texture, antialias, with gradients. The reference for `nvdiff.py`.

After Laine et al., "Modular Primitives for High-Performance Differentiable Rendering", 2020 (nvdiffrast's conventions).
Conventions: torch float32 on the CPU; clip y points down, row 0 of every picture is its top row (ndc y = -1); pixel
centres at +0.5; triangles show both sides; triangle id + 1 in channel 3, 0 where nothing is drawn. Gradients go
to clip x, y, w (never to z/w or the id). Same input, same bits, whatever the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from backend.render import raster_kernels as kernels
from backend.render.threads import row_bands, run_parts


def rasterize(clip: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor:
    """Which triangle each pixel centre sees, and where in it.

    clip: (B, V, 4) float32 clip coordinates; faces: (F, 3) int32, shared by the batch; size: (h, w) pixels.
    Returns (B, h, w, 4): (u, v, z/w, id + 1), u and v the perspective-correct barycentrics of the triangle's vertices
    0 and 1. Vertices that are not finite take their triangles away; triangles are cut at the near (z/w = -1)
    and the far plane. Raises ValueError for wrong shapes and for faces that name no vertex.
    """
    if clip.ndim != 3 or clip.shape[-1] != 4:
        raise ValueError(f"clip must be (B, V, 4), not {tuple(clip.shape)}")
    _check_faces(faces, clip.shape[1])
    if size[0] < 1 or size[1] < 1:
        raise ValueError(f"no picture of size {size}")
    result: Tensor = _Rasterize.apply(clip, faces, size[0], size[1])  # type: ignore[no-untyped-call]
    return result


def interpolate(attr: Tensor, rast: Tensor, faces: Tensor) -> Tensor:
    """Vertex attributes at each pixel: (B, V, C) or (1, V, C), rast (B, h, w, 4) -> (B, h, w, C), 0 where empty.

    Differentiable in attr and, through (u, v), in rast.
    """
    if attr.ndim != 3 or attr.shape[0] not in (1, rast.shape[0]):
        raise ValueError(f"attr {tuple(attr.shape)} does not fit rast {tuple(rast.shape)}")
    _check_faces(faces, attr.shape[1])
    result: Tensor = _Interpolate.apply(attr, rast, faces)  # type: ignore[no-untyped-call]
    return result


def texture(tex: Tensor, uv: Tensor) -> Tensor:
    """Bilinear look-up, clamped at the border: tex (B or 1, H, W, C), uv (B, h, w, 2) -> (B, h, w, C).

    (u, v) = (0, 0) is the outer corner of tex[0, 0], texel centres lie at ((j + 0.5) / W, (i + 0.5) / H): v runs down
    the rows as stored. `Mesh.uvs` counts v from the bottom of `Texture.base_color`: pass 1 - v for those.
    """
    pictures = tex.permute(0, 3, 1, 2).expand(uv.shape[0], -1, -1, -1)  # (B, C, H, W)
    sampled = grid_sample(pictures, uv * 2.0 - 1.0, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.permute(0, 2, 3, 1)


def _check_faces(faces: Tensor, vertices: int) -> None:
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype != torch.int32:
        raise ValueError(f"faces must be (F, 3) int32, not {tuple(faces.shape)} {faces.dtype}")
    if faces.numel() and not (int(faces.min()) >= 0 and int(faces.max()) < vertices):
        raise ValueError(f"faces name vertices outside 0..{vertices - 1}")


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(tensor.detach().numpy(), np.float32)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, clip: Tensor, faces: Tensor, height: int, width: int) -> Tensor:
        positions, triangles = _array(clip), np.ascontiguousarray(faces.numpy())
        rast = np.empty((clip.shape[0], height, width, 4), np.float32)
        run_parts(
            [
                lambda b=b, y0=y0, y1=y1: kernels.rasterize_rows(positions[b], triangles, y0, y1, rast[b])
                for b, y0, y1 in row_bands(clip.shape[0], height)
            ]
        )
        result = torch.from_numpy(rast)
        ctx.save_for_backward(clip, faces, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        clip, faces, rast = ctx.saved_tensors
        positions, triangles = _array(clip), np.ascontiguousarray(faces.numpy())
        drawn, incoming = rast.numpy(), _array(grad)
        out = np.empty(positions.shape, np.float32)
        run_parts(
            [
                lambda b=b: kernels.rasterize_gradient(positions[b], triangles, drawn[b], incoming[b], out[b])
                for b in range(len(positions))
            ]
        )
        return torch.from_numpy(out), None, None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, attr: Tensor, rast: Tensor, faces: Tensor) -> Tensor:
        values, drawn, triangles = _array(attr), _array(rast), np.ascontiguousarray(faces.numpy())
        shared = len(values) == 1
        out = np.empty((*drawn.shape[:3], values.shape[2]), np.float32)
        run_parts(
            [
                lambda b=b, y0=y0, y1=y1: kernels.interpolate_rows(values[0 if shared else b], drawn[b], triangles, y0, y1, out[b])
                for b, y0, y1 in row_bands(len(drawn), drawn.shape[1])
            ]
        )
        ctx.save_for_backward(attr, rast, faces)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        attr, rast, faces = ctx.saved_tensors
        values, drawn, triangles, incoming = _array(attr), _array(rast), np.ascontiguousarray(faces.numpy()), _array(grad)
        shared, wanted = len(values) == 1, ctx.needs_input_grad[0]
        # float64 sums a picture, added in the batch's order: one result for any number of threads
        grad_attr = np.zeros((len(drawn), *values.shape[1:]) if wanted else (len(drawn), 1, 1), np.float64)
        grad_rast = np.empty(drawn.shape, np.float32)
        run_parts(
            [
                lambda b=b: kernels.interpolate_gradient(
                    values[0 if shared else b], drawn[b], triangles, incoming[b], wanted, grad_attr[b], grad_rast[b]
                )
                for b in range(len(drawn))
            ]
        )
        summed = None
        if wanted:
            summed = torch.from_numpy((grad_attr.sum(0, keepdims=True) if shared else grad_attr).astype(np.float32))
        return summed, torch.from_numpy(grad_rast) if ctx.needs_input_grad[1] else None, None
