"""What must hold of every mesh, measured: used by tests and by the evaluation's tables.

Enters: vertices (v, 3) and faces (f, 3), any frame and unit. Leaves: counts and shares. Nothing here repairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from backend.types import FloatArray, IntArray

SLIVER_DEGREES = 15.0
"""A triangle with an angle at or below this is a sliver."""


@dataclass(frozen=True)
class MeshStatistics:
    """components, duplicate_vertices, intersecting_faces: counts; closed: each edge has one face on either side;
    genus: of a closed mesh, summed over its components (-1 where it isn't closed); good_angles: share of triangles with
    all angles over `SLIVER_DEGREES`; intersecting_share: of faces that cross another; mirrored: exactly, if asked."""

    vertices: int
    triangles: int
    components: int
    closed: bool
    genus: int
    duplicate_vertices: int
    good_angles: float
    intersecting_faces: int
    intersecting_share: float
    volume: float
    mirrored: bool | None = None


def measure(vertices: FloatArray, faces: IntArray, mirror: IntArray | None = None) -> MeshStatistics:
    """All statistics of one mesh; `mirror` (v,) as in `types.Mesh` or None."""
    closed = is_closed(faces)
    crossing = int(intersecting_faces(vertices, faces).sum())
    return MeshStatistics(
        vertices=len(vertices),
        triangles=len(faces),
        components=count_components(len(vertices), faces),
        closed=closed,
        genus=genus(len(vertices), faces) if closed else -1,
        duplicate_vertices=len(vertices) - len(np.unique(vertices, axis=0)),
        good_angles=float((smallest_angles(vertices, faces) > SLIVER_DEGREES).mean()) if len(faces) else 0.0,
        intersecting_faces=crossing,
        intersecting_share=crossing / max(len(faces), 1),
        volume=volume(vertices, faces),
        mirrored=None if mirror is None else is_mirrored(vertices, faces, mirror),
    )


def count_components(vertex_count: int, faces: IntArray) -> int:
    """Connected pieces; a vertex without a face is a piece of its own."""
    rows, columns = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(vertex_count, vertex_count))
    return int(connected_components(graph, directed=False)[0])


def is_closed(faces: IntArray) -> bool:
    """True if each directed edge stands once and its reverse once, and the faces round each vertex form one fan."""
    start, end = faces[:, [0, 1, 2]].ravel().astype(np.int64), faces[:, [1, 2, 0]].ravel().astype(np.int64)
    if not len(faces) or (start == end).any():
        return False
    count = int(faces.max()) + 1
    forward, backward = start * count + end, end * count + start
    order = np.argsort(forward, kind="stable")
    if (np.diff(forward[order]) == 0).any() or not np.array_equal(forward[order], np.sort(backward)):
        return False
    # Corners of one vertex are joined where they meet across an edge: as many joined sets as vertices means one fan each.
    opposite = order[np.searchsorted(forward[order], backward)]
    corner = np.arange(len(forward))
    face, turn = corner // 3, corner % 3
    next_corner = face * 3 + (turn + 1) % 3
    graph = coo_matrix((np.ones(len(corner), dtype=np.int8), (corner, next_corner[opposite])), shape=(len(corner),) * 2)
    return int(connected_components(graph, directed=False)[0]) == len(np.unique(faces))


def genus(vertex_count: int, faces: IntArray) -> int:
    """Handles of a closed mesh, all components together, from the Euler characteristic."""
    used = len(np.unique(faces))
    edges = len(faces) * 3 // 2
    pieces = count_components(vertex_count, faces) - (vertex_count - used)
    return pieces - (used - edges + len(faces)) // 2


def smallest_angles(vertices: FloatArray, faces: IntArray) -> NDArray[np.float64]:
    """(f,) each triangle's smallest angle in degrees; 0 for a triangle without area."""
    corner = vertices[faces].astype(np.float64)  # (f, 3, 3)
    result = np.full(len(faces), 180.0)
    for c in range(3):
        u, w = corner[:, (c + 1) % 3] - corner[:, c], corner[:, (c + 2) % 3] - corner[:, c]
        angle = np.arctan2(np.linalg.norm(np.cross(u, w), axis=1), (u * w).sum(1))
        result = np.minimum(result, np.degrees(angle))
    return result


def volume(vertices: FloatArray, faces: IntArray) -> float:
    """Signed volume of a closed mesh, positive if its faces are counter-clockwise seen from outside."""
    a, b, c = vertices[faces].astype(np.float64).transpose(1, 0, 2)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)


def is_mirrored(vertices: FloatArray, faces: IntArray, mirror: IntArray) -> bool:
    """True if twins are exact mirror images, x = 0 exactly on the plane, and each face's mirror image is a face."""
    own = mirror == np.arange(len(mirror))
    if not np.array_equal(vertices[mirror], vertices * np.array([-1, 1, 1], dtype=vertices.dtype)) or (vertices[own, 0] != 0).any():
        return False
    return np.array_equal(_sorted_rows(faces), _sorted_rows(mirror[faces][:, [0, 2, 1]]))


def cut_loops(vertices: FloatArray, faces: IntArray, height: float, axis: int = 1) -> list[NDArray[np.float64]]:
    """The separate closed loops in which the plane `axis = height` cuts a closed mesh.

    Returns (k, 3) points of each loop, in no particular order along it; four loops at mid-shin mean four legs.
    """
    above = vertices[:, axis] > height
    start, end = faces[:, [0, 1, 2]].ravel().astype(np.int64), faces[:, [1, 2, 0]].ravel().astype(np.int64)
    crossed = above[start] != above[end]
    owner = np.repeat(np.arange(len(faces)), 3)[crossed]
    pairs = np.sort(np.stack([start, end], 1)[crossed], axis=1)
    if not len(pairs):
        return []
    edges, number = np.unique(pairs, axis=0, return_inverse=True)
    number = number.reshape(-1)
    order = np.argsort(owner, kind="stable")
    joined = number[order].reshape(-1, 2)  # a crossed triangle has exactly two crossed edges
    graph = coo_matrix((np.ones(len(joined), dtype=np.int8), (joined[:, 0], joined[:, 1])), shape=(len(edges),) * 2)
    count, label = connected_components(graph, directed=False)
    low, high = vertices[edges[:, 0]].astype(np.float64), vertices[edges[:, 1]].astype(np.float64)
    share = (height - low[:, axis]) / (high[:, axis] - low[:, axis])
    points = low + share[:, None] * (high - low)
    return [points[label == loop] for loop in range(count)]


def displacement_rms(before: FloatArray, after: FloatArray) -> float:
    """Root mean square distance between two (v, 3) sets of vertices, in their unit."""
    return float(np.sqrt(np.square(after.astype(np.float64) - before).sum(-1).mean()))


def intersecting_faces(vertices: FloatArray, faces: IntArray) -> NDArray[np.bool_]:
    """(f,) True for faces that cross another face.

    Two faces cross if an edge of one passes through the other's inside; faces that share a vertex are tested with
    the edges away from it, and faces that share an edge count where they are folded flat onto each other.
    Faces that overlap in one plane without sharing an edge are not seen.
    """
    if not len(faces):
        return np.zeros(0, dtype=bool)
    points = np.ascontiguousarray(vertices, dtype=np.float64)
    low = points[faces].min(1)
    high = points[faces].max(1)
    axis = int(np.argmax(points.max(0) - points.min(0)))
    order = np.argsort(low[:, axis], kind="stable")
    return _crossing_faces(points, np.ascontiguousarray(faces, dtype=np.int64), low, high, order, axis)


def _sorted_rows(faces: IntArray) -> IntArray:
    """Faces turned so that the smallest vertex comes first (orientation kept), in lexicographic order."""
    first = faces.argmin(1)
    turned = np.stack([faces[np.arange(len(faces)), (first + c) % 3] for c in range(3)], 1)
    return turned[np.lexsort(turned.T[::-1])]


@njit(cache=True, nogil=True)
def _pierces(p, q, a, b, c):  # type: ignore[no-untyped-def]
    """True if segment p-q crosses the inside of triangle abc (Moeller and Trumbore 1997)."""
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    dx, dy, dz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    hx, hy, hz = dy * vz - dz * vy, dz * vx - dx * vz, dx * vy - dy * vx
    det = ux * hx + uy * hy + uz * hz
    scale = (abs(ux) + abs(uy) + abs(uz)) * (abs(vx) + abs(vy) + abs(vz)) * (abs(dx) + abs(dy) + abs(dz))
    if abs(det) <= 1e-12 * scale:
        return False
    sx, sy, sz = p[0] - a[0], p[1] - a[1], p[2] - a[2]
    s = (sx * hx + sy * hy + sz * hz) / det
    if s < 0.0 or s > 1.0:
        return False
    kx, ky, kz = sy * uz - sz * uy, sz * ux - sx * uz, sx * uy - sy * ux
    t = (dx * kx + dy * ky + dz * kz) / det
    if t < 0.0 or s + t > 1.0:
        return False
    along = (vx * kx + vy * ky + vz * kz) / det
    return 0.0 <= along <= 1.0


@njit(cache=True, nogil=True)
def _folded(points, f, g):  # type: ignore[no-untyped-def]
    """True if two faces that share an edge lie on one another: opposite normals within half a degree."""
    dot = 0.0
    lengths = 1.0
    n = np.empty((2, 3))
    for side in range(2):
        t = f if side == 0 else g
        u, w = points[t[1]] - points[t[0]], points[t[2]] - points[t[0]]
        n[side, 0] = u[1] * w[2] - u[2] * w[1]
        n[side, 1] = u[2] * w[0] - u[0] * w[2]
        n[side, 2] = u[0] * w[1] - u[1] * w[0]
        lengths *= np.sqrt(n[side, 0] ** 2 + n[side, 1] ** 2 + n[side, 2] ** 2)
    for c in range(3):
        dot += n[0, c] * n[1, c]
    return dot < -0.99996 * lengths


@njit(cache=True, nogil=True)
def _crossing_faces(points, faces, low, high, order, axis):  # type: ignore[no-untyped-def]
    """Sweep along one axis; exact tests where bounding boxes meet."""
    found = np.zeros(len(faces), np.bool_)
    one, two = (axis + 1) % 3, (axis + 2) % 3
    for at in range(len(order)):
        i = order[at]
        f = faces[i]
        for later in range(at + 1, len(order)):
            j = order[later]
            if low[j, axis] > high[i, axis]:
                break
            if low[j, one] > high[i, one] or high[j, one] < low[i, one] or low[j, two] > high[i, two] or high[j, two] < low[i, two]:
                continue
            if found[i] and found[j]:
                continue
            g = faces[j]
            shared = 0
            for c in range(3):
                if f[c] == g[0] or f[c] == g[1] or f[c] == g[2]:
                    shared += 1
            hit = False
            if shared >= 2:
                hit = shared == 3 or _folded(points, f, g)
            else:
                for c in range(3):
                    a, b = f[c], f[(c + 1) % 3]
                    if a != g[0] and a != g[1] and a != g[2] and b != g[0] and b != g[1] and b != g[2]:
                        hit = hit or _pierces(points[a], points[b], points[g[0]], points[g[1]], points[g[2]])
                    a, b = g[c], g[(c + 1) % 3]
                    if a != f[0] and a != f[1] and a != f[2] and b != f[0] and b != f[1] and b != f[2]:
                        hit = hit or _pierces(points[a], points[b], points[f[0]], points[f[1]], points[f[2]])
            if hit:
                found[i] = True
                found[j] = True
    return found
