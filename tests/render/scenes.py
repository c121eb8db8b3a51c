"""Small meshes and cameras for the renderer's tests."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.benchmark.raster import bumpy_ball
from backend.render.camera import projection, transform_points

NEAR, FAR = 0.1, 50.0


def ball(around: int, rings: int) -> tuple[Tensor, Tensor]:
    """A bumpy closed ball of 2 * around * rings triangles: vertices (v, 3), faces (f, 3)."""
    vertices, faces = bumpy_ball(around, rings)
    return torch.from_numpy(vertices), torch.from_numpy(faces)


def clip_of(points: Tensor, size: tuple[int, int], distance: float = 3.0, focal: float = 1.2) -> Tensor:
    """points (V, 3) moved `distance` in front of a camera -> clip (1, V, 4); focal in picture heights."""
    matrix = projection(focal * size[0], size[1], size[0], NEAR, FAR)
    return transform_points(points + torch.tensor([0.0, 0.0, distance]), matrix)[None]


def brute_force(clip: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pixel against every triangle by solving sum(b_i P_i) = w (x, y, 1) in float64.

    Returns ids (h, w), -1 where empty; barycentrics (h, w, 3); gap (h, w): how far the runner-up lies behind, in z/w.
    """
    height, width = size
    ids = np.full(size, -1)
    weights = np.zeros((*size, 3))
    nearest, second = np.full(size, np.inf), np.full(size, np.inf)
    x, y = np.meshgrid((np.arange(width) + 0.5) * 2 / width - 1, (np.arange(height) + 0.5) * 2 / height - 1)
    rays = np.stack([x, y, np.ones_like(x)], -1)  # (h, w, 3)
    for f, corners in enumerate(faces):
        p = clip[corners].astype(np.float64)  # (3, 4)
        if not np.isfinite(p).all() or abs(np.linalg.det(p[:, [0, 1, 3]])) < 1e-14:
            continue
        e = rays @ np.linalg.inv(p[:, [0, 1, 3]])  # b / w, (h, w, 3)
        z = e @ p[:, 2]
        hit = (e >= 0).all(-1) & (np.abs(z) <= 1)
        front = hit & (z < nearest)
        second = np.where(front, nearest, np.where(hit, np.minimum(second, z), second))
        nearest = np.where(front, z, nearest)
        ids = np.where(front, f, ids)
        weights = np.where(front[..., None], e / np.where(front, e.sum(-1), 1.0)[..., None], weights)
    gap = np.where(np.isfinite(second), second, np.inf) - np.where(np.isfinite(nearest), nearest, 0.0)
    return ids, weights, gap
