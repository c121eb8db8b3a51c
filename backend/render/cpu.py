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

from backend.render import antialias_kernels as edges
from backend.render import raster_kernels as kernels
from backend.render.threads import row_bands, run_parts
from backend.types import IntArray


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


def antialias(color: Tensor, rast: Tensor, clip: Tensor, faces: Tensor) -> Tensor:
    """Blend neighbouring pixels where a silhouette passes between their centres; what makes masks differentiable.

    color: (B, h, w, C); rast: as `rasterize(clip, faces, (h, w))` gave it; clip: (B, V, 4). Returns (B, h, w, C).
    Differentiable in color and in clip (through the place where the edge crosses), not in rast.
    """
    if color.ndim != 4 or color.shape[:3] != rast.shape[:3] or clip.shape[0] != color.shape[0]:
        raise ValueError(f"color {tuple(color.shape)}, rast {tuple(rast.shape)} and clip {tuple(clip.shape)} do not fit")
    _check_faces(faces, clip.shape[1])
    result: Tensor = _Antialias.apply(color, rast, clip, faces)  # type: ignore[no-untyped-call]
    return result


def prepare() -> None:
    """Compile every kernel into numba's cache (some seconds, once per installation), so that the first job does not."""
    clip = torch.tensor([[[-1.0, -1.0, 0.0, 1.0], [1.0, -1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]]], requires_grad=True)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    rast = rasterize(clip, faces, (8, 8))
    antialias(interpolate(clip, rast, faces), rast, clip, faces).sum().backward()


def _check_faces(faces: Tensor, vertices: int) -> None:
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype != torch.int32:
        raise ValueError(f"faces must be (F, 3) int32, not {tuple(faces.shape)} {faces.dtype}")
    if faces.numel() and not (int(faces.min()) >= 0 and int(faces.max()) < vertices):
        raise ValueError(f"faces name vertices outside 0..{vertices - 1}")


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(tensor.detach().numpy(), np.float32)


_neighbours: list[tuple[IntArray, IntArray]] = []
"""The last few meshes' faces and neighbours: a fit draws one topology hundreds of times."""


def _find_neighbours(faces: IntArray, vertices: int) -> IntArray:
    for known, table in list(_neighbours):
        if known.shape == faces.shape and np.array_equal(known, faces):
            return table
    table = edges.find_neighbours(faces, vertices)
    _neighbours[:] = [(faces.copy(), table), *_neighbours[:3]]
    return table


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, clip: Tensor, faces: Tensor, height: int, width: int) -> Tensor:
        positions, triangles = _array(clip), np.ascontiguousarray(faces.numpy())
        rast = np.empty((clip.shape[0], height, width, 4), np.float32)
        bands = row_bands(clip.shape[0], height, width)
        run_parts(kernels.rasterize_rows, [(positions[b], triangles, y0, y1, rast[b]) for b, y0, y1 in bands])
        result = torch.from_numpy(rast)
        ctx.save_for_backward(clip, faces, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        clip, faces, rast = ctx.saved_tensors
        positions, triangles = _array(clip), np.ascontiguousarray(faces.numpy())
        drawn, incoming = rast.numpy(), _array(grad)
        out = np.empty(positions.shape, np.float32)
        parts = [(positions[b], triangles, drawn[b], incoming[b], out[b]) for b in range(len(positions))]
        run_parts(kernels.rasterize_gradient, parts)
        return torch.from_numpy(out), None, None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, attr: Tensor, rast: Tensor, faces: Tensor) -> Tensor:
        values, drawn, triangles = _array(attr), _array(rast), np.ascontiguousarray(faces.numpy())
        shared = len(values) == 1
        out = np.empty((*drawn.shape[:3], values.shape[2]), np.float32)
        bands = row_bands(*drawn.shape[:3])
        run_parts(kernels.interpolate_rows, [(values[0 if shared else b], drawn[b], triangles, y0, y1, out[b]) for b, y0, y1 in bands])
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
        parts = [
            (values[0 if shared else b], drawn[b], triangles, incoming[b], wanted, grad_attr[b], grad_rast[b]) for b in range(len(drawn))
        ]
        run_parts(kernels.interpolate_gradient, parts)
        summed = None
        if wanted:
            summed = torch.from_numpy((grad_attr.sum(0, keepdims=True) if shared else grad_attr).astype(np.float32))
        return summed, torch.from_numpy(grad_rast) if ctx.needs_input_grad[1] else None, None


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, color: Tensor, rast: Tensor, clip: Tensor, faces: Tensor) -> Tensor:
        values, drawn, positions, triangles = _array(color), _array(rast), _array(clip), np.ascontiguousarray(faces.numpy())
        pictures, height, width, channels = values.shape
        neighbours = _find_neighbours(triangles, positions.shape[1])
        every = bool(ctx.needs_input_grad[0])
        pairs = np.empty((pictures, 4 * height * width, 4), np.int32)
        places = np.empty((pictures, 4 * height * width), np.float32)
        bands = row_bands(pictures, height, width)
        counts = [0] * len(bands)

        def find(part: int) -> None:
            b, y0, y1 = bands[part]
            start = 4 * y0 * width
            counts[part] = edges.find_crossings(
                positions[b], triangles, neighbours, drawn[b], values[b], every, y0, y1, pairs[b, start:], places[b, start:]
            )

        run_parts(find, [(part,) for part in range(len(bands))])
        found = []
        out = values.copy().reshape(pictures, height * width, channels)
        for b in range(pictures):
            ranges = [slice(4 * y0 * width, 4 * y0 * width + n) for (i, y0, _), n in zip(bands, counts, strict=True) if i == b]
            crossing = np.concatenate([pairs[b, r] for r in ranges]), np.concatenate([places[b, r] for r in ranges])
            edges.blend(*crossing, values[b].reshape(-1, channels), out[b])
            found.append(crossing)
        ctx.save_for_backward(color, clip)
        ctx.found = found
        return torch.from_numpy(out.reshape(values.shape))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        color, clip = ctx.saved_tensors
        values, positions, incoming = _array(color), _array(clip), _array(grad)
        pictures, height, width, channels = values.shape
        grad_color, grad_clip = incoming.copy().reshape(pictures, -1, channels), np.empty(positions.shape, np.float32)

        def part(b: int) -> None:
            flat = values[b].reshape(-1, channels), incoming[b].reshape(-1, channels)
            edges.blend_gradient(*ctx.found[b], flat[0], positions[b], height, width, flat[1], grad_color[b], grad_clip[b])

        run_parts(part, [(b,) for b in range(pictures)])
        return torch.from_numpy(grad_color.reshape(values.shape)), None, torch.from_numpy(grad_clip), None
