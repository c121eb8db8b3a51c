"""The settled creature follows the clip: its silhouettes are compared with the masks, its joints with those seen, frame by frame, while
the curves stay smooth and feet that stand stay where they are.

Enters: a settled `Creature`, `Looks`, a `Track`, and what is known of the feet. Leaves: a `Track` of that creature. Each step compares the
silhouettes of some frames, in turn, and everything else of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.descent import Adam
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.track import Curves, Ground, Kept, Told, Track, in_crops, pace_of, pose_terms, unsteadiness
from backend.methods.fauna.clip.views import evidence_of
from backend.methods.fauna.fitting.creature import Creature
from backend.methods.fauna.fitting.evidence import inscribed_balls, joint_residual, legs_inside, lifted_residual, project
from backend.methods.fauna.fitting.fit import INSIDE
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, MaskTarget, picture, preview
from backend.rig.kinematics import blend, invert_frames, pose_matrices, rest_frames
from backend.rig.rotations import euler_to_matrix

JOINTS, LIFTED = 0.5, 0.1
"""Weights of the points seen and of those lifted against the overlap."""
BELIEFS = 0.4
"""Weight of what is believed of poses and of smoothness, as `track` has them, against the overlap."""
MISSED, STRAY, UNCOVERED = 2.0, 20.0, 20.0
AT_ONCE = 3
"""Every how-manieth frame's silhouette a step compares."""
RATES = 0.006, 0.015
"""Of the view's knots, and of the angles."""


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


def follow(
    posed: Posed, looks: Looks, track: Track, times: NDArray[np.float64], steps: int, seed: int, told: Told, ground: Ground | None = None,
    kept: Kept | None = None,
) -> Track:  # fmt: skip
    """`track`, from any creature alike, as this one's; times (t,) seconds. told: called with the share done and a
    preview; kept: see `Kept`."""
    creature = posed.creature
    template, count = creature.model.template, len(looks)
    evidence = evidence_of(creature.model, looks)
    curves = Curves(times, track.rotation, track.translation)
    bend = track.angles.clone().requires_grad_(True)
    optimizer = Adam([{"params": [*curves.knots.values()], "rate": RATES[0]}, {"params": [bend], "rate": RATES[1]}])
    pace = pace_of(track.angles, template)
    trunk = inscribed_balls(creature.vertices, creature.rest, template)
    limb = creature.dense.argmax(1)
    with torch.no_grad():
        points = posed.points(posed.transforms(bend))
        places = project(points, *in_crops(looks, *curves()), evidence.focal)
    targets = [MaskTarget(looks.mask[k].float() / 255, seed, template, limb, places[k]) for k in range(count)]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    each = max(1, count // AT_ONCE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * (1 - 0.8 * step / steps)
        transforms = posed.transforms(bend)
        points = posed.points(transforms)
        view, place = curves()
        rotation, translation = in_crops(looks, view, place)
        seen = (
            JOINTS * joint_residual(project(points, rotation, translation, evidence.focal), evidence)
            + LIFTED * lifted_residual(points, rotation, evidence)
            + BELIEFS * pose_terms(points, bend, evidence, template)
            + INSIDE * legs_inside(points, trunk, template)
        )
        energy = seen.sum() + BELIEFS * unsteadiness(bend, template, pace)
        if ground is not None:
            energy = energy + ground(points, view, place)
        if kept is not None:
            energy = energy + kept(bend, view, place)
        some = order[torch.arange(step * each, (step + 1) * each) % count]
        outline = torch.zeros(())
        for k in some.tolist():
            vertices = posed.vertices(transforms[k : k + 1])[0]
            camera = vertices @ rotation[k].T + translation[k]
            focal = float(looks.focal[k])
            coverage = picture(camera, creature.faces, focal, RENDER_SIZE)[1]
            missed, stray, uncovered = targets[k].energy(project(vertices, rotation[k], translation[k], focal), coverage)
            outline = outline + MISSED * missed + STRAY * stray + UNCOVERED * uncovered
        energy = energy + outline * (count / len(some))
        optimizer.zero_grad()
        energy.backward()
        optimizer.step()
        told((step + 1) / steps, preview(coverage, targets[k].mask) if step % 10 == 0 else None)
    with torch.no_grad():
        return Track(*curves(), bend.detach(), creature.rest)
