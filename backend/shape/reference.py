"""The fine half surface that remeshing follows: nearest points on it, and how long edges should be near it.

Enters: a half mesh (x >= 0, rim on x = 0) as extracted, a cell's side or two per edge. Leaves: `Reference`, plain arrays
for numba kernels: its triangles sorted into the cells of a grid, smoothed normals, the rim's segments, and a
coarse grid of target edge lengths.

Target lengths follow curvature k as 1/sqrt(k), which bounds the distance between surface and mesh evenly (Dunyach
et al. 2013), never more than a radius, growing from place to place by `GRADATION` at most, and scaled so that
the area divided by that of equilateral triangles comes to the wanted count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from backend.types import FloatArray, IntArray

GRADATION = 0.35
"""How much target lengths may grow per unit of distance: a ratio of some 1.35 between neighbouring triangles."""

LENGTH_RANGE = 4.0
"""Longest over shortest target length, gradation aside."""

EDGE_PER_RADIUS = 0.9
"""Target length per radius of curvature at most: a round leg keeps seven edges about it."""

SHORTEST_CELLS = 0.45
"""Shortest target length in cells: the samples know no smaller detail."""

NORMAL_SMOOTHINGS = 3
"""Averages of normals over marched triangles, a cell wide or less, before their gradient is taken."""

_EARLIER: NDArray[np.int64] = np.array([[n // 9 - 1, n // 3 % 3 - 1, n % 3 - 1] for n in range(13)], dtype=np.int64)


class Reference(NamedTuple):
    """Arrays for kernels. corners: (f, 3, 3) triangles sorted by cell; normals: (f, 3) smoothed, unit;
    starts: cells' first triangles, (ci*cj*ck + 1,); dims: (3,) cells; origin: (3,) of cells and of lengths;
    spacing: a cell's side; rim: (r, 2, 3) segments on x = 0; lengths: (li, lj, lk) target edge lengths at points
    2 spacing apart."""

    corners: NDArray[np.float64]
    normals: NDArray[np.float64]
    starts: NDArray[np.int64]
    dims: NDArray[np.int64]
    origin: NDArray[np.float64]
    spacing: float
    rim: NDArray[np.float64]
    lengths: NDArray[np.float64]


def build_reference(vertices: FloatArray, faces: IntArray, spacing: float, triangles: float) -> Reference:
    """From a half mesh; triangles: how many the half should have after remeshing."""
    points = vertices.astype(np.float64)
    corners = points[faces]  # (f, 3, 3)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1) / 2
    normals = vertex_normals(points, faces, cross)
    # Capped at what the grid can hold: across a sliver's width the gradient means nothing.
    curvature = np.minimum(_curvature(points, faces, normals, area), 2.0 / spacing)

    # On the grid's own planes, so that each marched triangle lies whole in one cell.
    origin = (np.floor(points.min(0) / spacing) - 4) * spacing
    origin[0] = 0.0
    dims = np.ceil((points.max(0) + 4 * spacing - origin) / spacing).astype(np.int64)
    lengths = _grade_lengths(corners.mean(1), area, curvature, origin, dims, spacing, triangles)

    cell = np.floor((corners.mean(1) - origin) / spacing).astype(np.int64)
    number = (cell[:, 0] * dims[1] + cell[:, 1]) * dims[2] + cell[:, 2]
    order = np.argsort(number, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=int(dims.prod())))])
    face_normals = normals[faces].sum(1)
    face_normals /= np.maximum(np.linalg.norm(face_normals, axis=1, keepdims=True), 1e-12)
    return Reference(
        np.ascontiguousarray(corners[order]),
        np.ascontiguousarray(face_normals[order]),
        starts.astype(np.int64),
        dims,
        origin,
        spacing,
        np.ascontiguousarray(points[rim_edges(vertices, faces)]),
        lengths,
    )


def rim_edges(vertices: FloatArray | NDArray[np.float64], faces: IntArray) -> NDArray[np.int64]:
    """(r, 2) edges of a half mesh that lie on x = 0."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    return edges[(vertices[edges, 0] == 0).all(1)]


def vertex_normals(
    points: NDArray[np.float64], faces: IntArray, cross: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(v, 3) unit normals of a half mesh, weighted by area; on x = 0 they lie in the plane, as the whole mesh's do."""
    if cross is None:
        corners = points[faces]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for c in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(faces[:, c], cross[:, axis], minlength=len(points))
    normals[points[:, 0] == 0, 0] = 0.0
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return normals


def _curvature(
    points: NDArray[np.float64], faces: IntArray, normals: NDArray[np.float64], area: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(f,) size of the normals' gradient on each triangle, roughly sqrt(k1^2 + k2^2).

    Marched triangles are often slivers, so that normals are first averaged by area.
    """
    total = np.maximum(np.bincount(faces.ravel(), np.repeat(area, 3), minlength=len(points)), 1e-15)
    for _ in range(NORMAL_SMOOTHINGS):
        at_face = normals[faces].mean(1) * area[:, None]
        normals = np.stack([np.bincount(faces.ravel(), np.repeat(at_face[:, c], 3), minlength=len(points)) for c in range(3)], 1)
        normals /= total[:, None]
        normals[points[:, 0] == 0, 0] = 0.0
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-15)
    corners = points[faces]
    unit = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-15)
    gradient = np.zeros((len(faces), 3, 3))
    for c in range(3):
        opposite = corners[:, (c + 2) % 3] - corners[:, (c + 1) % 3]
        slope = np.cross(unit, opposite) / np.maximum(2 * area, 1e-12)[:, None]
        gradient += normals[faces[:, c]][:, :, None] * slope[:, None, :]
    return np.linalg.norm(gradient, axis=(1, 2))


def _grade_lengths(
    centres: NDArray[np.float64],
    area: NDArray[np.float64],
    curvature: NDArray[np.float64],
    origin: NDArray[np.float64],
    dims: NDArray[np.int64],
    spacing: float,
    triangles: float,
) -> NDArray[np.float64]:
    """The grid of target lengths that gives the wanted count; centres (f, 3), area (f,), curvature (f,) of triangles."""
    step = 2 * spacing
    shape = tuple(int(n) // 2 + 2 for n in dims)
    node = np.ravel_multi_index(tuple(np.rint((centres - origin) / step).astype(np.int64).T), shape)
    held = np.bincount(node, area)
    nodes = np.flatnonzero(held > 0)
    # An average over each node's triangles: the tiny ones, whose normals mean nothing, weigh nothing.
    bent = np.bincount(node, area * curvature)[nodes] / held[nodes]
    sharpest = min(float(bent.max()), EDGE_PER_RADIUS / (SHORTEST_CELLS * spacing))
    wanted = np.clip(bent, sharpest / LENGTH_RANGE**2, sharpest) ** -0.5
    roundness = EDGE_PER_RADIUS / np.maximum(bent, 1e-9)
    factor = float(np.sqrt(area.sum() / triangles * 4 / np.sqrt(3)) / np.average(wanted, weights=held[nodes]))
    for _ in range(5):
        grid = np.full(shape, np.inf)
        grid.ravel()[nodes] = np.maximum(np.minimum(wanted * factor, roundness), SHORTEST_CELLS * spacing)
        _grade(grid, step * GRADATION, _EARLIER)
        at_face = _lengths_at(centres, grid, origin, step)
        count = float((area / (np.sqrt(3) / 4 * at_face**2)).sum())
        factor *= count / triangles  # not its root: rounded parts don't answer
    return grid


@njit(cache=True, nogil=True)
def _grade(grid, rise, before):  # type: ignore[no-untyped-def]
    """Lowers values in place so that they grow by `rise` per step of the grid at most: two chamfer sweeps.

    before: (13, 3) offsets of the neighbours that come earlier in the order of indices.
    """
    ni, nj, nk = grid.shape
    for sign in (1, -1):
        for at in range(grid.size):
            n = at if sign == 1 else grid.size - 1 - at
            i, j, k = n // (nj * nk), n // nk % nj, n % nk
            best = grid[i, j, k]
            for o in range(13):
                p, q, r = i + sign * before[o, 0], j + sign * before[o, 1], k + sign * before[o, 2]
                if 0 <= p < ni and 0 <= q < nj and 0 <= r < nk:
                    far = np.sqrt(float(before[o, 0] ** 2 + before[o, 1] ** 2 + before[o, 2] ** 2))
                    best = min(best, grid[p, q, r] + rise * far)
            grid[i, j, k] = best


@njit(cache=True, nogil=True)
def length_at(x, y, z, grid, origin, step):  # type: ignore[no-untyped-def]
    """Target length at a point, trilinear; clamped to the grid."""
    ni, nj, nk = grid.shape
    a = min(max((x - origin[0]) / step, 0.0), ni - 1.001)
    b = min(max((y - origin[1]) / step, 0.0), nj - 1.001)
    c = min(max((z - origin[2]) / step, 0.0), nk - 1.001)
    i, j, k = int(a), int(b), int(c)
    a -= i
    b -= j
    c -= k
    low = (grid[i, j, k] * (1 - c) + grid[i, j, k + 1] * c) * (1 - b) + (grid[i, j + 1, k] * (1 - c) + grid[i, j + 1, k + 1] * c) * b
    i += 1
    high = (grid[i, j, k] * (1 - c) + grid[i, j, k + 1] * c) * (1 - b) + (grid[i, j + 1, k] * (1 - c) + grid[i, j + 1, k + 1] * c) * b
    return low * (1 - a) + high * a


@njit(cache=True, nogil=True)
def _lengths_at(points, grid, origin, step):  # type: ignore[no-untyped-def]
    """(n,) target lengths at (n, 3) points."""
    result = np.empty(len(points))
    for n in range(len(points)):
        result[n] = length_at(points[n, 0], points[n, 1], points[n, 2], grid, origin, step)
    return result


@njit(cache=True, nogil=True)
def nearest_on_triangle(p, t, out):  # type: ignore[no-untyped-def]
    """Nearest point of triangle t (3, 3) to p, into out; returns the squared distance (Ericson 2005, 5.1.5)."""
    abx, aby, abz = t[1, 0] - t[0, 0], t[1, 1] - t[0, 1], t[1, 2] - t[0, 2]
    acx, acy, acz = t[2, 0] - t[0, 0], t[2, 1] - t[0, 1], t[2, 2] - t[0, 2]
    apx, apy, apz = p[0] - t[0, 0], p[1] - t[0, 1], p[2] - t[0, 2]
    d1, d2 = abx * apx + aby * apy + abz * apz, acx * apx + acy * apy + acz * apz
    bpx, bpy, bpz = p[0] - t[1, 0], p[1] - t[1, 1], p[2] - t[1, 2]
    d3, d4 = abx * bpx + aby * bpy + abz * bpz, acx * bpx + acy * bpy + acz * bpz
    cpx, cpy, cpz = p[0] - t[2, 0], p[1] - t[2, 1], p[2] - t[2, 2]
    d5, d6 = abx * cpx + aby * cpy + abz * cpz, acx * cpx + acy * cpy + acz * cpz
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= 0.0 and d2 <= 0.0:
        v, w = 0.0, 0.0
    elif d3 >= 0.0 and d4 <= d3:
        v, w = 1.0, 0.0
    elif d6 >= 0.0 and d5 <= d6:
        v, w = 0.0, 1.0
    elif vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        v, w = d1 / (d1 - d3), 0.0
    elif vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        v, w = 0.0, d2 / (d2 - d6)
    elif va <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v = 1.0 - w
    else:
        v, w = vb / (va + vb + vc), vc / (va + vb + vc)
    out[0] = t[0, 0] + abx * v + acx * w
    out[1] = t[0, 1] + aby * v + acy * w
    out[2] = t[0, 2] + abz * v + acz * w
    return (p[0] - out[0]) ** 2 + (p[1] - out[1]) ** 2 + (p[2] - out[2]) ** 2


@njit(cache=True, nogil=True)
def project(p, normal, on_rim, reference, rings):  # type: ignore[no-untyped-def]
    """Moves p (3,) in place to the nearest point of the reference whose normal does not oppose `normal` (3,).

    on_rim: nearest on the rim instead, x stays 0. rings: how many cells away it is looked for; False if nothing is there.
    """
    spot = np.empty(3)
    best_spot = np.empty(3)
    best = np.inf
    if on_rim:
        for s in range(len(reference.rim)):
            a, b = reference.rim[s, 0], reference.rim[s, 1]
            dy, dz = b[1] - a[1], b[2] - a[2]
            t = ((p[1] - a[1]) * dy + (p[2] - a[2]) * dz) / max(dy * dy + dz * dz, 1e-30)
            t = min(max(t, 0.0), 1.0)
            y, z = a[1] + t * dy, a[2] + t * dz
            distance = (p[1] - y) ** 2 + (p[2] - z) ** 2
            if distance < best:
                best = distance
                best_spot[0], best_spot[1], best_spot[2] = 0.0, y, z
        if best == np.inf:
            return False
        p[:] = best_spot
        return True
    h = reference.spacing
    ci = int(np.floor((p[0] - reference.origin[0]) / h))
    cj = int(np.floor((p[1] - reference.origin[1]) / h))
    ck = int(np.floor((p[2] - reference.origin[2]) / h))
    dims = reference.dims
    for ring in range(rings + 1):
        # Triangles lie whole in their cells: those of this ring are at least ring - 1 cells away.
        if best < (max(ring - 1, 0) * h) ** 2:
            break
        for i in range(max(ci - ring, 0), min(ci + ring, dims[0] - 1) + 1):
            for j in range(max(cj - ring, 0), min(cj + ring, dims[1] - 1) + 1):
                inner = abs(i - ci) < ring and abs(j - cj) < ring
                step = 2 * ring if inner and ring > 0 else 1
                k = ck - ring
                while k <= ck + ring:
                    if 0 <= k < dims[2]:
                        cell = (i * dims[1] + j) * dims[2] + k
                        for t in range(reference.starts[cell], reference.starts[cell + 1]):
                            n = reference.normals[t]
                            if n[0] * normal[0] + n[1] * normal[1] + n[2] * normal[2] < 0.0:
                                continue
                            distance = nearest_on_triangle(p, reference.corners[t], spot)
                            if distance < best:
                                best = distance
                                best_spot[:] = spot
                    k += step
    if best == np.inf:
        return False
    p[:] = best_spot
    return True
