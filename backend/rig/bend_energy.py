"""What test bends of one bone do to a limb's skin, as an energy of one scalar field, with its gradient.

Enters: rest vertices of a limb and around it, a hinge, angles, and the field s (n,), the share by which each vertex follows the turn:
x -> x + s (T x - x). Leaves E(s) and dE/ds, with

    E(s) = sum over bends: VOLUME_WEIGHT max(0, |V(s) / V(0) - 1| - VOLUME_ALLOWED)^2
           + SECTION_WEIGHT max(0, SECTION_KEPT - A(s) / A(0))^2 + sum over triangles: h(FOLD_MARGIN - c(s)),

V being the volume of the limb's patch closed by a fan over its rim, A the vector area of the joint's section, c a triangle's posed
normal along its blended rotation of the rest normal, over the rest area squared (times 4), and h(x) = x^2 up to 1, 2 x - 1 beyond,
0 below 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from backend.rig.checks import open_rim
from backend.rig.rotations import axis_angle_to_matrix
from backend.rig.sections import Loop, loop_area

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

VOLUME_ALLOWED, VOLUME_WEIGHT = 0.078, 1000.0
"""Share of the limb's volume that a bend may change at no cost; what must hold is a tenth."""
SECTION_KEPT, SECTION_WEIGHT = 0.65, 1000.0
"""Share of the joint's section that a bend must leave to cost nothing; what must hold is 0.6."""
FOLD_MARGIN = 0.12
"""Of a triangle's rest area: what is left of it, seen along its blended normal, in any bend."""


class BendEnergy:
    """E(s) of the module for one bone: vertices (n, 3) of the fold, triangles that may fold (f, 3), the limb's patch (p, 3), the hinge's
    frame (4, 4), turning about its X, the angles in radians, and the loop round the joint, if one is asked to stay."""

    def __init__(
        self, vertices: Array, faces: Indices, patch: Indices, hinge: Array, angles: list[float], section: Loop | None = None
    ) -> None:
        self.vertices, self.faces, self.patch, self.section = vertices, faces, patch, section
        self.rim = np.unique(open_rim(patch, len(vertices))[:, 0])
        a, b, c = vertices[faces].transpose(1, 0, 2)
        self.normals = np.cross(b - a, c - a)
        self.squares = (self.normals * self.normals).sum(1).clip(1e-18)
        turns = axis_angle_to_matrix(hinge[:3, 0], np.array(angles))
        self.moved = np.stack([(vertices - hinge[:3, 3]) @ turn.T + hinge[:3, 3] - vertices for turn in turns])  # (t, n, 3)
        self.turned = np.stack([self.normals @ turn.T - self.normals for turn in turns])  # (t, f, 3)
        self.whole = float(_volume(vertices, patch, self.rim, np.zeros_like(vertices)))
        self.opening = 1.0 if section is None else loop_area(vertices, section)

    def __call__(self, field: Array) -> tuple[float, Array]:
        """s (n,) -> E and its gradient (n,)."""
        total, gradient = 0.0, np.zeros(len(field))
        for moved, turned in zip(self.moved, self.turned, strict=True):
            posed = self.vertices + field[:, None] * moved
            slope = np.zeros_like(posed)
            change = _volume(posed, self.patch, self.rim, slope) / self.whole - 1
            over = abs(change) - VOLUME_ALLOWED
            if over > 0:
                total += VOLUME_WEIGHT * over**2
                gradient += 2 * VOLUME_WEIGHT * over * math.copysign(1, change) / self.whole * (slope * moved).sum(1)
            if self.section is not None:
                total += _pinch(*self.section, posed, moved, self.opening, gradient)
            total += _folds(field, posed, moved, turned, self.normals, self.squares, self.faces, gradient)
        return total, gradient


def compile_kernels() -> None:
    """Has numba compile and cache this room's kernels: set-up's, not a job's."""
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3]])
    section = np.array([[0, 1], [0, 2], [0, 3]]), np.full(3, 0.5)
    BendEnergy(corners, faces, faces, np.eye(4), [0.5], section)(np.array([0.0, 0.5, 0.5, 1.0]))


@njit(cache=True)
def _pinch(edges, shares, posed, moved, opening, gradient):  # type: ignore[no-untyped-def]
    """What the loss of a section of area `opening` costs; adds its gradient (n,)."""
    count = len(edges)
    points = np.empty((count, 3))
    for number in range(count):
        for axis in range(3):
            points[number, axis] = posed[edges[number, 0], axis] * (1 - shares[number]) + posed[edges[number, 1], axis] * shares[number]
    area = np.zeros(3)
    for number in range(count):
        p, q = points[number], points[(number + 1) % count]
        area[0] += (p[1] * q[2] - p[2] * q[1]) / 2
        area[1] += (p[2] * q[0] - p[0] * q[2]) / 2
        area[2] += (p[0] * q[1] - p[1] * q[0]) / 2
    size = math.sqrt(area[0] ** 2 + area[1] ** 2 + area[2] ** 2)
    lack = SECTION_KEPT - size / opening
    if lack <= 0:
        return 0.0
    pull = -SECTION_WEIGHT * lack / opening / max(size, 1e-12)
    for number in range(count):
        d = points[(number + 1) % count] - points[number - 1]  # the size's slope here is d x area / (2 size)
        x, y, z = d[1] * area[2] - d[2] * area[1], d[2] * area[0] - d[0] * area[2], d[0] * area[1] - d[1] * area[0]
        for end, share in enumerate((1 - shares[number], shares[number])):
            vertex = edges[number, end]
            gradient[vertex] += share * pull * (x * moved[vertex, 0] + y * moved[vertex, 1] + z * moved[vertex, 2])
    return SECTION_WEIGHT * lack**2


@njit(cache=True)
def _volume(posed, patch, rim, slope):  # type: ignore[no-untyped-def]
    """Of the patch and a fan over its rim to the rim's middle; adds its gradient to slope (n, 3)."""
    mx = my = mz = 0.0
    for vertex in rim:
        mx += posed[vertex, 0] / len(rim)
        my += posed[vertex, 1] / len(rim)
        mz += posed[vertex, 2] / len(rim)
    total = sx = sy = sz = 0.0
    for number in range(len(patch)):
        for corner in range(3):
            vertex, after, last = patch[number, corner], patch[number, (corner + 1) % 3], patch[number, (corner + 2) % 3]
            px, py, pz = posed[after, 0] - mx, posed[after, 1] - my, posed[after, 2] - mz
            qx, qy, qz = posed[last, 0] - mx, posed[last, 1] - my, posed[last, 2] - mz
            x, y, z = (py * qz - pz * qy) / 6, (pz * qx - px * qz) / 6, (px * qy - py * qx) / 6
            slope[vertex, 0] += x
            slope[vertex, 1] += y
            slope[vertex, 2] += z
            sx, sy, sz = sx + x, sy + y, sz + z
            if corner == 0:
                total += (posed[vertex, 0] - mx) * x + (posed[vertex, 1] - my) * y + (posed[vertex, 2] - mz) * z
    # The middle moves with the rim; moving all vertices and the middle alike would change nothing.
    for vertex in rim:
        slope[vertex, 0] -= sx / len(rim)
        slope[vertex, 1] -= sy / len(rim)
        slope[vertex, 2] -= sz / len(rim)
    return total


@njit(cache=True)
def _folds(field, posed, moved, turned, normals, squares, faces, gradient):  # type: ignore[no-untyped-def]
    """Sum of h over triangles; adds its gradient (n,)."""
    total = 0.0
    for number in range(len(faces)):
        i, j, k = faces[number, 0], faces[number, 1], faces[number, 2]
        share = (field[i] + field[j] + field[k]) / 3
        # Edges from the first corner, their normal n, and the blended normal b.
        px, py, pz = posed[j, 0] - posed[i, 0], posed[j, 1] - posed[i, 1], posed[j, 2] - posed[i, 2]
        qx, qy, qz = posed[k, 0] - posed[i, 0], posed[k, 1] - posed[i, 1], posed[k, 2] - posed[i, 2]
        nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        bx = normals[number, 0] + share * turned[number, 0]
        by = normals[number, 1] + share * turned[number, 1]
        bz = normals[number, 2] + share * turned[number, 2]
        gap = FOLD_MARGIN - (nx * bx + ny * by + nz * bz) / squares[number]
        if gap <= 0:
            continue
        total += gap * gap if gap < 1 else 2 * gap - 1
        pull = -(2 * gap if gap < 1 else 2.0) / squares[number]
        common = (nx * turned[number, 0] + ny * turned[number, 1] + nz * turned[number, 2]) / 3
        for corner in range(3):
            vertex = faces[number, corner]
            # The edge opposite the corner: the normal is linear in each corner, with d x edge for a corner's move d.
            after, last = faces[number, (corner + 1) % 3], faces[number, (corner + 2) % 3]
            ex, ey, ez = posed[after, 0] - posed[last, 0], posed[after, 1] - posed[last, 1], posed[after, 2] - posed[last, 2]
            dx, dy, dz = moved[vertex, 0], moved[vertex, 1], moved[vertex, 2]
            x, y, z = dy * ez - dz * ey, dz * ex - dx * ez, dx * ey - dy * ex
            gradient[vertex] += pull * (x * bx + y * by + z * bz + common)
    return total
