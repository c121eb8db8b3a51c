"""From which side the animal is seen: four hypotheses, each with its joints solved for, one kept.

Enters: what the model perceived. Leaves: `Solution`s. `solve_joints` moves viewpoint and bones until the posed points project onto what
the joint head saw, held by the network's own answer, for all hypotheses at once; that is all of a pose that `fast` knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.methods.descent import Adam
from backend.methods.fauna.creature import move_camera, rotation_vector_matrix
from backend.methods.fauna.evidence import (
    Evidence,
    joint_residual,
    lift_excess,
    limit_excess,
    pose_prior,
    project,
    stiffness,
    turn_prior,
)
from backend.methods.fauna.model import Fauna, Perception
from backend.methods.request import Request
from backend.rig.kinematics import pose_points
from backend.rig.rotations import euler_to_matrix

NEIGHBOUR_COSINE = 0.3
"""Hypotheses closer than this (cosine of their body axes) may be two views of one truth."""
BELIEF_TEMPERATURE = 0.5
"""Of the mean of neighbouring hypotheses; their scores are losses of 4 (1 - cos)."""
FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
"""OpenGL camera frame <-> OpenCV camera frame."""


@dataclass(frozen=True)
class Solution:
    """What `solve_joints` found: rotation (3, 3), translation (3,), angles (n, 3), rest points (P, 3), and the remaining energy."""

    rotation: Tensor
    translation: Tensor
    angles: Tensor
    rest: Tensor
    energy: float


def solve_joints(
    model: Fauna, starts: Sequence[Solution], evidence: Evidence, steps: int = 60, hold_angles: bool = False, proportions: bool = False
) -> list[Solution]:
    """Viewpoint and angles (and, if asked, mirrored proportions) that put the rest points onto the seen ones, from each start."""
    rotation, translation, first, rest = (
        torch.stack([getattr(start, name).detach() for start in starts]) for name in ("rotation", "translation", "angles", "rest")
    )
    turn, shift = (torch.zeros(len(starts), 3, requires_grad=True) for _ in range(2))
    bend = first.clone().requires_grad_(True)
    head = model.netInstance.netRest
    half = head.fold(rest)
    change = torch.zeros_like(half, requires_grad=True)  # of the rest points, in half form
    stiff = stiffness(model.template)
    groups = [{"params": [turn, shift], "lr": 0.02}, {"params": [bend], "lr": 0.0 if hold_angles else 0.03}]
    optimizer = Adam([*groups, {"params": [change], "lr": 0.02 if proportions else 0.0}])
    root = torch.eye(3).expand(len(starts), 1, 3, 3)

    energy = torch.zeros(len(starts))
    for step in range(steps):
        if step == steps * 2 // 3:
            for group in optimizer.param_groups:
                group["lr"] *= 0.3
        if proportions:
            rest = head.unfold(half + change)
        points = pose_points(rest, torch.cat([root, euler_to_matrix(bend)], 1))
        r, t = move_camera(rotation, translation, turn, shift)
        energy = (
            joint_residual(project(points, r, t, evidence.focal), evidence)
            + 0.01 * pose_prior(bend, first, evidence)
            + 0.3 * turn_prior(turn)
            + 0.1 * limit_excess(bend, evidence.limits)
            + 0.3 * (change.square() * stiff).sum(-1)
            + 0.3 * lift_excess(points, model.template)
        )
        optimizer.zero_grad()
        energy.sum().backward()
        optimizer.step()
    with torch.no_grad():
        r, t = move_camera(rotation, translation, turn, shift)
        rest = head.unfold(half + change) if proportions else rest
        found = zip(r, t, bend.detach(), rest, energy.tolist(), strict=True)
        return [Solution(*one) for one in found]


def choose_view(
    model: Fauna, seen: Perception, evidence: Evidence, request: Request, scale: float, ablate: str
) -> tuple[int, list[Solution]]:
    """Solve the joints under each of the four hypotheses -> the index kept and all four.

    A hypothesis' score is its predicted loss plus what its joints leave unexplained; the viewpoint asked for wins over all.
    Facing the other way is counted from there, so that it turns what the artist sees. OpenCV camera frame.
    """
    # Legs taken for their twins must not turn the animal: the choice is made with the points as they were seen.
    judged = swap_legs(model, evidence) if request.swap_legs else evidence
    held, steps = ablate == "articulation", 0 if ablate in ("fit", "joints") else 60
    starts = []
    for h in range(4):
        rotation, translation = seen.viewpoints.rotation[:, h], seen.viewpoints.translation
        angles = model.articulate(seen, rotation, translation)[0]
        start = FLIP @ translation[0]
        start = start * torch.tensor([1.0, 1.0, scale])  # the model sees a 25 degree crop; the photo's may be narrower
        if held:
            angles = torch.zeros_like(angles)
        starts.append(Solution(FLIP @ rotation[0], start, angles, seen.rest[0], 0.0))
    options = solve_joints(model, starts, judged, steps, held)
    score = [float(seen.viewpoints.logits[0, h]) + 4.0 * options[h].energy for h in range(4)]
    best = int(np.argmin(score)) if request.viewpoint is None else request.viewpoint
    if request.flip_heading:
        best = facing_away(options, score, best)
    if request.viewpoint is None:
        options[best] = replace(options[best], rotation=between_neighbours(options, score, best))
    if request.swap_legs:
        [swapped] = solve_joints(model, [starts[best]], evidence, steps, held)
        options[best] = replace(swapped, rotation=options[best].rotation)
    if ablate not in ("fit", "joints"):
        [options[best]] = solve_joints(model, [options[best]], evidence, 40, held, proportions=True)
    return best, options


def facing_away(options: list[Solution], score: list[float], index: int) -> int:
    """The hypothesis whose body points most away from that of hypothesis `index`; of two alike the better scored."""
    ahead = options[index].rotation[:, 2]
    others = [h for h in range(len(options)) if h != index]
    return min(others, key=lambda h: float(ahead @ options[h].rotation[:, 2]) + 0.05 * score[h])


def between_neighbours(options: list[Solution], score: list[float], best: int) -> Tensor:
    """The best hypothesis' rotation, turned to the mean of its neighbours by how well each is believed.

    Seen from the side, truth lies on the border of two quadrants, and each hypothesis leans into its own.
    """
    axes = torch.stack([o.rotation[:, 2] for o in options])  # (4, 3)
    near = (axes @ axes[best]) > NEIGHBOUR_COSINE
    believed = torch.softmax((min(score) - torch.tensor(score)) / BELIEF_TEMPERATURE, 0) * near  # (4,)
    if float(believed[best]) < 1e-3:  # asked for against all belief: a mean would turn it back
        return options[best].rotation
    return turned_toward(options[best].rotation, (believed[:, None] * axes).sum(0))


def turned_toward(rotation: Tensor, forward: Tensor) -> Tensor:
    """The rotation (3, 3), object to camera, turned the shortest way until the object's +Z points to `forward` (3,)."""
    own, other = rotation[:, 2], torch.nn.functional.normalize(forward, dim=0)
    axis = torch.linalg.cross(own, other)
    angle = torch.atan2(axis.norm(), own @ other)
    return rotation_vector_matrix(torch.nn.functional.normalize(axis, dim=0) * angle) @ rotation


def swap_legs(model: Fauna, evidence: Evidence) -> Evidence:
    """The evidence with left and right leg points exchanged."""
    names = model.template.points
    legs = ("scapula", "shoulder", "elbow", "wrist", "front_knuckle", "front_tip", "hip", "knee", "hock", "hind_knuckle", "hind_tip")
    twin = {f"{leg}.{a}": f"{leg}.{b}" for leg in legs for a, b in (("L", "R"), ("R", "L"))}
    order = torch.tensor([names.index(twin.get(name, name)) for name in names])
    return replace(evidence, seen=evidence.seen[order], confidence=evidence.confidence[order])
