"""Rotations over frames, numpy: quaternions wxyz (..., 4), matrices (..., 3, 3), angles about X, Y, Z (..., 3) in radians.

R = Rx Ry Rz, as the limits of the skeleton's template count them (Blender calls this order ZYX).
"""

from __future__ import annotations

import numpy as np

from ..scene.asset_file import Array


def to_matrices(quaternions: Array) -> Array:
    """Unit wxyz (..., 4) -> (..., 3, 3)."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, -1).reshape(*w.shape, 3, 3)


def to_quaternions(matrices: Array) -> Array:
    """(..., 3, 3) -> unit wxyz (..., 4). Row k of `table` is 4 q_k q: the one with the largest q_k is taken (Shepperd 1978)."""
    m = matrices
    a, b, c, d, e, f, g, h, i = (m[..., r, k] for r in range(3) for k in range(3))
    rows = [
        1 + a + e + i, h - f, c - g, d - b,
        h - f, 1 + a - e - i, b + d, c + g,
        c - g, b + d, 1 - a + e - i, f + h,
        d - b, c + g, f + h, 1 - a - e + i,
    ]  # fmt: skip
    table = np.stack(rows, -1).reshape(*a.shape, 4, 4)
    largest = np.diagonal(table, axis1=-2, axis2=-1).argmax(-1)
    chosen = np.take_along_axis(table, largest[..., None, None], -2)[..., 0, :]
    return np.asarray(chosen / np.linalg.norm(chosen, axis=-1, keepdims=True))


def to_angles(matrices: Array) -> Array:
    """(..., 3, 3) -> (..., 3) with |Y| <= pi/2."""
    x = np.arctan2(-matrices[..., 1, 2], matrices[..., 2, 2])
    y = np.arcsin(np.clip(matrices[..., 0, 2], -1, 1))
    return np.stack([x, y, np.arctan2(-matrices[..., 0, 1], matrices[..., 0, 0])], -1)


def from_angles(angles: Array) -> Array:
    """(..., 3) -> (..., 3, 3)."""
    (cx, cy, cz), (sx, sy, sz) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    rows = [
        cy * cz, -cy * sz, sy,
        sx * sy * cz + cx * sz, -sx * sy * sz + cx * cz, -sx * cy,
        -cx * sy * cz + sx * sz, cx * sy * sz + sx * cz, cx * cy,
    ]  # fmt: skip
    return np.stack(rows, -1).reshape(*cx.shape, 3, 3)


def multiply(first: Array, second: Array) -> Array:
    """Quaternion products (..., 4)."""
    a, b = first[..., :1], second[..., :1]
    u, v = first[..., 1:], second[..., 1:]
    return np.concatenate([a * b - (u * v).sum(-1, keepdims=True), a * v + b * u + np.cross(u, v)], -1)


def mean(quaternions: Array) -> Array:
    """(t, b, 4) -> (b, 4): the rotation nearest to all of a bone's (Markley et al. 2007)."""
    return np.asarray(np.linalg.eigh(np.einsum("tbi,tbj->bij", quaternions, quaternions))[1][..., -1])


def scaled_about(middle: Array, quaternions: Array, factor: float) -> Array:
    """(b, 4), (t, b, 4) -> (t, b, 4): every turn away from the middle made `factor` times as wide."""
    away = multiply(middle * (1, -1, -1, -1), quaternions)
    away = np.where(away[..., :1] < 0, -away, away)
    sine = np.linalg.norm(away[..., 1:], axis=-1, keepdims=True)
    half = factor * np.arctan2(sine, away[..., :1])
    wide = np.concatenate([np.cos(half), away[..., 1:] / np.maximum(sine, 1e-12) * np.sin(half)], -1)
    return multiply(np.broadcast_to(middle, away.shape), wide)


def resampled(values: Array, count: int) -> Array:
    """(t, ...) of one cycle -> (count, ...), linear between frames; quaternions are to be unit again."""
    at = np.arange(count) * (len(values) / count)
    before = at.astype(int)
    share = (at - before).reshape(-1, *[1] * (values.ndim - 1))
    following = values[(before + 1) % len(values)]
    return np.asarray((1 - share) * values[before] + share * following)


def resampled_turns(quaternions: Array, count: int) -> Array:
    """(t, b, 4) of one cycle -> (count, b, 4) unit."""
    signed = quaternions.astype(np.float64).copy()
    for frame in range(1, len(signed)):
        signed[frame] *= np.where((signed[frame] * signed[frame - 1]).sum(-1, keepdims=True) < 0, -1, 1)
    at = np.arange(count) * (len(signed) / count)
    before = at.astype(int)
    share = (at - before)[:, None, None]
    following = signed[(before + 1) % len(signed)]
    following = np.where((following * signed[before]).sum(-1, keepdims=True) < 0, -following, following)
    between = (1 - share) * signed[before] + share * following
    return np.asarray(between / np.linalg.norm(between, axis=-1, keepdims=True))
