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
from backend.methods.fauna.fitting.creature import move_camera
from backend.methods.fauna.fitting.evidence import (
    SEEN_REACH,
    Evidence,
    joint_residual,
    lift_excess,
    lifted_residual,
    limit_excess,
    pin_residual,
    pose_prior,
    project,
    stiffness,
    turn_prior,
)
from backend.methods.fauna.model import Fauna, Perception
from backend.methods.request import Request
from backend.rig.kinematics import pose_points, rest_frames
from backend.rig.rotations import euler_to_matrix, matrix_to_euler, quaternion_to_matrix
from backend.rig.solve import solve_pose

RIVAL_COSINE, RIVAL_MARGIN = 0.5, 1.0
"""A hypothesis that faces elsewhere (cosine of the body axes) and scores nearly as well is worth a look at its silhouette."""
FIRST_REACH = 3.0
"""How many times farther a seen point pulls at the start: a curled tail's end lies far from where it was seen."""
PINNED = 2.0
"""Weight of a pinned point's distance: none of the other terms outweighs it."""
LIFTED = 1.0
"""Weight of the lifted points against the seen ones."""
PROPORTIONS = 0.3
"""Weight of squared changes of the rest points, object units."""
TRUNK = ("pelvis", "spine", "chest", "withers", "tail0", "hip", "scapula", "shoulder")
"""Points that hardly move against each other: by them the lifted skeleton is turned."""
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
    frames = None if proportions else rest_frames(rest)

    energy = torch.zeros(len(starts))
    for step in range(steps):
        if step == steps * 2 // 3:
            for group in optimizer.param_groups:
                group["lr"] *= 0.3
        reach = SEEN_REACH * max(1.0, FIRST_REACH * (1 - 2 * step / steps))
        if proportions:
            rest = head.unfold(half + change)
        points = pose_points(rest, torch.cat([root, euler_to_matrix(bend)], 1), frames)
        r, t = move_camera(rotation, translation, turn, shift)
        image = project(points, r, t, evidence.focal)
        energy = (
            joint_residual(image, evidence, reach)
            + PINNED * pin_residual(image, evidence)
            + LIFTED * lifted_residual(points, r, evidence)
            + 0.01 * pose_prior(bend, first, evidence)
            + 0.3 * turn_prior(turn)
            + 0.1 * limit_excess(bend, evidence.limits)
            + PROPORTIONS * (change.square() * stiff).sum(-1)
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


@dataclass(frozen=True)
class Choice:
    """best: the hypothesis kept; options: all four, solved; rival: one that is nearly as good and faces elsewhere, if there is one and
    nobody asked for a view."""

    best: int
    options: list[Solution]
    rival: int | None


def choose_view(model: Fauna, seen: Perception, evidence: Evidence, request: Request, scale: float, ablate: str) -> Choice:
    """Solve the joints under each of the four hypotheses and keep one.

    A hypothesis' score is its predicted loss plus what its joints leave unexplained; the viewpoint asked for wins over all.
    Facing the other way is counted from there, so that it turns what the artist sees. OpenCV camera frame.
    """
    # Legs taken for their twins must not turn the animal: the choice is made with the points as they were seen.
    judged = swap_legs(model, evidence) if request.swap_legs else evidence
    held, steps = ablate == "articulation", 0 if ablate in ("fit", "joints") else 60
    lifted = None if ablate in ("lifting", "joints") else lifted_view(model, seen)
    starts = []
    for h in range(4):
        rotation, translation = seen.viewpoints.rotation[:, h], seen.viewpoints.translation
        if lifted is not None and h == lifted.nearest:
            rotation, angles = lifted.rotation[None], lifted.angles
        else:
            angles = model.articulate(seen, rotation, translation)[0]
        start = FLIP @ translation[0]
        start = start * torch.tensor([1.0, 1.0, scale])  # the model sees a 25 degree crop; the photo's may be narrower
        if held:
            angles = torch.zeros_like(angles)
        starts.append(Solution(FLIP @ rotation[0], start, angles, seen.rest[0], 0.0))
    # What is pinned may tell of other proportions; bones alone would have to kink for it.
    pinned = evidence.pins is not None
    options = solve_joints(model, starts, judged, steps, held, proportions=pinned)
    score = [float(seen.viewpoints.logits[0, h]) + 4.0 * options[h].energy for h in range(4)]
    best = int(np.argmin(score)) if request.viewpoint is None else request.viewpoint
    if request.flip_heading:
        best = facing_away(options, score, best)
    if request.swap_legs:
        [swapped] = solve_joints(model, [starts[best]], evidence, steps, held, proportions=pinned)
        options[best] = replace(swapped, rotation=options[best].rotation)
    rival = None if request.viewpoint is not None or request.flip_heading or request.swap_legs else closest_rival(options, score, best)
    if ablate not in ("fit", "joints"):
        some = [best] if rival is None else [best, rival]
        for h, solved in zip(some, solve_joints(model, [options[h] for h in some], evidence, 40, held, proportions=True), strict=True):
            options[h] = solved
    return Choice(best, options, rival)


def closest_rival(options: list[Solution], score: list[float], best: int) -> int | None:
    """The best scored of the hypotheses that face elsewhere, if it comes within `RIVAL_MARGIN`."""
    ahead = options[best].rotation[:, 2]
    others = [h for h in range(len(options)) if float(ahead @ options[h].rotation[:, 2]) < RIVAL_COSINE]
    rival = min(others, key=lambda h: score[h], default=best)
    return rival if rival != best and score[rival] - score[best] < RIVAL_MARGIN else None


@dataclass(frozen=True)
class LiftedView:
    """What the lifted points say. rotation: (3, 3), object to OpenGL camera; angles: (n, 3); nearest: the hypothesis that faces likest."""

    rotation: Tensor
    angles: Tensor
    nearest: int


def lifted_view(model: Fauna, seen: Perception) -> LiftedView:
    """The view and pose that lay the rest skeleton onto the lifted points.

    The rotation lays the rest trunk onto the lifted one (Kabsch 1976), the bones' turns are read off the rest (`rig.solve`).
    """
    template = model.template
    some = [i for i, name in enumerate(template.points) if name.startswith(TRUNK)]
    rest, lifted = seen.rest[0], seen.lifted[0]
    u, _, vt = torch.linalg.svd((lifted[some] - lifted[some].mean(0)).T @ (rest[some] - rest[some].mean(0)))
    rotation = u * torch.tensor([1.0, 1.0, float(torch.sign(torch.linalg.det(u @ vt)))]) @ vt
    turns, placement = solve_pose(rest.numpy(), (lifted @ rotation).numpy())
    rotation = rotation @ torch.from_numpy(placement[:3, :3].astype(np.float32))
    deform = [i for i, bone in enumerate(template.bones) if bone.deform]
    angles = matrix_to_euler(quaternion_to_matrix(torch.from_numpy(turns[deform].astype(np.float32))))
    return LiftedView(rotation, angles, int((seen.viewpoints.rotation[0, :, :, 2] @ rotation[:, 2]).argmax()))


def facing_away(options: list[Solution], score: list[float], index: int) -> int:
    """The hypothesis whose body points most away from that of hypothesis `index`; of two alike the better scored."""
    ahead = options[index].rotation[:, 2]
    others = [h for h in range(len(options)) if h != index]
    return min(others, key=lambda h: float(ahead @ options[h].rotation[:, 2]) + 0.05 * score[h])


def twin_legs(model: Fauna) -> Tensor:
    """(P,) every leg point's number on the other side; all others' their own."""
    names = model.template.points
    legs = ("scapula", "shoulder", "elbow", "wrist", "front_knuckle", "front_tip", "hip", "knee", "hock", "hind_knuckle", "hind_tip")
    twin = {f"{leg}.{a}": f"{leg}.{b}" for leg in legs for a, b in (("L", "R"), ("R", "L"))}
    return torch.tensor([names.index(twin.get(name, name)) for name in names])


def swap_legs(model: Fauna, evidence: Evidence) -> Evidence:
    """The evidence with left and right leg points exchanged."""
    order = twin_legs(model)
    swapped = {name: getattr(evidence, name)[order] for name in ("seen", "confidence", "lifted", "lifted_confidence")}
    return replace(evidence, **swapped)
