"""Surface extraction: a signed distance function -> a closed, exactly mirrored triangle mesh.

Enters: a function of points (n, 3) in the object frame, POSITIVE INSIDE, taken to be symmetric in x: it is asked at
x >= 0 alone. Leaves: a `Surface`, the triangles together with the samples they came from (`cleanup` works on both).

Coarse to fine, after the interval argument of Lipschitz root finding (Hart 1996): a block of cells whose middle has
|sdf| greater than L times half the block's diagonal holds no zero, and all its grid points share the middle's
sign; every other block is cut in eight until blocks are single cells. What is skipped has no triangle in it, so the
triangles are those of the dense grid, however thin a leg or an ear is: the grid alone decides what is seen.

The bound L is the caller's promise: |sdf(a) - sdf(b)| <= L |a - b| over the box. A true distance has L = 1; a network
trained with an Eikonal term only comes near that, so pass what `estimate_lipschitz` finds, times a margin
(the cost grows in proportion to L). A bound that is too small can lose triangles far from all others, and
`extract` then closes what it saw: it never returns an open mesh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.shape.tetrahedra import CORNERS, grid_positions, grid_shape, grid_spacing, march
from backend.types import FloatArray, IntArray

HALF_EXTENT = 3.5
"""Half the side of the box in object units: 3D-Fauna's grid scale of 7."""

LARGEST_BLOCK = 16
"""Cells a side of the first blocks; larger ones are hardly ever ruled out by a body of the box's size."""

BATCH_POINTS = 4096
"""Points given to the function at once: a layer of 256 activations stays in a core's cache (a fifth faster than 32768)."""

SignedDistance = Callable[[Tensor], Tensor]
"""(n, 3) float32 points in the object frame -> (n,) signed distances, positive inside."""


@dataclass(frozen=True)
class Surface:
    """A mirrored mesh with the samples it was made from.

    vertices: (v, 3) float32 object frame, the half x >= 0 first; faces: (f, 3) int32, counter-clockwise seen from
    outside; mirror: (v,) int32, each vertex's twin (itself where x = 0);
    values: (N/2+1, N+1, N+1) float32 samples of the half grid (see `tetrahedra`), exact next to the surface,
    elsewhere of the right sign only; half_extent: of the box.
    """

    vertices: FloatArray
    faces: IntArray
    mirror: IntArray
    values: FloatArray
    half_extent: float

    @property
    def cells(self) -> int:
        """N, the cells an axis."""
        return self.values.shape[1] - 1

    @property
    def spacing(self) -> float:
        """The side of a cell in object units."""
        return grid_spacing(self.cells, self.half_extent)


def extract(sdf: SignedDistance, cells: int, lipschitz: float, half_extent: float = HALF_EXTENT) -> Surface:
    """The zero set of `sdf` on the grid of `cells` cells an axis, coarse to fine.

    sdf: see `SignedDistance`; cells: even, best a multiple of 32 (the first blocks are then the largest);
    lipschitz: L > 0 above. The result equals `extract_dense`'s. The mesh is empty where nothing is inside.
    Raises ValueError on a bad argument or where sdf gives a value that is not finite.
    """
    if not lipschitz > 0:
        raise ValueError(f"lipschitz must be positive, not {lipschitz}")
    spacing = grid_spacing(cells, half_extent)
    shape = grid_shape(cells)
    values = np.zeros(shape, dtype=np.float32)
    size = LARGEST_BLOCK
    while (cells // 2) % size:
        size //= 2
    blocks = _blocks_of(shape, size)
    while size > 1:
        middles = blocks + size // 2
        at_middle = _evaluate(sdf, grid_positions(middles, cells, half_extent))
        reach = lipschitz * spacing * size / 2 * np.sqrt(3.0)
        kept = np.abs(at_middle) <= reach
        _fill_blocks(values, blocks[~kept], size, at_middle[~kept])
        size //= 2
        blocks = (blocks[kept][:, None] + CORNERS * size).reshape(-1, 3)

    # Written last: a point shared by a kept and a skipped block must hold its own value.
    flags = np.zeros(shape, dtype=bool)
    for offset in CORNERS:
        i, j, k = (blocks + offset).T
        flags[i, j, k] = True
    points = np.argwhere(flags)
    values[flags] = _evaluate(sdf, grid_positions(points, cells, half_extent))
    if close_at_box(values):
        outer = _blocks_of(shape, 1)
        outer = outer[(outer[:, 0] == shape[0] - 2) | ((outer[:, 1:] == 0) | (outer[:, 1:] == cells - 1)).any(1)]
        blocks = np.unique(np.concatenate([blocks, outer]), axis=0)
    return assemble(values, blocks, half_extent)


def extract_dense(sdf: SignedDistance, cells: int, half_extent: float = HALF_EXTENT) -> Surface:
    """As `extract`, asking `sdf` at every point of the half grid: the reference for tests and small grids."""
    shape = grid_shape(cells)
    points = np.argwhere(np.ones(shape, dtype=bool))
    values = _evaluate(sdf, grid_positions(points, cells, half_extent)).reshape(shape)
    close_at_box(values)
    return assemble(values, None, half_extent)


def assemble(values: FloatArray, cubes: NDArray[np.int64] | None, half_extent: float) -> Surface:
    """March some cubes of a sampled half grid and add the mirror image.

    values: (N/2+1, N+1, N+1), negative on the box's own faces; cubes: (m, 3), all that the surface may pass, or None for all there are.
    """
    half_vertices, half_faces = march(values, cubes, half_extent)
    vertices, faces, mirror = mirror_weld(half_vertices, half_faces)
    return Surface(vertices, faces, mirror, values, half_extent)


def mirror_weld(half_vertices: FloatArray, half_faces: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Join a half mesh, x >= 0 with its rim at x = 0 exactly, to its mirror image.

    Returns vertices (the half's first, in order, then the twins of those off the plane), faces (f, 3) (the half's
    first, then theirs in the same order) and mirror (v,).
    """
    off_plane = half_vertices[:, 0] != 0
    count = len(half_vertices)
    twin = np.arange(count, dtype=np.int32)
    twin[off_plane] = count + np.arange(int(off_plane.sum()), dtype=np.int32)
    mirrored = half_vertices[off_plane] * np.array([-1, 1, 1], dtype=np.float32)
    vertices = np.concatenate([half_vertices, mirrored]).astype(np.float32)
    faces = np.concatenate([half_faces, twin[half_faces][:, [0, 2, 1]]]).astype(np.int32)
    mirror = np.concatenate([twin, np.flatnonzero(off_plane).astype(np.int32)]).astype(np.int32)
    return vertices, faces, mirror


def close_at_box(values: FloatArray) -> bool:
    """Sets samples on the box's faces (not on x = 0) that are inside to just outside, in place; True if there were any.

    A shape that reaches the box is cut there and closed, rather than left open.
    """
    found = False
    for face in (values[-1], values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1]):
        found |= bool((face > 0).any())
        face[face > 0] = -1e-6
    return found


def estimate_lipschitz(
    sdf: SignedDistance, samples: int = 4096, seed: int = 0, margin: float = 1.25, half_extent: float = HALF_EXTENT
) -> float:
    """A bound L for `extract`: the steepest of `samples` random slopes over the box, times `margin`; at least 1.

    Slopes are central differences along random directions and steps (a hundredth to a tenth of the box), so that sdf
    needs no gradient. An estimate, not a proof: for a fixed network compute it once, with many samples.
    """
    rng = np.random.default_rng(seed)
    middle = rng.uniform(-half_extent, half_extent, (samples, 3))
    middle[:, 0] = np.abs(middle[:, 0])
    direction = rng.normal(size=(samples, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    step = rng.uniform(0.01, 0.1, (samples, 1)) * half_extent
    ends = [np.clip(middle + sign * step * direction, -half_extent, half_extent) for sign in (-1, 1)]
    for end in ends:
        end[:, 0] = np.abs(end[:, 0])
    rise = np.abs(_evaluate(sdf, ends[1].astype(np.float32)) - _evaluate(sdf, ends[0].astype(np.float32)))
    run = np.maximum(np.linalg.norm(ends[1] - ends[0], axis=1), 1e-6)
    return float(max(1.0, margin * np.max(rise / run)))


def _blocks_of(shape: tuple[int, int, int], size: int) -> NDArray[np.int64]:
    """(m, 3) lowest corners of the blocks of `size` cells a side that fill the half grid."""
    axes = [np.arange(0, points - 1, size, dtype=np.int64) for points in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def _fill_blocks(values: FloatArray, blocks: NDArray[np.int64], size: int, fill: FloatArray) -> None:
    """Writes one value to all (size+1)^3 points of each block, in place."""
    offsets = np.stack(np.meshgrid(*[np.arange(size + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    i, j, k = (blocks[:, None] + offsets).reshape(-1, 3).T
    values[i, j, k] = np.repeat(fill, len(offsets))


def _evaluate(sdf: SignedDistance, points: FloatArray) -> FloatArray:
    """sdf at (n, 3) points in batches -> (n,) float32."""
    result = np.empty(len(points), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(points), BATCH_POINTS):
            batch = torch.from_numpy(np.ascontiguousarray(points[start : start + BATCH_POINTS]))
            result[start : start + BATCH_POINTS] = sdf(batch).reshape(-1).numpy()
    if not np.isfinite(result).all():
        raise ValueError("the signed distance function gave a value that is not finite")
    return result
