"""Which point of the surface each texel shows, found by rasterising UV space; and sums of texels onto vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from backend.render.cpu import rasterize
from backend.types import FloatArray, IntArray, Mesh


@dataclass(frozen=True)
class Texels:
    """The n texels whose centres lie in a chart, in row order.

    size: texels a side; rows, columns: (n,) their places (row 0 at the top, v = 1); face: (n,) their triangles;
    corners: (n, 3) int32 its vertices; weights: (n, 3) barycentrics; area: (f,) each face's area in texels.
    """

    size: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    face: NDArray[np.int64]
    corners: IntArray
    weights: FloatArray
    area: FloatArray

    def at(self, values: FloatArray) -> FloatArray:
        """Vertex values (v, c) at each texel: (n, c)."""
        mixed = sum(self.weights[:, k, None] * values[self.corners[:, k]] for k in range(3))
        return np.asarray(mixed, np.float32)

    def image(self, values: FloatArray) -> FloatArray:
        """Texel values (n, c) as a picture (size, size, c), zeros elsewhere."""
        picture = np.zeros((self.size, self.size, values.shape[1]), np.float32)
        picture[self.rows, self.columns] = values
        return picture

    def to_vertices(self, values: FloatArray, weights: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
        """Weighted means of texel values (n, c), weights (n,) around each of `count` vertices: (count, c), and the mean weight (count,)."""
        index = self.corners.ravel()
        share = self.weights.astype(np.float64)
        heavy = (share * weights[:, None]).ravel()
        total = np.bincount(index, heavy, count)
        around = np.bincount(index, share.ravel(), count)
        sums = [np.bincount(index, heavy * np.repeat(values[:, c], 3), count) for c in range(values.shape[1])]
        means = np.stack(sums, -1) / np.maximum(total, 1e-12)[:, None]
        return means.astype(np.float32), (total / np.maximum(around, 1e-12)).astype(np.float32)


def find_texels(mesh: Mesh, size: int) -> Texels:
    """The texels of an unwrapped mesh. Raises ValueError if it has no UVs."""
    if mesh.uvs is None:
        raise ValueError("the mesh is not unwrapped")
    corners = torch.from_numpy(np.ascontiguousarray(mesh.uvs.reshape(1, -1, 2), np.float32))
    one = torch.ones_like(corners[..., :1])
    clip = torch.cat([corners[..., :1] * 2 - 1, 1 - corners[..., 1:] * 2, one * 0, one], -1)  # v = 1 is row 0
    split = torch.arange(3 * len(mesh.faces), dtype=torch.int32).reshape(-1, 3)
    rast = rasterize(clip, split, (size, size))[0].numpy()
    rows, columns = np.nonzero(rast[..., 3])
    drawn = rast[rows, columns]
    face = drawn[:, 3].astype(np.int64) - 1
    weights = np.stack([drawn[:, 0], drawn[:, 1], 1 - drawn[:, 0] - drawn[:, 1]], -1)
    a, b = mesh.uvs[:, 1] - mesh.uvs[:, 0], mesh.uvs[:, 2] - mesh.uvs[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) * (size * size / 2)
    return Texels(size, rows, columns, face, mesh.faces[face], weights.astype(np.float32), area.astype(np.float32))
