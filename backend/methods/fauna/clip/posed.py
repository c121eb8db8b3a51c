"""A settled creature, posed in many frames at once.

Enters: a `Creature`, bone angles. Leaves: transforms, points and vertices, object frame; angles of a creature for another's poses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.methods.descent import Adam
from backend.methods.fauna.fitting.creature import Creature
from backend.rig.kinematics import blend, invert_frames, pose_matrices, rest_frames
from backend.rig.rotations import euler_to_matrix

TAKEN_STEPS, TAKEN_RATE = 80, 0.05
KEPT = 0.01
"""Weight of squared radians from the angles that were against squared object units of the points."""


@dataclass(frozen=True)
class Posed:
    """A settled creature, ready to be posed in many frames. rest: vertices (V, 3); frames (1, b, 4, 4), back: their inverses."""

    creature: Creature
    frames: Tensor
    back: Tensor

    @classmethod
    def of(cls, creature: Creature) -> Posed:
        frames = rest_frames(creature.rest[None])
        return cls(creature, frames, invert_frames(frames))

    def transforms(self, angles: Tensor) -> Tensor:
        """Angles (t, n, 3) -> (t, b, 4, 4) from rest to posed."""
        root = torch.eye(3).expand(len(angles), 1, 3, 3)
        return pose_matrices(self.frames, torch.cat([root, euler_to_matrix(angles)], 1)) @ self.back

    def points(self, transforms: Tensor) -> Tensor:
        """(t, P, 3) posed points."""
        owner = torch.as_tensor(np.asarray(self.creature.model.template.point_bones), dtype=torch.long)
        own = transforms[:, owner]
        return (own[..., :3, :3] @ self.creature.rest[:, :, None])[..., 0] + own[..., :3, 3]

    def vertices(self, transforms: Tensor) -> Tensor:
        """(t, V, 3) posed vertices."""
        return blend(self.creature.vertices[None], self.creature.dense, transforms)

    def take_over(self, angles: Tensor, points: Tensor) -> Tensor:
        """Angles (t, n, 3) of a creature of other proportions, and where its points lay with them (t, P, 3) -> those that bring this one's
        as near: of a tail that came to lie otherwise at rest, the angles that were say nothing."""
        bend = angles.clone().requires_grad_(True)
        optimizer = Adam([{"params": [bend], "lr": TAKEN_RATE}])
        for step in range(TAKEN_STEPS):
            optimizer.param_groups[0]["lr"] = TAKEN_RATE * (1 - 0.9 * step / TAKEN_STEPS)
            off = self.points(self.transforms(bend)) - points
            energy = off.square().sum() + KEPT * (bend - angles).square().sum()
            optimizer.zero_grad()
            energy.backward()
            optimizer.step()
        return bend.detach()
