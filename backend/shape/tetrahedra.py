"""A tetrahedral grid over a cube, and marching tetrahedra on it.

Enters: signed distances at grid points, POSITIVE INSIDE. Leaves: triangles, counter-clockwise seen from outside.
The grid has N cells an axis over [-half_extent, half_extent]; only its half x >= 0 is ever stored, (N/2+1, N+1, N+1)
points, index [i, j, k] at (i h, -half_extent + j h, -half_extent + k h) with h = 2 half_extent / N. The grid of the
other half is its mirror image, so that the two halves meet on grid edges of the plane x = 0 and no tetrahedron
crosses it: every surface vertex either lies on the plane exactly or has a mirror twin.

Each cube is cut into six tetrahedra along its diagonal (0,0,0)-(1,1,1) (Kuhn's, or Freudenthal's, subdivision): the
same cut in each cube, and cuts of neighbours agree on their common face. The sixteen cases of a tetrahedron are the
textbook ones (Doi and Koide 1991); a value of exactly zero counts as outside.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from backend.types import FloatArray, IntArray

CORNERS: NDArray[np.int64] = np.array([[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(8)], dtype=np.int64)
"""(8, 3): offset of a cube's corner c along x, y, z (bit 0 is x)."""

EDGE_FRACTION_MARGIN = 1e-3
"""A vertex keeps this share of its grid edge away from both ends: no two vertices ever coincide."""


def _kuhn_tetrahedra() -> NDArray[np.int64]:
    """(6, 4) corner numbers of a cube's tetrahedra, each with a positive determinant."""
    rows = []
    for order in permutations(range(3)):
        corners = [0]
        for axis in order:
            corners.append(corners[-1] | 1 << axis)
        edges = CORNERS[corners[1:]] - CORNERS[corners[0]]
        if np.linalg.det(edges.astype(np.float64)) < 0:
            corners[2], corners[3] = corners[3], corners[2]
        rows.append(corners)
    return np.array(rows, dtype=np.int64)


TETRAHEDRA: NDArray[np.int64] = _kuhn_tetrahedra()

EDGES: NDArray[np.int64] = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]], dtype=np.int64)
"""(6, 2): a tetrahedron's edges, as pairs of its four corners."""

CASES: NDArray[np.int64] = np.array(
    [
        [-1, -1, -1, -1, -1, -1],  # nothing inside
        [0, 1, 2, -1, -1, -1],  # corner 0
        [0, 4, 3, -1, -1, -1],  # corner 1
        [1, 2, 4, 1, 4, 3],  # 0 and 1
        [1, 3, 5, -1, -1, -1],  # 2
        [2, 0, 3, 2, 3, 5],  # 0 and 2
        [0, 4, 5, 0, 5, 1],  # 1 and 2
        [2, 4, 5, -1, -1, -1],  # all but 3
        [2, 5, 4, -1, -1, -1],  # 3
        [0, 1, 5, 0, 5, 4],  # 0 and 3
        [3, 0, 2, 3, 2, 5],  # 1 and 3
        [1, 5, 3, -1, -1, -1],  # all but 2
        [1, 3, 4, 1, 4, 2],  # 2 and 3
        [0, 3, 4, -1, -1, -1],  # all but 1
        [0, 2, 1, -1, -1, -1],  # all but 0
        [-1, -1, -1, -1, -1, -1],  # all inside
    ],
    dtype=np.int64,
)
"""(16, 6): for each set of inside corners (bit c for corner c) the edges whose points make up to two triangles."""


def grid_spacing(cells: int, half_extent: float) -> float:
    """Length of a cell's side. cells: N, even and at least 2 (ValueError otherwise)."""
    if cells < 2 or cells % 2:
        raise ValueError(f"cells must be an even number of at least 2, not {cells}")
    return 2.0 * half_extent / cells


def grid_shape(cells: int) -> tuple[int, int, int]:
    """Points of the stored half grid along x, y, z."""
    return cells // 2 + 1, cells + 1, cells + 1


def grid_positions(index: NDArray[np.int64], cells: int, half_extent: float) -> FloatArray:
    """(n, 3) grid indices -> (n, 3) float32 positions; exactly 0 in x where i = 0, whatever the spacing."""
    spacing = grid_spacing(cells, half_extent)
    position = index.astype(np.float64) * spacing
    position[:, 1:] -= half_extent
    return position.astype(np.float32)


def mixed_cubes(values: FloatArray, cubes: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Those of the cubes, (m, 3) lowest-corner indices, or None for all, that the surface passes through."""
    some = every = values > 0
    for axis in range(3):
        low, high = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
        some, every = some[low] | some[high], every[low] & every[high]
    mixed = some & ~every  # a cube each, at its lowest corner
    return np.argwhere(mixed) if cubes is None else cubes[mixed[tuple(cubes.T)]]


def march(values: FloatArray, cubes: NDArray[np.int64] | None, half_extent: float) -> tuple[FloatArray, IntArray]:
    """Triangulate the zero set inside some cubes of the half grid.

    values: (N/2+1, N+1, N+1) float32, positive inside; cubes: (m, 3) lowest-corner indices, each once, or None for all.
    Returns vertices (v, 3) float32, sorted by grid edge, each shared by all its triangles, and faces (f, 3) int32.
    The result depends on the set of mixed cubes alone, not on their order.
    """
    shape = values.shape
    cells = shape[1] - 1
    cubes = mixed_cubes(values, cubes)
    cubes = cubes[np.lexsort(cubes.T[::-1])]
    stride = np.array([shape[1] * shape[2], shape[2], 1], dtype=np.int64)
    corner_ids = (cubes @ stride)[:, None] + CORNERS @ stride  # (m, 8)
    tets = corner_ids[:, TETRAHEDRA].reshape(-1, 4)  # (6m, 4)
    flat = values.reshape(-1)
    case = (flat[tets] > 0) @ np.array([1, 2, 4, 8])  # (6m,)
    crossed = (case > 0) & (case < 15)
    tets, case = tets[crossed], case[crossed]

    edge_numbers = CASES[case].reshape(-1, 3)  # (2t, 3)
    owners = np.repeat(np.arange(len(tets)), 2)
    used = edge_numbers[:, 0] >= 0
    edge_numbers, owners = edge_numbers[used], owners[used]
    ends = tets[owners[:, None, None], EDGES[edge_numbers]]  # (f, 3, 2)
    # Corner numbers grow along each Kuhn path but the orientation swap breaks that: sort to give an edge one name.
    ends = np.sort(ends, axis=-1).reshape(-1, 2)
    keys, faces = np.unique(ends[:, 0] * flat.size + ends[:, 1], return_inverse=True)
    low, high = keys // flat.size, keys % flat.size

    low_value, high_value = flat[low].astype(np.float64), flat[high].astype(np.float64)
    fraction = low_value / (low_value - high_value)
    fraction = np.clip(fraction, EDGE_FRACTION_MARGIN, 1.0 - EDGE_FRACTION_MARGIN)[:, None]
    low_point = grid_positions(np.stack(np.unravel_index(low, shape), 1), cells, half_extent)
    high_point = grid_positions(np.stack(np.unravel_index(high, shape), 1), cells, half_extent)
    vertices = low_point * (1.0 - fraction) + high_point * fraction
    return vertices.astype(np.float32), faces.reshape(-1, 3).astype(np.int32)
