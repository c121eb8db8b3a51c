"""Turns of many bones over one cycle, numpy: products, means and resampling of unit quaternions wxyz (t, b, 4).

A cycle of t frames is circular: frame t is frame 0 again. What single rotations need is in `retarget.rotations`.
"""

from __future__ import annotations

import numpy as np

from ..scene.asset_file import Array


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
