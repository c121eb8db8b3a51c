"""A forward renderer for training pictures: z-buffer, smooth normals, textured coat with a pattern, one lamp and sky.

Enters vertices in the camera's frame and a coat; leaves colour, coverage and depth. numba, one thread, no gradients:
`backend.render` is for fitting, this is for making many pictures fast. Row 0 is the top, pixel centres at +0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from backend.types import ByteArray, FloatArray, IntArray

NEAREST = 1e-3


@dataclass(frozen=True)
class Coat:
    """skin: (h, w, 3) uint8; tint: (3, 4) affine map of linear-ish colour in [0, 1]; waves: (n, 5) direction times
    frequency (3), phase and amplitude of the pattern over the rest body; pattern: colour (3,), threshold, softness,
    strength; with no waves there is no pattern."""

    skin: ByteArray
    tint: FloatArray
    waves: FloatArray
    pattern: FloatArray


@dataclass(frozen=True)
class Light:
    """direction: (3,) unit, toward the lamp, camera frame; lamp, sky, ground: (3,) colours; up: (3,) world up in the camera frame;
    gloss: strength of a soft highlight."""

    direction: FloatArray
    up: FloatArray
    lamp: FloatArray
    sky: FloatArray
    ground: FloatArray
    gloss: float


@njit(cache=True)
def _fill(points, depth, faces, size, zbuffer, ids, bary):  # type: ignore[no-untyped-def]
    """points (v, 2) pixels; depth (v,); perspective-correct barycentrics of vertices 0 and 1."""
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        za, zb, zc = depth[a], depth[b], depth[c]
        if za < NEAREST or zb < NEAREST or zc < NEAREST:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12:
            continue
        left = max(0, int(np.floor(min(ax, bx, cx) - 0.5)))
        right = min(size - 1, int(np.ceil(max(ax, bx, cx) - 0.5)))
        top = max(0, int(np.floor(min(ay, by, cy) - 0.5)))
        bottom = min(size - 1, int(np.ceil(max(ay, by, cy) - 0.5)))
        for y in range(top, bottom + 1):
            py = y + 0.5
            for x in range(left, right + 1):
                px = x + 0.5
                wa = ((bx - px) * (cy - py) - (by - py) * (cx - px)) / area
                if wa < 0 or wa > 1:
                    continue
                wb = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) / area
                wc = 1 - wa - wb
                if wb < 0 or wc < 0:
                    continue
                inverse = wa / za + wb / zb + wc / zc
                z = 1 / inverse
                if z < zbuffer[y, x]:
                    zbuffer[y, x] = z
                    ids[y, x] = f
                    bary[y, x, 0] = wa / za * z
                    bary[y, x, 1] = wb / zb * z


@njit(cache=True, fastmath=True)
def _shade(ids, bary, faces, normals, rest, uvs, skin, tint, waves, pattern, toward, up, lamp, sky, ground, gloss, out):  # type: ignore[no-untyped-def]
    height, width = skin.shape[0], skin.shape[1]
    for y in range(ids.shape[0]):
        for x in range(ids.shape[1]):
            f = ids[y, x]
            if f < 0:
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            wa, wb = bary[y, x, 0], bary[y, x, 1]
            wc = 1 - wa - wb
            u = wa * uvs[a, 0] + wb * uvs[b, 0] + wc * uvs[c, 0]
            v = wa * uvs[a, 1] + wb * uvs[b, 1] + wc * uvs[c, 1]
            tx = (u - np.floor(u)) * width - 0.5
            ty = (1 - (v - np.floor(v))) * height - 0.5
            ix, iy = int(np.floor(tx)), int(np.floor(ty))
            fx, fy = tx - ix, ty - iy
            x0, x1, y0, y1 = ix % width, (ix + 1) % width, iy % height, (iy + 1) % height
            r, g, bl = 0.0, 0.0, 0.0
            for k in range(4):
                yy, xx = (y0, y1)[k // 2], (x0, x1)[k % 2]
                w = ((1 - fy), fy)[k // 2] * ((1 - fx), fx)[k % 2] / 255
                r += w * skin[yy, xx, 0]
                g += w * skin[yy, xx, 1]
                bl += w * skin[yy, xx, 2]
            cr = tint[0, 0] * r + tint[0, 1] * g + tint[0, 2] * bl + tint[0, 3]
            cg = tint[1, 0] * r + tint[1, 1] * g + tint[1, 2] * bl + tint[1, 3]
            cb = tint[2, 0] * r + tint[2, 1] * g + tint[2, 2] * bl + tint[2, 3]
            if len(waves) > 0:
                qx = abs(wa * rest[a, 0] + wb * rest[b, 0] + wc * rest[c, 0])
                qy = wa * rest[a, 1] + wb * rest[b, 1] + wc * rest[c, 1]
                qz = wa * rest[a, 2] + wb * rest[b, 2] + wc * rest[c, 2]
                value = 0.0
                for k in range(len(waves)):
                    value += waves[k, 4] * np.sin(waves[k, 0] * qx + waves[k, 1] * qy + waves[k, 2] * qz + waves[k, 3])
                m = min(1.0, max(0.0, (value - pattern[3]) / pattern[4] + 0.5)) * pattern[5]
                cr += m * (pattern[0] - cr)
                cg += m * (pattern[1] - cg)
                cb += m * (pattern[2] - cb)
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            if nz > 0.3:  # a sheet's back
                nx, ny, nz = -nx, -ny, -nz
            lambert = max(0.0, nx * toward[0] + ny * toward[1] + nz * toward[2])
            high = 0.5 + 0.5 * (nx * up[0] + ny * up[1] + nz * up[2])
            reflected = max(0.0, 2 * lambert * -nz + toward[2])
            shine = gloss * reflected**12
            out[y, x, 0] = min(1.0, max(0.0, cr * (lamp[0] * lambert + high * sky[0] + (1 - high) * ground[0]) + shine))
            out[y, x, 1] = min(1.0, max(0.0, cg * (lamp[1] * lambert + high * sky[1] + (1 - high) * ground[1]) + shine))
            out[y, x, 2] = min(1.0, max(0.0, cb * (lamp[2] * lambert + high * sky[2] + (1 - high) * ground[2]) + shine))


@njit(cache=True)
def _normals(vertices, faces, index, count):  # type: ignore[no-untyped-def]
    total = np.zeros((count, 3))
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in range(3):
            w = index[faces[f, k]]
            total[w, 0] += nx
            total[w, 1] += ny
            total[w, 2] += nz
    out = np.empty((len(vertices), 3), np.float32)
    for v in range(len(vertices)):
        w = index[v]
        length = np.sqrt(total[w, 0] ** 2 + total[w, 1] ** 2 + total[w, 2] ** 2) + 1e-12
        for k in range(3):
            out[v, k] = total[w, k] / length
    return out


def draw(
    seen: FloatArray, faces: IntArray, index: NDArray[np.int64], rest: FloatArray, uvs: FloatArray, focal: float, size: int,
    coat: Coat, light: Light,
) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """seen: (v, 3) vertices in the OpenCV camera frame; index: welded place of each vertex; rest: (v, 3); focal in pixels.

    Returns colour (size, size, 3) in [0, 1], coverage (size, size) 0 or 1, depth (size, size), infinity where empty.
    """
    depth = np.ascontiguousarray(seen[:, 2], np.float64)
    pixels = focal * seen[:, :2].astype(np.float64) / np.maximum(depth, NEAREST)[:, None] + size / 2
    zbuffer = np.full((size, size), np.inf)
    ids = np.full((size, size), -1, np.int32)
    bary = np.zeros((size, size, 2))
    _fill(pixels, depth, faces, size, zbuffer, ids, bary)
    normals = _normals(seen, faces, index, int(index.max()) + 1)
    colour = np.zeros((size, size, 3), np.float32)
    _shade(
        ids, bary, faces, normals, rest, uvs, coat.skin, coat.tint, coat.waves, coat.pattern,
        light.direction, light.up, light.lamp, light.sky, light.ground, light.gloss, colour,
    )  # fmt: skip
    return colour, (ids >= 0).astype(np.float32), zbuffer.astype(np.float32)
