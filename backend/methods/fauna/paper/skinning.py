"""Bones of a rest mesh by the published heuristic, and the mesh posed by them, with gradients in vertices and angles.

Skeleton, near-hard weights and constraints are those of `bones20` and `bones20_pose`; here whole batches of vertices follow.
Object frame; radians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.official.bones20 import BODY, LEG_BONES, bones, skin_weights
from backend.methods.fauna.official.bones20_pose import BODY_ROLL, COUNT, constrain, pose_transforms

EARLY_LEGS = 0.3
"""What the early constraint leaves of the legs' turns about y and z."""


@dataclass(frozen=True)
class Bones:
    """ends (20, 2, 3): each bone's first joint and tip; parents (20,), -1 for roots; weights (V, 20) of the mesh they were found in."""

    ends: Tensor
    parents: NDArray[np.int64]
    weights: Tensor


def find_bones(vertices: Tensor, attach_legs: bool) -> Bones:
    """Vertices (V, 3) of a rest mesh -> its bones. attach_legs: legs follow the body's bones (else they are roots)."""
    rest = vertices.detach().numpy()
    ends, parents = bones(rest)
    if not attach_legs:
        parents = parents.copy()
        parents[BODY + LEG_BONES - 1 :: LEG_BONES] = -1
    weights = skin_weights(rest, ends)
    return Bones(torch.from_numpy(ends.astype(np.float32)), parents, torch.from_numpy(weights.astype(np.float32)))


def limit(angles: Tensor, stiff_legs: bool) -> Tensor:
    """(B, 20, 3) predicted angles under the constraints of the stage."""
    if stiff_legs:
        return constrain(angles)
    kept = torch.ones(COUNT, 3)
    kept[:BODY, 2] = BODY_ROLL
    kept[BODY:, 1:] = EARLY_LEGS
    return angles * kept


def pose(vertices: Tensor, skeleton: Bones, angles: Tensor) -> Tensor:
    """Rest vertices (1 or B, V, 3), constrained angles (B, 20, 3) -> posed (B, V, 3)."""
    transforms = pose_transforms(skeleton.ends.numpy(), skeleton.parents, angles)[:, :, :3]  # (B, 20, 3, 4)
    blended = (skeleton.weights @ transforms.flatten(2)).unflatten(2, (3, 4))  # (B, V, 3, 4)
    return (blended[..., :3] * vertices[:, :, None]).sum(-1) + blended[..., 3]
