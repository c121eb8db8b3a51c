"""Numba kernels for silhouette antialiasing: find where an edge crosses between two pixel centres, blend, differentiate.

After section 3.5 of Laine et al. 2020: for each pair of horizontal or vertical neighbours that show different triangles,
the silhouette edge of the nearer surface crosses the segment between their centres at a distance t (0 at the nearer
surface's pixel, 1 at the other). t < 1/2: the nearer's own pixel takes a share 1/2 - t of the other's colour;
t > 1/2: the other pixel takes a share t - 1/2 of the nearer's. Summed, coverage moves with the edge, and so do gradients.

One difference from nvdiffrast: it looks for the silhouette among the edges of the nearer pixel's own triangle, which
misses most of them once triangles are as small as pixels. Here the walk goes on from triangle to triangle along the segment
(through edges that continue on the screen) until an edge has no neighbour or folds back. On triangles larger than a pixel
both give the same.

Positions are homogeneous pixel coordinates (`raster_kernels`). The line through Pa and Pb is L = Pa x Pb, and a pixel
p + t d lies on it where t = -(L . p) / (L . d). Meshes are shared by the batch; `neighbours` is theirs alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.render.raster_kernels import SMALLEST_W, _cross, pixel_positions, pixel_to_clip_gradient
from backend.types import FloatArray, IntArray

LONGEST_WALK = 64
"""Triangles crossed between two pixel centres before the search gives up (a bound against malformed meshes)."""


@njit(cache=True, nogil=True)
def find_neighbours(faces: IntArray, vertices: int) -> IntArray:
    """(F, 3) int32: the face across the edge opposite to each corner, -1 at borders and at edges of more than two faces."""
    count = faces.shape[0]
    slots = 16
    while slots < 6 * count:
        slots *= 2
    first = np.full(slots, -1, np.int64)  # half-edge 3 f + k that came first; the table is open addressed
    keys = np.empty(slots, np.int64)
    seen = np.zeros(slots, np.int32)
    result = np.full((count, 3), -1, np.int32)
    for f in range(count):
        for k in range(3):
            a, b = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
            if a == b:
                continue
            key = np.int64(min(a, b)) * vertices + max(a, b)
            slot = ((key * 2654435761) >> 7) & (slots - 1)
            while first[slot] >= 0 and keys[slot] != key:
                slot = (slot + 1) & (slots - 1)
            seen[slot] += 1
            if first[slot] < 0:
                first[slot] = 3 * f + k
                keys[slot] = key
            elif seen[slot] == 2:
                g, m = first[slot] // 3, first[slot] % 3
                result[f, k] = g
                result[g, m] = f
            else:
                g, m = first[slot] // 3, first[slot] % 3
                h = result[g, m]
                result[g, m] = -1
                if h >= 0:
                    for n in range(3):
                        if result[h, n] == g and faces[h, n] != a and faces[h, n] != b:
                            result[h, n] = -1
    return result


@njit(cache=True, nogil=True, inline="always")
def _crossing(pos, a, b, px, py, dx, dy):  # type: ignore[no-untyped-def]
    lx, ly, lw = _cross(pos[a, 0], pos[a, 1], pos[a, 2], pos[b, 0], pos[b, 1], pos[b, 2])
    across = lx * dx + ly * dy
    if across == 0.0:
        return np.inf
    return -(lx * px + ly * py + lw) / across


@njit(cache=True, nogil=True, inline="always")
def _side(pos, a, px, py, dx):  # type: ignore[no-untyped-def]
    """Which side of the pair's own line a vertex lies on (dx == 0: the line is vertical)."""
    if dx == 0.0:
        return pos[a, 0] - px * pos[a, 2] >= 0.0
    return pos[a, 1] - py * pos[a, 2] >= 0.0


@njit(cache=True, nogil=True, inline="always")
def _faces_pair(pos, a, b, downward):  # type: ignore[no-untyped-def]
    """Whether the edge is the pair's own to blend: steep edges are the horizontal pairs', flat ones the vertical pairs'.

    Each crosses one pair of its kind in every row (column); blending at both would move twice the area.
    """
    lx, ly, _ = _cross(pos[a, 0], pos[a, 1], pos[a, 2], pos[b, 0], pos[b, 1], pos[b, 2])
    return abs(ly) > abs(lx) if downward else abs(lx) >= abs(ly)


@njit(cache=True, nogil=True)
def _walk(pos, faces, neighbours, face, goal, px, py, dx, dy):  # type: ignore[no-untyped-def]
    """From a pixel centre in `face` one pixel along (dx, dy): (status, a, b, t).

    status 1: the surface ends at edge a-b, at distance t; 0: it covers the other centre too; -1: it leads to `goal`.
    """
    best, corner = -np.inf, -1
    for k in range(3):
        a, b = faces[face, (k + 1) % 3], faces[face, (k + 2) % 3]
        if not (pos[faces[face, k], 2] > SMALLEST_W):
            return 0, 0, 0, 0.0
        if _side(pos, a, px, py, dx) != _side(pos, b, px, py, dx):
            t = _crossing(pos, a, b, px, py, dx, dy)
            if best < t < np.inf:
                best, corner = t, k
    if corner < 0:
        return 0, 0, 0, 0.0
    own = faces[face, corner]
    a, b = faces[face, (corner + 1) % 3], faces[face, (corner + 2) % 3]
    for _ in range(LONGEST_WALK):
        t = _crossing(pos, a, b, px, py, dx, dy)
        if not (t <= 1.0):
            return 0, 0, 0, 0.0
        t = max(t, 0.0)
        following = neighbours[face, corner]
        if following < 0:
            return 1, a, b, t
        c = -1
        for k in range(3):
            if faces[following, k] != a and faces[following, k] != b:
                c = faces[following, k]
        if c < 0 or not (pos[c, 2] > SMALLEST_W):
            return 0, 0, 0, 0.0
        lx, ly, lw = _cross(pos[a, 0], pos[a, 1], pos[a, 2], pos[b, 0], pos[b, 1], pos[b, 2])
        here = lx * pos[own, 0] + ly * pos[own, 1] + lw * pos[own, 2]
        there = lx * pos[c, 0] + ly * pos[c, 1] + lw * pos[c, 2]
        if (here > 0.0 and there > 0.0) or (here < 0.0 and there < 0.0):
            return 1, a, b, t
        if following == goal:
            return -1, 0, 0, 0.0
        if _side(pos, c, px, py, dx) == _side(pos, a, px, py, dx):
            own, a = a, c
        else:
            own, b = b, c
        face = following
        for k in range(3):
            if faces[face, k] == own:
                corner = k
    return 0, 0, 0, 0.0


@njit(cache=True, nogil=True)
def find_crossings(
    clip: FloatArray, faces: IntArray, neighbours: IntArray, rast: FloatArray, color: FloatArray, every: bool,
    begin: int, end: int, pairs: IntArray, places: FloatArray
) -> int:  # fmt: skip
    """Silhouette crossings of the pairs that start in rows begin..end (right and downward neighbours); returns their number.

    color (h, w, C): pairs of equal colour are left out unless `every`: they change nothing but the colours' own gradient.
    Fills pairs[i] = (near pixel, other pixel, a, b) with pixels as y w + x, and places[i] = t.
    """
    height, width = rast.shape[0], rast.shape[1]
    pos = np.empty((clip.shape[0], 3), np.float64)
    pixel_positions(clip, height, width, pos)
    count = 0
    for y in range(begin, end):
        for x in range(width):
            first = int(rast[y, x, 3])
            for downward in range(2):
                x1, y1 = x + 1 - downward, y + downward
                if x1 >= width or y1 >= height:
                    continue
                second = int(rast[y1, x1, 3])
                if first == second:
                    continue
                if not every:
                    same = True
                    for c in range(color.shape[2]):
                        same = same and color[y, x, c] == color[y1, x1, c]
                    if same:
                        continue
                swapped = first == 0 or (second > 0 and rast[y1, x1, 2] < rast[y, x, 2])
                for _ in range(2):  # the nearer surface first, then the one behind it, if any
                    nx, ny, ox, oy, near, other = x, y, x1, y1, first, second
                    if swapped:
                        nx, ny, ox, oy, near, other = x1, y1, x, y, second, first
                    if near == 0:
                        break
                    status, a, b, t = _walk(pos, faces, neighbours, near - 1, other - 1, nx + 0.5, ny + 0.5, float(ox - nx), float(oy - ny))
                    if status == 1 and _faces_pair(pos, a, b, downward == 1):
                        pairs[count, 0] = ny * width + nx
                        pairs[count, 1] = oy * width + ox
                        pairs[count, 2] = a
                        pairs[count, 3] = b
                        places[count] = t
                        count += 1
                    if status != 0:
                        break
                    swapped = not swapped
    return count


@njit(cache=True, nogil=True)
def blend(pairs: IntArray, places: FloatArray, color: FloatArray, out: FloatArray) -> None:
    """Add each crossing's share to out (pixels, C), which starts as a copy of color (pixels, C)."""
    for i in range(pairs.shape[0]):
        share = places[i] - np.float32(0.5)
        target, source = (pairs[i, 1], pairs[i, 0]) if share > 0.0 else (pairs[i, 0], pairs[i, 1])
        for c in range(color.shape[1]):
            out[target, c] += abs(share) * (color[source, c] - color[target, c])


@njit(cache=True, nogil=True)
def blend_gradient(
    pairs: IntArray, places: FloatArray, color: FloatArray, clip: FloatArray, height: int, width: int, grad_out: FloatArray,
    grad_color: FloatArray, grad_clip: FloatArray
) -> None:  # fmt: skip
    """Gradient of `find_crossings` + `blend` for one picture; serial, so that the sums have one order.

    grad_out (pixels, C); grad_color (pixels, C) starts as a copy of it; grad_clip (V, 4) is overwritten.
    """
    pos = np.empty((clip.shape[0], 3), np.float64)
    pixel_positions(clip, height, width, pos)
    grad = np.zeros((clip.shape[0], 3), np.float64)
    for i in range(pairs.shape[0]):
        near, other, a, b = pairs[i, 0], pairs[i, 1], pairs[i, 2], pairs[i, 3]
        share = places[i] - np.float32(0.5)
        sign = 1.0 if share > 0.0 else -1.0
        target, source = (other, near) if share > 0.0 else (near, other)
        g = 0.0
        for c in range(color.shape[1]):
            incoming = grad_out[target, c]
            g += float(incoming) * (float(color[source, c]) - float(color[target, c]))
            grad_color[source, c] += abs(share) * incoming
            grad_color[target, c] -= abs(share) * incoming
        g *= sign
        if g == 0.0:
            continue
        px, py = near % width + 0.5, near // width + 0.5
        dx, dy = float(other % width - near % width), float(other // width - near // width)
        ax, ay, aw, bx, by, bw = pos[a, 0], pos[a, 1], pos[a, 2], pos[b, 0], pos[b, 1], pos[b, 2]
        lx, ly, lw = _cross(ax, ay, aw, bx, by, bw)
        across = lx * dx + ly * dy
        along = lx * px + ly * py + lw
        # t = -along / across
        gx = g * (-px / across + along / across**2 * dx)
        gy = g * (-py / across + along / across**2 * dy)
        gw = g * (-1.0 / across)
        x, y, w = _cross(bx, by, bw, gx, gy, gw)
        grad[a, 0] += x
        grad[a, 1] += y
        grad[a, 2] += w
        x, y, w = _cross(gx, gy, gw, ax, ay, aw)
        grad[b, 0] += x
        grad[b, 1] += y
        grad[b, 2] += w
    pixel_to_clip_gradient(grad, height, width, grad_clip)
