"""Signed distance of a triangle soup on a half grid, by the generalized winding number (Jacobson et al. 2013).

Enters a rest mesh, not closed, of several components, mirrored at x = 0; leaves distances positive inside on the grid
x in [0, 1.2], y and z in [-2.4, 2.4], a node every 0.04. Game meshes hide surfaces in their inside (an ear's foot in a
head) and have sheets without thickness: triangles with the same side on both faces bound nothing and are left out.
Distances are exact near the surface; far from it a node takes the nearest of its neighbours' triangles.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from backend.data.smoothing import weld
from backend.types import FloatArray, IntArray

STEP = 0.04
SHAPE = (31, 121, 121)
ORIGIN = np.array([0.0, -2.4, -2.4])
NEAR = 2.5 * STEP
"""Within this, distances are measured to every triangle."""
SWEEPS = 1
"""Of eight passes each, which carry the nearest triangle outward."""
INSIDE = 0.5
"""Winding number above which a place is inside."""


FAR = 16.0
"""Squared distance, in a triangle's squared sizes, from which it counts as a dipole (Barill et al. 2018)."""


@njit(cache=True, fastmath=True)
def _winding(points, corners, centres, areas, sizes):  # type: ignore[no-untyped-def]
    out = np.zeros(len(points))
    for i in range(len(points)):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        total = 0.0
        for f in range(len(corners)):
            mx, my, mz = centres[f, 0] - px, centres[f, 1] - py, centres[f, 2] - pz
            square = mx * mx + my * my + mz * mz
            if square > FAR * sizes[f]:
                total += (mx * areas[f, 0] + my * areas[f, 1] + mz * areas[f, 2]) / (2 * square * np.sqrt(square))
                continue
            ax, ay, az = corners[f, 0, 0] - px, corners[f, 0, 1] - py, corners[f, 0, 2] - pz
            bx, by, bz = corners[f, 1, 0] - px, corners[f, 1, 1] - py, corners[f, 1, 2] - pz
            cx, cy, cz = corners[f, 2, 0] - px, corners[f, 2, 1] - py, corners[f, 2, 2] - pz
            la = np.sqrt(ax * ax + ay * ay + az * az)
            lb = np.sqrt(bx * bx + by * by + bz * bz)
            lc = np.sqrt(cx * cx + cy * cy + cz * cz)
            det = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
            ab, bc, ca = ax * bx + ay * by + az * bz, bx * cx + by * cy + bz * cz, cx * ax + cy * ay + cz * az
            den = la * lb * lc + ab * lc + bc * la + ca * lb
            total += np.arctan2(det, den)
        out[i] = total / (2 * np.pi)
    return out


@njit(cache=True)
def _to_triangle(px, py, pz, t):  # type: ignore[no-untyped-def]
    """Squared distance of a point to a triangle (Ericson 2004, 5.1.5)."""
    abx, aby, abz = t[1, 0] - t[0, 0], t[1, 1] - t[0, 1], t[1, 2] - t[0, 2]
    acx, acy, acz = t[2, 0] - t[0, 0], t[2, 1] - t[0, 1], t[2, 2] - t[0, 2]
    apx, apy, apz = px - t[0, 0], py - t[0, 1], pz - t[0, 2]
    d1 = abx * apx + aby * apy + abz * apz
    d2 = acx * apx + acy * apy + acz * apz
    if d1 <= 0 and d2 <= 0:
        return apx * apx + apy * apy + apz * apz
    bpx, bpy, bpz = px - t[1, 0], py - t[1, 1], pz - t[1, 2]
    d3 = abx * bpx + aby * bpy + abz * bpz
    d4 = acx * bpx + acy * bpy + acz * bpz
    if d3 >= 0 and d4 <= d3:
        return bpx * bpx + bpy * bpy + bpz * bpz
    cpx, cpy, cpz = px - t[2, 0], py - t[2, 1], pz - t[2, 2]
    d5 = abx * cpx + aby * cpy + abz * cpz
    d6 = acx * cpx + acy * cpy + acz * cpz
    if d6 >= 0 and d5 <= d6:
        return cpx * cpx + cpy * cpy + cpz * cpz
    vc, vb, va = d1 * d4 - d3 * d2, d5 * d2 - d1 * d6, d3 * d6 - d5 * d4
    if vc <= 0 and d1 >= 0 and d3 <= 0:
        v, w = d1 / (d1 - d3), 0.0
    elif vb <= 0 and d2 >= 0 and d6 <= 0:
        v, w = 0.0, d2 / (d2 - d6)
    elif va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v = 1 - w
    else:
        total = va + vb + vc
        if total == 0:
            return apx * apx + apy * apy + apz * apz
        v, w = vb / total, vc / total
    qx, qy, qz = apx - v * abx - w * acx, apy - v * aby - w * acy, apz - v * abz - w * acz
    return qx * qx + qy * qy + qz * qz


@njit(cache=True)
def _near(corners, origin, step, shape, reach):  # type: ignore[no-untyped-def]
    """Squared distance and triangle of every node within `reach` of one; infinity and -1 elsewhere."""
    best = np.full(shape, np.inf)
    which = np.full(shape, -1, np.int32)
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for f in range(len(corners)):
        t = corners[f]
        for k in range(3):
            a = min(t[0, k], t[1, k], t[2, k]) - reach
            b = max(t[0, k], t[1, k], t[2, k]) + reach
            low[k] = max(0, int(np.ceil((a - origin[k]) / step)))
            high[k] = min(shape[k], int(np.floor((b - origin[k]) / step)) + 1)
        for i in range(low[0], high[0]):
            for j in range(low[1], high[1]):
                for k in range(low[2], high[2]):
                    d = _to_triangle(origin[0] + i * step, origin[1] + j * step, origin[2] + k * step, t)
                    if d < best[i, j, k]:
                        best[i, j, k] = d
                        which[i, j, k] = f
    return best, which


@njit(cache=True)
def _sweep(best, which, corners, origin, step, direction):  # type: ignore[no-untyped-def]
    """One pass over the grid: every node tries its three upwind neighbours' triangles."""
    n0, n1, n2 = best.shape
    for a in range(n0):
        i = a if direction > 0 else n0 - 1 - a
        for b in range(n1):
            j = b if direction > 0 else n1 - 1 - b
            for c in range(n2):
                k = c if direction > 0 else n2 - 1 - c
                for axis in range(3):
                    p, q, r = i - direction * (axis == 0), j - direction * (axis == 1), k - direction * (axis == 2)
                    if p < 0 or q < 0 or r < 0 or p >= n0 or q >= n1 or r >= n2:
                        continue
                    f = which[p, q, r]
                    if f < 0 or f == which[i, j, k]:
                        continue
                    d = _to_triangle(origin[0] + i * step[0], origin[1] + j * step[1], origin[2] + k * step[2], corners[f])
                    if d < best[i, j, k]:
                        best[i, j, k] = d
                        which[i, j, k] = f


def winding_numbers(points: NDArray[np.floating], vertices: FloatArray, faces: IntArray) -> NDArray[np.float64]:
    """(n, 3) points -> (n,): 1 inside a closed mesh, 0 outside, between where it has gaps."""
    corners = vertices[faces].astype(np.float64)  # (f, 3, 3)
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    centres = corners.mean(1)
    sizes = ((corners - centres[:, None]) ** 2).sum(2).max(1)
    return np.asarray(_winding(np.ascontiguousarray(points, np.float64), corners, centres, areas, sizes))


def bounding_faces(vertices: FloatArray, faces: IntArray) -> IntArray:
    """The faces with the inside on one side and the outside on the other."""
    corner = vertices[faces].astype(np.float64)
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    length = np.linalg.norm(normal, axis=1)
    solid = length > 1e-10
    step = normal[solid] / length[solid, None] * 2e-3
    centre = corner[solid].mean(1)
    outside = winding_numbers(centre + step, vertices, faces) < INSIDE
    inside = winding_numbers(centre - step, vertices, faces) > INSIDE
    return np.ascontiguousarray(faces[solid][outside & inside])


def cap_holes(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """Close every open border (legs without soles, eyes without balls) by a fan to its middle; seams are no borders."""
    places, index = weld(vertices)
    welded = index[faces]
    welded = welded[(welded[:, 0] != welded[:, 1]) & (welded[:, 1] != welded[:, 2]) & (welded[:, 2] != welded[:, 0])]
    edges = np.concatenate([welded[:, [0, 1]], welded[:, [1, 2]], welded[:, [2, 0]]])
    forward = {(int(a), int(b)) for a, b in edges}
    after = {b: a for a, b in sorted(forward) if (b, a) not in forward}  # a cap runs against the border
    new, fans, count = [], [], len(places)
    while after:
        start, following = after.popitem()
        loop = [start]
        while following != start and following in after:
            loop.append(following)
            following = after.pop(following)
        if following != start or len(loop) < 3:
            continue
        new.append(places[loop].mean(0))
        fans += [(loop[k], loop[(k + 1) % len(loop)], count) for k in range(len(loop))]
        count += 1
    if not new:
        return places, welded.astype(np.int32)
    return np.concatenate([places, np.array(new, np.float32)]), np.concatenate([welded, np.array(fans)]).astype(np.int32)


def trilinear(grid: NDArray[np.floating], points: NDArray[np.floating]) -> FloatArray:
    """Half grid, positive inside; points (n, 3) -> (n,). Outside the grid the distance to it is taken off the value at its border."""
    p = np.concatenate([np.abs(points[:, :1]), points[:, 1:]], 1)
    cell = (p - ORIGIN) / STEP
    clamped = np.clip(cell, 0, np.array(grid.shape) - 1.001)
    low = clamped.astype(np.int64)
    f = (clamped - low).astype(np.float32)
    out = np.zeros(len(p), np.float32)
    for corner in range(8):
        offset = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
        weight = np.prod(np.where(offset, f, 1 - f), 1)
        at = low + offset
        out += weight * grid[at[:, 0], at[:, 1], at[:, 2]].astype(np.float32)
    return np.asarray(out - np.linalg.norm(cell - clamped, axis=1) * STEP, np.float32)


def signed_distance_grid(vertices: FloatArray, faces: IntArray) -> NDArray[np.float16]:
    """Rest mesh, canonical frame -> (31, 121, 121) float16, positive inside."""
    vertices, faces = cap_holes(vertices, faces)
    bounds = bounding_faces(vertices, faces)
    corners = vertices[bounds].astype(np.float64)
    # The shape is mirrored: both halves count, the left one is stored.
    mirrored = corners * (-1.0, 1.0, 1.0)
    both = np.concatenate([corners, mirrored[:, ::-1]])
    reach = NEAR
    close = both[both[:, :, 0].max(1) > -reach - STEP]
    squared, which = _near(close, ORIGIN, STEP, SHAPE, reach)
    for turn in range(2 * SWEEPS):
        # Mixed directions too, so that every octant is upwind once.
        for flip in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
            view = (slice(None), slice(None, None, flip[0]), slice(None, None, flip[1]))
            origin = ORIGIN + STEP * np.array([0, 120 * (flip[0] < 0), 120 * (flip[1] < 0)])
            _sweep(squared[view], which[view], close, origin, np.array([1, *flip]) * STEP, 1 - 2 * (turn % 2))
    distance = np.sqrt(squared)
    return np.where(_inside(distance, vertices, faces), distance, -distance).astype(np.float16)


def _inside(distance: NDArray[np.float64], vertices: FloatArray, faces: IntArray) -> NDArray[np.bool_]:
    """Nodes farther than half a step from the surface have their neighbours' sign: a few winding numbers settle a region.

    Where a gap joins inside and outside, the few disagree, and all of that region's nodes in the mesh's box are asked.
    """
    node = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), -1).reshape(-1, 3)
    places = ORIGIN + STEP * node
    regions, count = ndimage.label(distance > 0.5 * STEP)
    flat = regions.ravel()
    low, high = vertices.min(0) - STEP, vertices.max(0) + STEP
    boxed = ((places >= low) & (places <= high)).all(1)
    sparse = boxed & (node % 4 == 0).all(1)
    _, first = np.unique(flat, return_index=True)
    sparse[first] = True
    verdict = np.zeros(len(flat), bool)
    asked = np.flatnonzero((flat == 0) | sparse)
    verdict[asked] = _symmetric_winding(places[asked], vertices, faces) > INSIDE
    known = np.flatnonzero(sparse & (flat > 0))
    votes = np.bincount(flat[known], verdict[known], count + 1) / np.maximum(np.bincount(flat[known], minlength=count + 1), 1)
    inside = np.where(flat > 0, votes[flat] > 0.5, verdict)
    mixed = (votes > 0) & (votes < 1)
    mixed[0] = False
    open_nodes = np.flatnonzero(mixed[flat] & boxed)
    inside[np.flatnonzero(mixed[flat])] = False
    inside[open_nodes] = _symmetric_winding(places[open_nodes], vertices, faces) > INSIDE
    return np.asarray(inside.reshape(SHAPE))


def _symmetric_winding(places: NDArray[np.float64], vertices: FloatArray, faces: IntArray) -> NDArray[np.float64]:
    """Mean over a place and its mirror twin, which must agree on meshes that are not quite symmetric."""
    return (winding_numbers(places, vertices, faces) + winding_numbers(places * (-1, 1, 1), vertices, faces)) / 2
