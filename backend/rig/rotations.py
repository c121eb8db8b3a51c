"""Rotations: angles about local X, Y, Z; matrices; quaternions wxyz; turns about an axis. torch, batched, differentiable; the last numpy.

R = Rx Ry Rz: a column vector is first turned about Z, then Y, then X (the papers' 'XYZ'; Blender calls it ZYX).
Quaternions are unit, written wxyz; those that leave have w >= 0.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def euler_to_matrix(angles: Tensor) -> Tensor:
    """(..., 3) radians about X, Y, Z -> (..., 3, 3), Rx Ry Rz."""
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(-1), angles.sin().unbind(-1)
    rows = [
        cy * cz, -cy * sz, sy,
        sx * sy * cz + cx * sz, -sx * sy * sz + cx * cz, -sx * cy,
        -cx * sy * cz + sx * sz, cx * sy * sz + sx * cz, cx * cy,
    ]  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def matrix_to_euler(matrices: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) radians with |Y| <= pi/2; at |Y| = pi/2 X and Z are not unique."""
    x = torch.atan2(-matrices[..., 1, 2], matrices[..., 2, 2])
    y = torch.asin(matrices[..., 0, 2].clamp(-1, 1))
    z = torch.atan2(-matrices[..., 0, 1], matrices[..., 0, 0])
    return torch.stack([x, y, z], -1)


def quaternion_to_matrix(quaternions: Tensor) -> Tensor:
    """(..., 4) wxyz, of any length but 0 -> (..., 3, 3)."""
    w, x, y, z = quaternions.unbind(-1)
    s = 2 / quaternions.square().sum(-1)
    rows = [
        1 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y),
        s * (x * y + w * z), 1 - s * (x * x + z * z), s * (y * z - w * x),
        s * (x * z - w * y), s * (y * z + w * x), 1 - s * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def matrix_to_quaternion(matrices: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4) wxyz, w >= 0.

    Row k of `table` is 4 q_k q: the one with the largest q_k is divided by it, so that nothing small is (Shepperd 1978).
    """
    m = matrices.unbind(-2)
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in m)
    rows = [
        1 + a + e + i, h - f, c - g, d - b,
        h - f, 1 + a - e - i, b + d, c + g,
        c - g, b + d, 1 - a + e - i, f + h,
        d - b, c + g, f + h, 1 - a - e + i,
    ]  # fmt: skip
    table = torch.stack(rows, -1).unflatten(-1, (4, 4))
    largest = table.diagonal(dim1=-2, dim2=-1).argmax(-1)
    chosen = table.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4))[..., 0, :]
    unit = chosen / chosen.norm(dim=-1, keepdim=True)
    return torch.where(unit[..., :1] < 0, -unit, unit)


def axis_angle_to_matrix(axes: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit axes (..., 3) and angles (...) in radians, which broadcast -> (..., 3, 3); Rodrigues' formula."""
    x, y, z = np.moveaxis(axes, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*axes.shape, 3)
    s, c = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    return np.asarray(np.eye(3) + s * skew + (1 - c) * (skew @ skew))
