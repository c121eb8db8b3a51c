"""Scores of a reconstruction against truth: plain functions of arrays.

Masks are (h, w) bool; points (n, 2) in pixels or (n, 3) in object units; angles in degrees. A row of NaN among predicted points
is a joint that the reconstruction doesn't have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.evaluate.joint_groups import GROUPS, groups_by_point

Floats = NDArray[np.floating]

MATCH_ROUNDS, MATCH_GAIN = 15, 1e-5
"""Of `match_surfaces`: at most so many, and no more once a round brings less than this share of the size."""
SEARCHED = 2500
"""Of each surface's points, about, that `match_surfaces` tries scales and shifts on; the distance is that of all."""
NEAR = 1e-3
"""Of the size: pairs nearer than this weigh no more."""
SCALE_RANGE = (0.5, 2.0)
"""Scales that `match_surfaces` may take, over the one that makes both equally large: a surface shrunk to a dot matches nothing."""


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 for two empty masks."""
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 1.0


def box_side(mask: NDArray[np.bool_]) -> float:
    """The longer side, in pixels, of the box around what is true. Raises ValueError for an empty mask."""
    places = np.argwhere(mask)
    return float((places.max(0) - places.min(0) + 1).max())


def pck(predicted: Floats, truth: Floats, side: float, alpha: float = 0.1) -> float:
    """Share of points (n, 2) closer than alpha * side pixels to the truth; side: the longer side of the animal's box."""
    return float((np.linalg.norm(predicted - truth, axis=-1) < alpha * side).mean())


def pck_by_group(names: Sequence[str], predicted: Floats, truth: Floats, side: float) -> dict[str, float]:
    """`pck` of all points, and `pck_GROUP` of each group of `joint_groups` of which some are named. names: template points, (n,)."""
    groups = np.array([groups_by_point()[name] for name in names])
    scores = {"pck": pck(predicted, truth, side)}
    for group in GROUPS:
        inside = groups == group
        if inside.any():
            scores[f"pck_{group}"] = pck(predicted[inside], truth[inside], side)
    return scores


def angle_between(a: float, b: float) -> float:
    """Absolute difference of two directions, degrees in [0, 180]."""
    return abs((a - b + 180) % 360 - 180)


def heading_of(forward: Floats) -> float:
    """Direction (3,) in the OpenCV camera frame -> degrees as seen by a level camera: 0 faces the photo's right, 90 the viewer."""
    return float(np.degrees(np.arctan2(-forward[2], forward[0])) % 360)


def heading_on_ground(axis: Floats, up: Floats) -> float:
    """As `heading_of`, on the ground: both the axis and the camera's view are laid down on it first, so pitch and roll change nothing.

    axis, up: (3,) in the OpenCV camera frame. A camera that looks straight down has no heading to measure from: NaN.
    """
    up = up / np.linalg.norm(up)
    away = np.array([0.0, 0.0, 1.0]) - up[2] * up
    if np.linalg.norm(away) < 1e-6:
        return float("nan")
    away /= np.linalg.norm(away)
    right = np.cross(away, up)
    return float(np.degrees(np.arctan2(-(axis @ away), axis @ right)) % 360)


def match_surfaces(source: Floats, target: Floats) -> tuple[float, NDArray[np.float64], float]:
    """The scale and shift that bring `source` nearest to `target`, without turning it -> scale, shift (3,), mean distance there.

    source, target: (n, 3) and (m, 3) points sampled evenly on two surfaces, in one frame. The mean distance is symmetric: half the mean
    from each source point to its nearest target point, half the other way. Alternating nearest points and least squares (ICP, Besl and
    McKay 1992), each pair weighted by its distance's inverse so that the mean distance itself falls, not its square (Weiszfeld 1937);
    from equal RMS sizes and from equal boxes; the best that was seen counts.
    """
    every_a, every_b = source.astype(np.float64), target.astype(np.float64)
    a, b = (points[:: max(1, len(points) // SEARCHED)] for points in (every_a, every_b))
    tree = cKDTree(b)
    size = float(np.sqrt(((b - b.mean(0)) ** 2).sum(1).mean()))
    equal = size / float(np.sqrt(((a - a.mean(0)) ** 2).sum(1).mean()))
    boxed = float(np.linalg.norm(np.ptp(b, axis=0)) / np.linalg.norm(np.ptp(a, axis=0)))
    starts = [(equal, b.mean(0) - equal * a.mean(0)), (boxed, (b.max(0) + b.min(0)) / 2 - boxed * (a.max(0) + a.min(0)) / 2)]
    best = (equal, starts[0][1], np.inf)
    for scale, shift in starts:
        before = np.inf
        for _ in range(MATCH_ROUNDS):
            moved = scale * a + shift
            there, nearest = tree.query(moved)
            back, nearest_back = cKDTree(moved).query(b)
            distance = float(there.mean() + back.mean()) / 2
            if distance < best[2]:
                best = (scale, shift, distance)
            if before - distance < MATCH_GAIN * size:
                break
            before = distance
            p, q = np.concatenate([a, a[nearest_back]]), np.concatenate([b[nearest], b])  # pairs, both ways
            weights = np.concatenate([pair / np.maximum(far, NEAR * size) for pair, far in ((1 / len(a), there), (1 / len(b), back))])
            weights = (weights / weights.sum())[:, None]
            p0, q0 = (weights * p).sum(0), (weights * q).sum(0)
            scale = float((weights * (p - p0) * (q - q0)).sum() / (weights * (p - p0) ** 2).sum())
            scale = float(np.clip(scale, SCALE_RANGE[0] * equal, SCALE_RANGE[1] * equal))
            shift = q0 - scale * p0
    scale, shift, _ = best
    return scale, shift, mean_distance(scale * every_a + shift, every_b)


def mean_distance(a: Floats, b: Floats) -> float:
    """Half the mean from each point of a (n, 3) to its nearest in b (m, 3), half the other way."""
    return float(cKDTree(b).query(a)[0].mean() + cKDTree(a).query(b)[0].mean()) / 2


def chamfer_over_diagonal(a: Floats, b: Floats) -> float:
    """Symmetric mean nearest distance of two surfaces' points (n, 3) after the best scale and translation, over b's box diagonal.

    Nothing is turned: bring both into one frame first, in which a wrong rotation shows (`surfaces.posed_surfaces`).
    """
    return match_surfaces(a, b)[2] / float(np.linalg.norm(np.ptp(b, axis=0)))


def aligned_joint_error(predicted: Floats, truth: Floats, diagonal: float | None = None) -> float:
    """Mean distance of (n, 3) points after the best similarity (Umeyama 1991), over a diagonal.

    diagonal: of the true joints' box by default. Joints that the reconstruction lacks (NaN) are left out of both.
    """
    if diagonal is None:
        diagonal = float(np.linalg.norm(np.ptp(truth, axis=0)))
    found = np.isfinite(predicted).all(1)
    p, t = predicted[found] - predicted[found].mean(0), truth[found] - truth[found].mean(0)
    u, s, vt = np.linalg.svd(t.T @ p)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (s * sign).sum() / (p**2).sum()
    moved = scale * p @ (u * sign @ vt).T
    return float(np.linalg.norm(moved - t, axis=1).mean() / diagonal)
