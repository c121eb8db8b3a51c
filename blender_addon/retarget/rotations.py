"""Rotations in numpy, batched over leading axes: matrices (..., 3, 3) for column vectors, quaternions wxyz, Rx Ry Rz angles.

The angles are those of the backend's template: a vector is first turned about Z, then Y, then X.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SHORTEST = 1e-9
"""Below this a vector has no direction."""


def unit(vectors: Array) -> Array:
    """(..., 3) -> the same of length 1; what has no length stays as it is."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > SHORTEST, length, 1.0)


def rotation_part(matrices: Array) -> Array:
    """(..., 4, 4) or (..., 3, 3), perhaps scaled -> (..., 3, 3) the rotation in it, its Y axis kept exactly."""
    y = unit(matrices[..., :3, 1])
    x = matrices[..., :3, 0]
    x = unit(x - (x * y).sum(-1, keepdims=True) * y)
    return np.stack([x, y, np.cross(x, y)], -1)


def transposed(matrices: Array) -> Array:
    """(..., 3, 3) -> the inverse of rotations."""
    return np.swapaxes(matrices, -1, -2)


def apply(matrices: Array, vectors: Array) -> Array:
    """(..., 3, 3) and (..., 3) -> (..., 3)."""
    return (matrices @ vectors[..., None])[..., 0]


def shortest_turn(start: Array, end: Array) -> Array:
    """Directions (..., 3) -> (..., 3, 3), the smallest rotation that takes the first to the second (none where one has no length)."""
    a, b = np.broadcast_arrays(unit(start), unit(end))
    cosine = (a * b).sum(-1)
    axis = np.cross(a, b)
    # Opposite directions: half a turn about anything across them.
    opposite = cosine < -1 + 1e-9
    across = np.cross(a, np.eye(3)[np.abs(a).argmin(-1)])
    half = 2 * unit(across)[..., :, None] * unit(across)[..., None, :] - np.eye(3)
    cross = skew(axis)
    turn = np.eye(3) + cross + cross @ cross / np.where(opposite, 1.0, 1 + cosine)[..., None, None]
    return np.where(opposite[..., None, None], half, turn)


def skew(vectors: Array) -> Array:
    """(..., 3) -> (..., 3, 3) whose product with w is the cross product with w."""
    out = np.zeros((*vectors.shape, 3))
    x, y, z = np.moveaxis(vectors, -1, 0)
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -z, y, -x
    out[..., 1, 0], out[..., 2, 0], out[..., 2, 1] = z, -y, x
    return out


def nearest_rotation(matrices: Array) -> Array:
    """(..., 3, 3), for instance a mean of rotations -> the rotation closest to it."""
    u, _, v = np.linalg.svd(matrices)
    u[..., 2] *= np.sign(np.linalg.det(u @ v))[..., None]
    return u @ v


def to_quaternions(matrices: Array) -> Array:
    """(..., 3, 3) -> (..., 4) wxyz. Row k of the table is 4 q_k q; the largest q_k divides (Shepperd 1978)."""
    (a, b, c), (d, e, f), (g, h, i) = (np.moveaxis(row, -1, 0) for row in np.moveaxis(matrices, -2, 0))
    rows = [
        1 + a + e + i, h - f, c - g, d - b,
        h - f, 1 + a - e - i, b + d, c + g,
        c - g, b + d, 1 - a + e - i, f + h,
        d - b, c + g, f + h, 1 - a - e + i,
    ]  # fmt: skip
    table = np.stack(rows, -1).reshape(*matrices.shape[:-2], 4, 4)
    largest = np.einsum("...kk->...k", table).argmax(-1)
    row = np.take_along_axis(table, largest[..., None, None], -2)[..., 0, :]
    return row / np.linalg.norm(row, axis=-1, keepdims=True)


def to_matrices(quaternions: Array) -> Array:
    """(..., 4) wxyz, of any length but 0 -> (..., 3, 3)."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    s = 2 / (quaternions**2).sum(-1)
    rows = [
        1 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y),
        s * (x * y + w * z), 1 - s * (x * x + z * z), s * (y * z - w * x),
        s * (x * z - w * y), s * (y * z + w * x), 1 - s * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, -1).reshape(*quaternions.shape[:-1], 3, 3)


def continuous(quaternions: Array) -> Array:
    """(t, ..., 4) -> the same rotations, the first with w >= 0, each with the sign that is nearer to the one before."""
    turned = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    flips = np.concatenate([quaternions[:1, ..., 0] < 0, turned])
    return quaternions * np.where(np.cumsum(flips, 0) % 2 == 1, -1.0, 1.0)[..., None]


def to_angles(matrices: Array) -> Array:
    """(..., 3, 3) -> (..., 3) radians about X, Y, Z (Rx Ry Rz), |Y| <= pi / 2."""
    x = np.arctan2(-matrices[..., 1, 2], matrices[..., 2, 2])
    y = np.arcsin(np.clip(matrices[..., 0, 2], -1, 1))
    z = np.arctan2(-matrices[..., 0, 1], matrices[..., 0, 0])
    return np.stack([x, y, z], -1)


def from_angles(angles: Array) -> Array:
    """(..., 3) radians about X, Y, Z -> (..., 3, 3), Rx Ry Rz."""
    (cx, cy, cz), (sx, sy, sz) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    rows = [
        cy * cz, -cy * sz, sy,
        sx * sy * cz + cx * sz, -sx * sy * sz + cx * cz, -sx * cy,
        -cx * sy * cz + sx * sz, cx * sy * sz + sx * cz, cx * cy,
    ]  # fmt: skip
    return np.stack(rows, -1).reshape(*angles.shape[:-1], 3, 3)


def angle_between(first: Array, second: Array) -> Array:
    """Directions (..., 3) -> (...,) radians, exact for small angles too."""
    return np.arctan2(np.linalg.norm(np.cross(first, second), axis=-1), (first * second).sum(-1))
