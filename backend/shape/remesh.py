"""Remeshing of a half mesh towards given edge lengths: split, collapse, flip, smooth (Botsch and Kobbelt 2004).

Enters: a half mesh (x >= 0, its rim exactly on x = 0) and the `Reference` it must follow. Leaves: a half mesh of the
same topology, whose triangles are nearly equilateral and as large as the reference wants.

What keeps the mirrored whole a closed manifold: rim vertices stay on the rim, the rim's edges are never flipped, and
no edge inside the half ever joins two rim vertices (it and its mirror image would become one edge with four faces).
Every collapse keeps the link condition, so that topology never changes. All loops run in the order of indices.

Arrays of the kernels ("mesh"): points (p, 3); rim (p,) bool; lengths (p,) target edge length; faces (f, 3), first
entry -1 where removed; fans (p, MAX_VALENCE) faces of each vertex in no order; valence (p,), 0 where removed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from backend.shape.reference import Reference, length_at, project
from backend.types import FloatArray, IntArray

MAX_VALENCE = 28
"""Room for a vertex's faces; collapses keep well below it."""

LARGEST_VALENCE = 10
"""Faces of a vertex that a collapse may leave."""

SPLIT_RATIO = 4.0 / 3.0
COLLAPSE_RATIO = 4.0 / 5.0
"""Edges are split above and collapsed below these shares of their target length (Botsch and Kobbelt 2004)."""

ROUNDS = 7
"""Rounds of split, collapse, flip and smooth; triangles hardly change after."""

LAST_SMOOTHINGS = 3
"""Smoothings, each with flips, that end the last round."""

SLIVER_SINE = 0.02
COLLAPSE_SINE = 0.15
"""Sine of the smallest angle that a collapse may leave, at first and later."""

SMOOTH_SINE = 0.35
"""Sine of the smallest angle that smoothing may leave where it was no worse before."""

LEAST_X = np.float32(1e-5)
"""A vertex off the plane of symmetry stays off it by this much."""

SEARCH_RINGS = 3
"""Cells around a point in which its nearest point of the reference is looked for."""


class _Mesh(NamedTuple):
    """The kernels' arrays; see the module."""

    points: NDArray[np.float64]
    rim: NDArray[np.bool_]
    lengths: NDArray[np.float64]
    faces: NDArray[np.int64]
    fans: NDArray[np.int64]
    valence: NDArray[np.int64]


def remesh(vertices: FloatArray, faces: IntArray, reference: Reference, triangles: float) -> tuple[FloatArray, IntArray]:
    """A remeshed half: vertices (v, 3) float32, faces (f, 3) int32, of about `triangles` triangles."""
    mesh = _load(vertices, faces, int(triangles))
    used = np.array([len(vertices), len(faces)], dtype=np.int64)
    scale = 1.0  # on all target lengths
    _measure_lengths(mesh, used, reference, scale)
    _smooth(mesh, used, reference)
    # Thins out the marched slivers: any triangle will do that doesn't turn over.
    while _collapse_short(mesh, used, reference, scale, SLIVER_SINE):
        _flip_better(mesh, used)
    for done in range(ROUNDS):
        _split_long(mesh, used, reference, scale)
        _collapse_short(mesh, used, reference, scale, COLLAPSE_SINE)
        _flip_better(mesh, used)
        for _ in range(1 if done < ROUNDS - 1 else LAST_SMOOTHINGS):
            _smooth(mesh, used, reference)
            _flip_better(mesh, used)
        if done < ROUNDS - 2:  # the last rounds settle
            scale *= float(np.sqrt((mesh.faces[: used[1], 0] >= 0).sum() / triangles))
        _measure_lengths(mesh, used, reference, scale)
    return _compact(mesh, used)


def _load(vertices: FloatArray, faces: IntArray, triangles: int) -> _Mesh:
    """Arrays with room for the vertices and faces that splits add (removed ones aren't used again)."""
    room = 2 * len(vertices) + 4 * triangles
    face_room = 2 * len(faces) + 8 * triangles
    mesh = _Mesh(
        np.zeros((room, 3)),
        np.zeros(room, dtype=np.bool_),
        np.zeros(room),
        np.full((face_room, 3), -1, dtype=np.int64),
        np.full((room, MAX_VALENCE), -1, dtype=np.int64),
        np.zeros(room, dtype=np.int64),
    )
    mesh.points[: len(vertices)] = vertices
    mesh.rim[: len(vertices)] = vertices[:, 0] == 0
    mesh.faces[: len(faces)] = faces
    _fill_fans(mesh, len(faces))
    return mesh


def _compact(mesh: _Mesh, used: NDArray[np.int64]) -> tuple[FloatArray, IntArray]:
    """The living vertices and faces, in order."""
    faces = mesh.faces[: used[1]]
    faces = faces[faces[:, 0] >= 0]
    alive = np.zeros(used[0], dtype=bool)
    alive[faces] = True
    number = np.cumsum(alive) - 1
    points = mesh.points[: used[0]][alive].astype(np.float32)
    # An inner vertex may have been put onto the reference's rim: at x = 0 it would be welded to its own mirror image.
    points[~mesh.rim[: used[0]][alive], 0] = np.maximum(points[~mesh.rim[: used[0]][alive], 0], LEAST_X)
    return points, number[faces].astype(np.int32)


@njit(cache=True, nogil=True)
def _fill_fans(mesh, count):  # type: ignore[no-untyped-def]
    """Lists each vertex's faces."""
    for f in range(count):
        for c in range(3):
            v = mesh.faces[f, c]
            mesh.fans[v, mesh.valence[v]] = f
            mesh.valence[v] += 1


@njit(cache=True, nogil=True)
def _measure_lengths(mesh, used, reference, scale):  # type: ignore[no-untyped-def]
    """Target lengths at all vertices."""
    for v in range(used[0]):
        _measure_length(mesh, v, reference, scale)


@njit(cache=True, nogil=True)
def _measure_length(mesh, v, reference, scale):  # type: ignore[no-untyped-def]
    p = mesh.points[v]
    mesh.lengths[v] = scale * length_at(p[0], p[1], p[2], reference.lengths, reference.origin, 2 * reference.spacing)


@njit(cache=True, nogil=True)
def _leave_fan(mesh, v, face):  # type: ignore[no-untyped-def]
    """Takes a face out of a vertex's list."""
    for n in range(mesh.valence[v]):
        if mesh.fans[v, n] == face:
            mesh.valence[v] -= 1
            mesh.fans[v, n] = mesh.fans[v, mesh.valence[v]]
            return


@njit(cache=True, nogil=True)
def _join_fan(mesh, v, face):  # type: ignore[no-untyped-def]
    """Puts a face into a vertex's list."""
    mesh.fans[v, mesh.valence[v]] = face
    mesh.valence[v] += 1


@njit(cache=True, nogil=True)
def _third(mesh, face, a, b):  # type: ignore[no-untyped-def]
    """The vertex of a face other than a and b."""
    for c in range(3):
        v = mesh.faces[face, c]
        if v != a and v != b:
            return v
    return -1


@njit(cache=True, nogil=True)
def _shared_faces(mesh, a, b, shared):  # type: ignore[no-untyped-def]
    """Faces with both a and b, into `shared` (2,); their number (3 would mean a broken mesh)."""
    count = 0
    for n in range(mesh.valence[a]):
        f = mesh.fans[a, n]
        if mesh.faces[f, 0] == b or mesh.faces[f, 1] == b or mesh.faces[f, 2] == b:
            if count < 2:
                shared[count] = f
            count += 1
    return count


@njit(cache=True, nogil=True)
def _ring(mesh, v, ring):  # type: ignore[no-untyped-def]
    """The neighbours of v, each once, into `ring`; their number."""
    count = 0
    for n in range(mesh.valence[v]):
        for c in range(3):
            w = mesh.faces[mesh.fans[v, n], c]
            if w == v:
                continue
            known = False
            for m in range(count):
                if ring[m] == w:
                    known = True
                    break
            if not known:
                ring[count] = w
                count += 1
    return count


@njit(cache=True, nogil=True)
def _distance(p, q):  # type: ignore[no-untyped-def]
    return np.sqrt((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2)


@njit(cache=True, nogil=True)
def _cross(a, b, c, out):  # type: ignore[no-untyped-def]
    """Twice the area vector of triangle abc into out; its length."""
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    out[0], out[1], out[2] = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    return np.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2)


@njit(cache=True, nogil=True)
def _quality(a, b, c):  # type: ignore[no-untyped-def]
    """Sine of a triangle's smallest angle: its doubled area over the product of its two longest sides."""
    n = np.empty(3)
    area = _cross(a, b, c, n)
    x, y, z = _distance(a, b), _distance(b, c), _distance(c, a)
    return area / max(x * y * z / max(min(x, min(y, z)), 1e-30), 1e-30)


@njit(cache=True, nogil=True)
def _normal(mesh, v, out):  # type: ignore[no-untyped-def]
    """Unit normal at v by area, in the plane for rim vertices."""
    n = np.empty(3)
    out[:] = 0.0
    for m in range(mesh.valence[v]):
        f = mesh.faces[mesh.fans[v, m]]
        _cross(mesh.points[f[0]], mesh.points[f[1]], mesh.points[f[2]], n)
        out += n
    if mesh.rim[v]:
        out[0] = 0.0
    out /= max(np.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2), 1e-30)


@njit(cache=True, nogil=True)
def _fits(mesh, v, position, skip_a, skip_b, normal, worst):  # type: ignore[no-untyped-def]
    """True if v may move to `position`: no face of v (but the two skipped) turns over, and the worst of them
    (sine of its smallest angle) ends above `worst` or no worse than before."""
    old, new = np.empty(3), np.empty(3)
    worst_before, worst_after = 1.0, 1.0
    for m in range(mesh.valence[v]):
        face = mesh.fans[v, m]
        if face == skip_a or face == skip_b:
            continue
        f = mesh.faces[face]
        c = 0
        while f[c] != v:
            c += 1
        q, r = mesh.points[f[(c + 1) % 3]], mesh.points[f[(c + 2) % 3]]
        before = _quality(mesh.points[v], q, r)
        worst_before = min(worst_before, before)
        worst_after = min(worst_after, _quality(position, q, r))
        old_size = _cross(mesh.points[v], q, r, old)
        new_size = _cross(position, q, r, new)
        dot = new[0] * old[0] + new[1] * old[1] + new[2] * old[2]
        if before < 0.05:  # a sliver's own normal means little
            dot = new[0] * normal[0] + new[1] * normal[1] + new[2] * normal[2]
            old_size = 1.0
        if dot < 0.3 * old_size * new_size:
            return False
    return worst_after >= worst or worst_after >= worst_before


@njit(cache=True, nogil=True)
def _collapse_short(mesh, used, reference, scale, worst):  # type: ignore[no-untyped-def]
    """Collapses edges that are too short, where that is allowed; how many. worst: see `_fits`."""
    collapsed = 0
    ring_a, ring_b = np.empty(2 * MAX_VALENCE, np.int64), np.empty(2 * MAX_VALENCE, np.int64)
    shared = np.empty(2, np.int64)
    position, normal, other = np.empty(3), np.empty(3), np.empty(3)
    for f in range(used[1]):
        for c in range(3):
            if mesh.faces[f, 0] < 0:
                break
            a, b = mesh.faces[f, c], mesh.faces[f, (c + 1) % 3]
            target = 0.5 * (mesh.lengths[a] + mesh.lengths[b])
            if _distance(mesh.points[a], mesh.points[b]) >= COLLAPSE_RATIO * target:
                continue
            if mesh.rim[b] and not mesh.rim[a]:
                a, b = b, a
            count = _shared_faces(mesh, a, b, shared)
            both = mesh.rim[a] and mesh.rim[b]
            if count != (1 if both else 2):
                continue
            na, nb = _ring(mesh, a, ring_a), _ring(mesh, b, ring_b)
            if not _may_collapse(mesh, a, b, ring_a, na, ring_b, nb, shared, count):
                continue
            _normal(mesh, a, normal)
            _normal(mesh, b, other)
            normal += other
            if mesh.rim[a] and not mesh.rim[b]:
                position[:] = mesh.points[a]
            else:
                position[:] = 0.5 * (mesh.points[a] + mesh.points[b])
                if not project(position, normal, both, reference, SEARCH_RINGS):
                    continue
            far = False
            for ring, n in ((ring_a, na), (ring_b, nb)):
                for m in range(n):
                    far = far or _distance(position, mesh.points[ring[m]]) > 1.6 * target
            second = shared[1] if count == 2 else shared[0]
            normal /= max(np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2), 1e-30)
            if far or not _fits(mesh, a, position, shared[0], second, normal, worst):
                continue
            if not _fits(mesh, b, position, shared[0], second, normal, worst):
                continue
            collapsed += 1
            mesh.points[a] = position
            for n in range(count):
                face = shared[n]
                for m in range(3):
                    _leave_fan(mesh, mesh.faces[face, m], face)
                mesh.faces[face, :] = -1
            for n in range(mesh.valence[b]):
                face = mesh.fans[b, n]
                for m in range(3):
                    if mesh.faces[face, m] == b:
                        mesh.faces[face, m] = a
                _join_fan(mesh, a, face)
            mesh.valence[b] = 0
            _measure_length(mesh, a, reference, scale)
    return collapsed


@njit(cache=True, nogil=True)
def _may_collapse(mesh, a, b, ring_a, na, ring_b, nb, shared, count):  # type: ignore[no-untyped-def]
    """Topological conditions for collapsing edge a-b into a; b is on the rim only if a is."""
    common = 0
    for n in range(na):
        for m in range(nb):
            if ring_a[n] == ring_b[m]:
                common += 1
    if common != count or mesh.valence[a] + mesh.valence[b] - 2 * count > LARGEST_VALENCE:
        return False
    pair = np.empty(2, np.int64)
    for n in range(count):
        w = _third(mesh, shared[n], a, b)
        # An inner vertex keeps three faces or more, one on the rim two (four in the mirrored whole).
        if mesh.valence[w] <= (2 if mesh.rim[w] else 3):
            return False
    if mesh.rim[a]:
        # Rim neighbours of b become neighbours of a: they must be that along the rim already.
        for m in range(nb):
            w = ring_b[m]
            if w == a or not mesh.rim[w] or (mesh.rim[b] and _shared_faces(mesh, b, w, pair) == 1):
                continue
            if _shared_faces(mesh, a, w, pair) != 1:
                return False
    return True


@njit(cache=True, nogil=True)
def _split_long(mesh, used, reference, scale):  # type: ignore[no-untyped-def]
    """Splits edges that are too long at their middle, put onto the reference."""
    shared = np.empty(2, np.int64)
    position, normal, other = np.empty(3), np.empty(3), np.empty(3)
    for f in range(used[1]):
        for c in range(3):
            if mesh.faces[f, 0] < 0:
                break
            a, b = mesh.faces[f, c], mesh.faces[f, (c + 1) % 3]
            target = 0.5 * (mesh.lengths[a] + mesh.lengths[b])
            if _distance(mesh.points[a], mesh.points[b]) <= SPLIT_RATIO * target:
                continue
            if used[0] + 1 > len(mesh.points) or used[1] + 2 > len(mesh.faces):
                return
            count = _shared_faces(mesh, a, b, shared)
            full = False
            for n in range(count):
                full = full or mesh.valence[_third(mesh, shared[n], a, b)] >= LARGEST_VALENCE + 2
            if full:
                continue
            on_rim = count == 1
            _normal(mesh, a, normal)
            _normal(mesh, b, other)
            normal += other
            position[:] = 0.5 * (mesh.points[a] + mesh.points[b])
            project(position, normal, on_rim, reference, SEARCH_RINGS)
            v = used[0]
            used[0] += 1
            mesh.points[v] = position
            mesh.rim[v] = on_rim
            mesh.valence[v] = 0
            for n in range(count):
                face, added = shared[n], used[1]
                used[1] += 1
                w = _third(mesh, face, a, b)
                for m in range(3):
                    u = mesh.faces[face, m]
                    mesh.faces[added, m] = v if u == a else u
                    if u == b:
                        mesh.faces[face, m] = v
                _leave_fan(mesh, b, face)
                _join_fan(mesh, b, added)
                _join_fan(mesh, w, added)
                _join_fan(mesh, v, face)
                _join_fan(mesh, v, added)
            _measure_length(mesh, v, reference, scale)


@njit(cache=True, nogil=True)
def _flip_better(mesh, used):  # type: ignore[no-untyped-def]
    """Flips inner edges where that makes the smaller of the two triangles' smallest angles larger."""
    shared = np.empty(2, np.int64)
    ring = np.empty(2 * MAX_VALENCE, np.int64)
    n1, n2, m1, m2 = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for f in range(used[1]):
        for corner in range(3):
            if mesh.faces[f, 0] < 0:
                break
            a, b, c = mesh.faces[f, corner], mesh.faces[f, (corner + 1) % 3], mesh.faces[f, (corner + 2) % 3]
            if _shared_faces(mesh, a, b, shared) != 2:
                continue
            g = shared[0] if shared[1] == f else shared[1]
            d = _third(mesh, g, a, b)
            if d < 0 or d == c or (mesh.rim[c] and mesh.rim[d]):
                continue
            if mesh.valence[a] <= (2 if mesh.rim[a] else 4) or mesh.valence[b] <= (2 if mesh.rim[b] else 4):
                continue
            if mesh.valence[c] >= LARGEST_VALENCE or mesh.valence[d] >= LARGEST_VALENCE:
                continue
            pa, pb, pc, pd = mesh.points[a], mesh.points[b], mesh.points[c], mesh.points[d]
            now = min(_quality(pa, pb, pc), _quality(pb, pa, pd))
            then = min(_quality(pc, pd, pb), _quality(pd, pc, pa))
            if then <= now * 1.001 + 1e-6:
                continue
            joined = False
            for n in range(_ring(mesh, c, ring)):
                joined = joined or ring[n] == d
            if joined:
                continue
            # The surface may not fold: the new pair is as flat as the old one, or flat enough.
            s1, s2 = _cross(pa, pb, pc, n1), _cross(pb, pa, pd, n2)
            t1, t2 = _cross(pc, pd, pb, m1), _cross(pd, pc, pa, m2)
            old = (n1[0] * n2[0] + n1[1] * n2[1] + n1[2] * n2[2]) / max(s1 * s2, 1e-30)
            new = (m1[0] * m2[0] + m1[1] * m2[1] + m1[2] * m2[2]) / max(t1 * t2, 1e-30)
            if new < min(0.8, old):
                continue
            n1 += n2
            size = np.sqrt(n1[0] ** 2 + n1[1] ** 2 + n1[2] ** 2)
            if n1[0] * m1[0] + n1[1] * m1[1] + n1[2] * m1[2] < 0.3 * size * t1:
                continue
            if n1[0] * m2[0] + n1[1] * m2[1] + n1[2] * m2[2] < 0.3 * size * t2:
                continue
            mesh.faces[f, 0], mesh.faces[f, 1], mesh.faces[f, 2] = c, d, b
            mesh.faces[g, 0], mesh.faces[g, 1], mesh.faces[g, 2] = d, c, a
            _leave_fan(mesh, a, f)
            _leave_fan(mesh, b, g)
            _join_fan(mesh, d, f)
            _join_fan(mesh, c, g)


@njit(cache=True, nogil=True)
def _smooth(mesh, used, reference):  # type: ignore[no-untyped-def]
    """Moves each vertex along the surface towards its faces' centre, large targets pulling less, and projects it."""
    position, normal, n = np.empty(3), np.empty(3), np.empty(3)
    for v in range(used[0]):
        if mesh.valence[v] == 0:
            continue
        _normal(mesh, v, normal)
        position[:] = 0.0
        total = 0.0
        for m in range(mesh.valence[v]):
            f = mesh.faces[mesh.fans[v, m]]
            a, b, c = mesh.points[f[0]], mesh.points[f[1]], mesh.points[f[2]]
            length = (mesh.lengths[f[0]] + mesh.lengths[f[1]] + mesh.lengths[f[2]]) / 3
            weight = _cross(a, b, c, n) / length**3
            total += weight
            position += weight * (a + b + c) / 3
        position /= max(total, 1e-30)
        position -= mesh.points[v]
        along = position[0] * normal[0] + position[1] * normal[1] + position[2] * normal[2]
        position -= along * normal
        if mesh.rim[v]:
            position[0] = 0.0
        for attempt in range(2):
            moved = mesh.points[v] + position * (1.0 if attempt == 0 else 0.4)
            if project(moved, normal, mesh.rim[v], reference, SEARCH_RINGS) and _fits(mesh, v, moved, -1, -1, normal, SMOOTH_SINE):
                mesh.points[v] = moved
                break
