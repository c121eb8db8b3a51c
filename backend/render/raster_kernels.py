"""Numba kernels that draw triangles and carry gradients back: one picture at a time, no Python objects.

In: clip coordinates (V, 4) float32 and faces (F, 3) int32. Out: the four channels of `cpu.rasterize`.

Everything is done in *homogeneous pixel coordinates* P = (X, Y, w) with X = (x + w) width / 2 and
Y = (y + w) height / 2 (Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous Coordinates", 1997).
For a pixel centre p = (px, py, 1) and a triangle P0 P1 P2, r_i = (P_{i+1} x P_{i+2}) . p is b_i / w up to the
triangle's determinant, so that
    b_i = r_i / (r_0 + r_1 + r_2)    are perspective-correct barycentrics,
    z/w = sum(r_i z_i) / det         is linear on the screen,
and a triangle that reaches behind the camera needs no clipping polygon: the pixels where all r_i / det >= 0 are
those in front of the eye, and -1 <= z/w <= 1 cuts them at the near and the far plane.
Two triangles that share an edge see exactly negated r there (IEEE products commute, nothing is fused), so an inclusive
test leaves no hole between them; equal depths go to the lower index. The result does not depend on how rows are split.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from backend.types import FloatArray, IntArray

SMALLEST_W = 1e-8
"""Below this clip w a vertex counts as behind the eye: its triangle is bounded by the whole picture."""

SMALLEST_AREA = 1e-7
"""Twice the area, in square pixels, below which a triangle is drawn as nothing (its depth plane would be noise)."""


@njit(cache=True, nogil=True, inline="always")
def _cross(ax, ay, aw, bx, by, bw):  # type: ignore[no-untyped-def]
    return ay * bw - aw * by, aw * bx - ax * bw, ax * by - ay * bx


@njit(cache=True, nogil=True)
def pixel_positions(clip: FloatArray, height: int, width: int, out: np.ndarray) -> None:
    """clip (V, 4) -> out (V, 3) float64, homogeneous pixel coordinates (X, Y, w)."""
    for v in range(clip.shape[0]):
        w = float(clip[v, 3])
        out[v, 0] = (float(clip[v, 0]) + w) * (0.5 * width)
        out[v, 1] = (float(clip[v, 1]) + w) * (0.5 * height)
        out[v, 2] = w


@njit(cache=True, nogil=True)
def rasterize_rows(clip: FloatArray, faces: IntArray, begin: int, end: int, rast: FloatArray) -> None:
    """Draw rows begin..end of one picture.

    clip: (V, 4); faces: (F, 3); rast: (h, w, 4) float32, rows begin..end are overwritten with
    (u, v, z/w, triangle + 1), zeros where nothing is drawn.
    """
    height, width = rast.shape[0], rast.shape[1]
    count = clip.shape[0]
    pos = np.empty((count, 3), np.float64)
    pixel_positions(clip, height, width, pos)
    screen = np.empty((count, 2), np.float64)
    for v in range(count):
        w = pos[v, 2]
        if w > SMALLEST_W:
            screen[v, 0] = pos[v, 0] / w
            screen[v, 1] = pos[v, 1] / w
        else:
            screen[v, 0] = np.nan
            screen[v, 1] = np.nan
    rows = end - begin
    depth = np.full((rows, width), 2.0, np.float64)
    owner = np.full((rows, width), -1, np.int32)
    for f in range(faces.shape[0]):
        i0, i1, i2 = faces[f, 0], faces[f, 1], faces[f, 2]
        w0, w1, w2 = pos[i0, 2], pos[i1, 2], pos[i2, 2]
        if w0 > SMALLEST_W and w1 > SMALLEST_W and w2 > SMALLEST_W:
            bottom = min(screen[i0, 1], screen[i1, 1], screen[i2, 1])
            top = max(screen[i0, 1], screen[i1, 1], screen[i2, 1])
            if not (top >= begin and bottom <= end):
                continue
            left = min(screen[i0, 0], screen[i1, 0], screen[i2, 0])
            right = max(screen[i0, 0], screen[i1, 0], screen[i2, 0])
            if not (right >= 0.0 and left <= width):
                continue
            y_first = math.ceil(max(bottom, float(begin)) - 0.5)
            y_last = math.floor(min(top, float(end)) - 0.5)
            x_first = math.ceil(max(left, 0.0) - 0.5)
            x_last = math.floor(min(right, float(width)) - 0.5)
            if y_first > y_last or x_first > x_last:
                continue
            smallest = SMALLEST_AREA * w0 * w1 * w2
        elif w0 > SMALLEST_W or w1 > SMALLEST_W or w2 > SMALLEST_W:
            y_first, y_last, x_first, x_last = begin, end - 1, 0, width - 1
            smallest = 0.0
        else:
            continue
        x0, y0, x1, y1, x2, y2 = pos[i0, 0], pos[i0, 1], pos[i1, 0], pos[i1, 1], pos[i2, 0], pos[i2, 1]
        a0, b0, c0 = _cross(x1, y1, w1, x2, y2, w2)
        a1, b1, c1 = _cross(x2, y2, w2, x0, y0, w0)
        a2, b2, c2 = _cross(x0, y0, w0, x1, y1, w1)
        det = x0 * a0 + y0 * b0 + w0 * c0
        if not (smallest < abs(det) < np.inf):
            continue
        if det < 0.0:
            a0, b0, c0, a1, b1, c1, a2, b2, c2, det = -a0, -b0, -c0, -a1, -b1, -c1, -a2, -b2, -c2, -det
        z0, z1, z2 = float(clip[i0, 2]) / det, float(clip[i1, 2]) / det, float(clip[i2, 2]) / det
        za, zb, zc = z0 * a0 + z1 * a1 + z2 * a2, z0 * b0 + z1 * b1 + z2 * b2, z0 * c0 + z1 * c1 + z2 * c2
        for y in range(max(y_first, begin), min(y_last, end - 1) + 1):
            py = y + 0.5
            row0, row1, row2, rowz = b0 * py + c0, b1 * py + c1, b2 * py + c2, zb * py + zc
            for x in range(x_first, min(x_last, width - 1) + 1):
                px = x + 0.5
                if a0 * px + row0 >= 0.0 and a1 * px + row1 >= 0.0 and a2 * px + row2 >= 0.0:
                    z = za * px + rowz
                    if -1.0 <= z <= 1.0 and z < depth[y - begin, x]:
                        depth[y - begin, x] = z
                        owner[y - begin, x] = f
    for y in range(begin, end):
        for x in range(width):
            f = owner[y - begin, x]
            if f < 0:
                rast[y, x, 0] = 0.0
                rast[y, x, 1] = 0.0
                rast[y, x, 2] = 0.0
                rast[y, x, 3] = 0.0
                continue
            r0, r1, r2 = _areas(pos, faces[f, 0], faces[f, 1], faces[f, 2], x + 0.5, y + 0.5)
            total = r0 + r1 + r2
            if total == 0.0:
                r0, r1, total = 1.0, 0.0, 1.0
            rast[y, x, 0] = min(max(r0 / total, 0.0), 1.0)
            rast[y, x, 1] = min(max(r1 / total, 0.0), 1.0)
            rast[y, x, 2] = depth[y - begin, x]
            rast[y, x, 3] = f + 1


@njit(cache=True, nogil=True, inline="always")
def _areas(pos, i0, i1, i2, px, py):  # type: ignore[no-untyped-def]
    """r_0, r_1, r_2 of a pixel centre in a triangle, with the determinant's sign."""
    x0, y0, w0 = pos[i0, 0], pos[i0, 1], pos[i0, 2]
    x1, y1, w1 = pos[i1, 0], pos[i1, 1], pos[i1, 2]
    x2, y2, w2 = pos[i2, 0], pos[i2, 1], pos[i2, 2]
    a0, b0, c0 = _cross(x1, y1, w1, x2, y2, w2)
    a1, b1, c1 = _cross(x2, y2, w2, x0, y0, w0)
    a2, b2, c2 = _cross(x0, y0, w0, x1, y1, w1)
    return a0 * px + (b0 * py + c0), a1 * px + (b1 * py + c1), a2 * px + (b2 * py + c2)


@njit(cache=True, nogil=True)
def pixel_to_clip_gradient(grad_pos: np.ndarray, height: int, width: int, grad_clip: FloatArray) -> None:
    """Chain rule of `pixel_positions`: grad_pos (V, 3) float64 -> grad_clip (V, 4) float32 (overwritten)."""
    for v in range(grad_pos.shape[0]):
        gx = grad_pos[v, 0] * (0.5 * width)
        gy = grad_pos[v, 1] * (0.5 * height)
        grad_clip[v, 0] = gx
        grad_clip[v, 1] = gy
        grad_clip[v, 2] = 0.0
        grad_clip[v, 3] = grad_pos[v, 2] + gx + gy


@njit(cache=True, nogil=True)
def rasterize_gradient(clip: FloatArray, faces: IntArray, rast: FloatArray, grad_rast: FloatArray, grad_clip: FloatArray) -> None:
    """Gradient of (u, v) with respect to clip positions; serial, so that the sums have one order.

    clip (V, 4), faces (F, 3), rast and grad_rast (h, w, 4); grad_clip (V, 4) is overwritten.
    With s = r_0 + r_1 + r_2:  dL/dr_i = (g_i - g_u u - g_v v) / s  and  dr_0/dP1 = P2 x p,  dr_0/dP2 = p x P1  (cyclic).
    """
    height, width = rast.shape[0], rast.shape[1]
    pos = np.empty((clip.shape[0], 3), np.float64)
    pixel_positions(clip, height, width, pos)
    grad = np.zeros((clip.shape[0], 3), np.float64)
    corner = np.empty((3, 3), np.float64)
    vertex = np.empty(3, np.int64)
    g = np.empty(3, np.float64)
    for y in range(height):
        for x in range(width):
            f = int(rast[y, x, 3]) - 1
            gu, gv = float(grad_rast[y, x, 0]), float(grad_rast[y, x, 1])
            if f < 0 or (gu == 0.0 and gv == 0.0):
                continue
            px, py = x + 0.5, y + 0.5
            for k in range(3):
                vertex[k] = faces[f, k]
                for c in range(3):
                    corner[k, c] = pos[vertex[k], c]
            r0, r1, r2 = _areas(pos, vertex[0], vertex[1], vertex[2], px, py)
            total = r0 + r1 + r2
            if total == 0.0:
                continue
            mean = (gu * r0 + gv * r1) / total
            g[0], g[1], g[2] = (gu - mean) / total, (gv - mean) / total, -mean / total
            for k in range(3):
                j, m = (k + 1) % 3, (k + 2) % 3
                gx, gy, gw = _cross(corner[m, 0], corner[m, 1], corner[m, 2], px, py, 1.0)
                grad[vertex[j], 0] += g[k] * gx
                grad[vertex[j], 1] += g[k] * gy
                grad[vertex[j], 2] += g[k] * gw
                gx, gy, gw = _cross(px, py, 1.0, corner[j, 0], corner[j, 1], corner[j, 2])
                grad[vertex[m], 0] += g[k] * gx
                grad[vertex[m], 1] += g[k] * gy
                grad[vertex[m], 2] += g[k] * gw
    pixel_to_clip_gradient(grad, height, width, grad_clip)


@njit(cache=True, nogil=True)
def interpolate_rows(attr: FloatArray, rast: FloatArray, faces: IntArray, begin: int, end: int, out: FloatArray) -> None:
    """attr (V, C), rast (h, w, 4) -> rows begin..end of out (h, w, C); zeros where nothing is drawn."""
    channels = attr.shape[1]
    for y in range(begin, end):
        for x in range(rast.shape[1]):
            f = int(rast[y, x, 3]) - 1
            if f < 0:
                for c in range(channels):
                    out[y, x, c] = 0.0
                continue
            i0, i1, i2 = faces[f, 0], faces[f, 1], faces[f, 2]
            u, v = rast[y, x, 0], rast[y, x, 1]
            t = np.float32(1.0) - u - v
            for c in range(channels):
                out[y, x, c] = u * attr[i0, c] + v * attr[i1, c] + t * attr[i2, c]


@njit(cache=True, nogil=True)
def interpolate_gradient(
    attr: FloatArray, rast: FloatArray, faces: IntArray, grad_out: FloatArray, want_attr: bool, grad_attr: np.ndarray, grad_rast: FloatArray
) -> None:
    """Gradient of `interpolate_rows` for one picture; serial, so that the sums have one order.

    grad_out (h, w, C); grad_attr (V, C) float64 is added to if want_attr; grad_rast (h, w, 4) is overwritten.
    """
    channels = attr.shape[1]
    for y in range(rast.shape[0]):
        for x in range(rast.shape[1]):
            f = int(rast[y, x, 3]) - 1
            gu, gv = 0.0, 0.0
            if f >= 0:
                i0, i1, i2 = faces[f, 0], faces[f, 1], faces[f, 2]
                u, v = float(rast[y, x, 0]), float(rast[y, x, 1])
                t = 1.0 - u - v
                for c in range(channels):
                    g = float(grad_out[y, x, c])
                    gu += g * (attr[i0, c] - attr[i2, c])
                    gv += g * (attr[i1, c] - attr[i2, c])
                    if want_attr:
                        grad_attr[i0, c] += u * g
                        grad_attr[i1, c] += v * g
                        grad_attr[i2, c] += t * g
            grad_rast[y, x, 0] = gu
            grad_rast[y, x, 1] = gv
            grad_rast[y, x, 2] = 0.0
            grad_rast[y, x, 3] = 0.0
