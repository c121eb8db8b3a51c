"""Scores of a reconstruction against truth: plain functions of arrays.

Masks are (h, w) bool; points (n, 2) in pixels or (n, 3) in object units; angles in degrees.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 for two empty masks."""
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 1.0


def pck(predicted: NDArray[np.floating], truth: NDArray[np.floating], side: float, alpha: float = 0.1) -> float:
    """Share of points (n, 2) closer than alpha * side pixels to the truth; side: the longer side of the animal's box."""
    return float((np.linalg.norm(predicted - truth, axis=-1) < alpha * side).mean())


def angle_between(a: float, b: float) -> float:
    """Absolute difference of two directions, degrees in [0, 180]."""
    return abs((a - b + 180) % 360 - 180)


def heading_of(forward: NDArray[np.floating]) -> float:
    """Direction (3,) in the OpenCV camera frame -> degrees on the ground: 0 faces the photo's right, 90 the viewer."""
    return float(np.degrees(np.arctan2(-forward[2], forward[0])) % 360)


def chamfer_over_diagonal(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Symmetric mean nearest distance of two point sets (n, 3), after matching centroid and RMS size, over b's diagonal."""
    target = b - b.mean(0)
    source = a - a.mean(0)
    source = source * (np.sqrt((target**2).sum(1).mean()) / np.sqrt((source**2).sum(1).mean()))
    there = cKDTree(target).query(source)[0].mean()
    back = cKDTree(source).query(target)[0].mean()
    return float((there + back) / 2 / np.linalg.norm(target.max(0) - target.min(0)))


def aligned_joint_error(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Mean distance of (n, 3) points after the best similarity (Umeyama 1991), over the truth's box diagonal."""
    p, t = predicted - predicted.mean(0), truth - truth.mean(0)
    u, s, vt = np.linalg.svd(t.T @ p)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (s * sign).sum() / (p**2).sum()
    moved = scale * p @ (u * sign @ vt).T
    return float(np.linalg.norm(moved - t, axis=1).mean() / np.linalg.norm(t.max(0) - t.min(0)))
