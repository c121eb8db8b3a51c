"""How thick a rest shape is about each of its bones: what `canonical` divides out of the shapes, and the rest-shape head learns.

Enters rest points, a rest mesh and its template weights; leaves one measure a bone and direction. It is the root mean square
distance of the skin from the bone's axis, along the bone's local X and Z: about the very axis that a girth scales.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.rig.checks import face_normals
from backend.rig.kinematics import rest_frames
from backend.rig.template import load_quadruped
from backend.types import FloatArray, IntArray

LEAST_SHARE = 1e-4
"""Of the skin's area that a bone must hold to have a girth: of an ear or a tail that isn't there, nothing can be said."""
LARGEST = float(np.log(2.2))
"""Bound of the logarithm of a girth over the mean's."""


def measure_girths(points: FloatArray, vertices: FloatArray, faces: IntArray, influence: FloatArray) -> NDArray[np.float64]:
    """Rest points (42, 3), vertices (v, 3), faces (f, 3), template weights (v, b) -> (b, 2) along X and Z; NaN where there is no skin.

    Left and right alike.
    """
    template = load_quadruped()
    frames = rest_frames(torch.from_numpy(np.asarray(points, np.float64))[None])[0].numpy()  # (b, 4, 4)
    area = np.linalg.norm(face_normals(vertices, faces), axis=1)
    share = np.bincount(faces.ravel(), np.repeat(area / (3 * area.sum()), 3), len(vertices))
    # squared: what two bones share says less about either
    weights = share[:, None] * influence.astype(np.float64) ** 2  # (v, b)
    local = np.einsum("bji,vbj->vbi", frames[:, :3, :3], vertices[:, None] - frames[None, :, :3, 3])[..., [0, 2]]  # (v, b, 2)
    total = weights.sum(0)
    square = (weights[..., None] * local**2).sum(0) / np.maximum(total, 1e-12)[:, None]
    ears = np.array([name.startswith("ear") for name in template.bone_names])  # they are carried as they are
    girths = np.where((~ears & (total > LEAST_SHARE))[:, None], np.sqrt(square), np.nan)
    return np.asarray((girths + girths[template.mirror_bones]) / 2)


def mean_girths(girths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Girths (S, b, 2) -> their geometric mean (b, 2), of the shapes that have one."""
    known = np.isfinite(girths)
    return np.asarray(np.exp(np.where(known, np.log(girths), 0).sum(0) / known.sum(0).clip(1)))


def relative_girths(girths: NDArray[np.float64], mean: NDArray[np.float64]) -> FloatArray:
    """Girths (S, b, 2) -> logarithms over the mean's (b, 2), bounded; 0 where there is none."""
    return np.nan_to_num(np.log(girths / mean), nan=0.0).clip(-LARGEST, LARGEST).astype(np.float32)
