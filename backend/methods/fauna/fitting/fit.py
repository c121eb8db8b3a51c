"""Explain the picture: `align` (fast) by moments and trials, `fit` (fine) by gradient descent on a `Creature`'s parameters.

`fit` compares the rendered silhouette with the mask (`silhouette`). Stages: viewpoint and bones; then, its coat being fitted with it
(`coat`), proportions and bank code too; last the smooth free deformation, held small. Image positions and frames as in `evidence`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.methods.descent import Adam
from backend.methods.fauna.fitting.coat import Coat
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.fitting.evidence import (
    Evidence,
    Trunk,
    inscribed_balls,
    joint_residual,
    legs_inside,
    lift_excess,
    lifted_residual,
    limit_excess,
    pin_residual,
    pose_prior,
    project,
    stiffness,
    turn_prior,
)
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, MaskTarget, moments, overlap, picture, preview
from backend.rig.kinematics import blend, invert_frames, pose_matrices, rest_frames
from backend.rig.rotations import euler_to_matrix
from backend.types import Progress

JOINTS = 0.3
"""Weight of the seen joints against the overlap."""
PINNED = 2.0
"""Weight of a pinned point's distance: the silhouette gives way."""
LIFTED = 0.6
"""Weight of the points lifted into space, which the silhouette can't tell."""
INSIDE = 3.0
"""Weight of legs that run through the trunk: behind the outline nothing else keeps them out."""
COLOUR = 0.3
"""Weight of the colours' mean difference."""
TRIALS = (0.08, 0.04, 0.02)
"""Steps of `align`'s trials: place in half widths, log distance, half of the log girth."""
UNEVEN = 2.0
"""Weight of a bone's girths changing apart: an outline shows but one of them."""


@dataclass(frozen=True)
class Stage:
    """One stretch of `fit`: its steps, rates by parameter name and what it may use.

    colour: once the creature stands about right; a coat fitted to another pose would hold it there.
    """

    steps: int
    rates: dict[str, float]
    code: bool
    free: bool
    colour: bool = True


VIEW = {"turn": 0.012, "shift": 0.006, "angles": 0.025}
SHAPE = {"points": 0.008, "girth": 0.02, "code": 0.04}
STAGES = (
    Stage(50, VIEW, code=False, free=False, colour=False),
    Stage(90, VIEW | SHAPE, code=True, free=False),
    Stage(60, {"turn": 0.004, "shift": 0.002, "angles": 0.008, "points": 0.003, "girth": 0.005, "free": 0.3}, code=True, free=True),
)


BRIEF = (Stage(25, VIEW, code=False, free=False, colour=False),)
"""Enough to tell which of two viewpoints explains the silhouette."""
ABOUT_PINS = (Stage(24, VIEW | {"points": 0.008, "girth": 0.03}, code=False, free=False, colour=False),)
"""Enough to lay the flesh about joints that were put right: `fast` has a few seconds for that."""


def girth_prior(change: Tensor) -> Tensor:
    """Squared change (n, 2) of the log girths from the network's, and of one direction without the other."""
    return change.square().mean(-1).sum() + UNEVEN * (change[:, 0] - change[:, 1]).square().sum()


def stages_without(ablate: str, stages: tuple[Stage, ...] = STAGES) -> tuple[Stage, ...]:
    """The stages less what an ablation switches off ('' leaves all)."""
    if ablate == "deformation":
        stages = tuple(s for s in stages if not s.free)
    hold = {"articulation": ("angles",), "bank": ("code",)}.get(ablate, ())
    return tuple(replace(s, rates={k: v for k, v in s.rates.items() if k not in hold}) for s in stages)


class Explained:
    """One picture that a creature is fitted to, and what `fit` lowers of it.

    p: parameters as the fit begins; first: its first stage; target: the mask; the priors hold what stands in `p` now.
    """

    def __init__(self, creature: Creature, p: Parameters, evidence: Evidence, seed: int, coat: Coat, first: Stage) -> None:
        self.creature, self.evidence, self.coat = creature, evidence, coat
        self.start = tuple(x.detach().clone() for x in (p.angles, p.points, p.girth))
        template = creature.model.template
        with torch.no_grad():
            _, points = creature.posed(p, creature.rest_vertices(p, first.code, first.free))
            places = project(points, *creature.camera(p), evidence.focal)
            self.target = MaskTarget(evidence.mask, seed, template, creature.dense.argmax(1), places)
        self.stiff = stiffness(template)

    def energy(self, p: Parameters, stage: Stage, trunk: Trunk) -> tuple[Tensor, Tensor]:
        """-> () what is left to explain, and coverage (s, s). trunk: of the rest shape, as the stage began."""
        creature, evidence = self.creature, self.evidence
        template, (start_angles, start_points, start_girth) = creature.model.template, self.start
        rest = creature.rest_vertices(p, stage.code, stage.free)
        posed, points = creature.posed(p, rest)
        rotation, translation = creature.camera(p)
        camera = posed @ rotation.T + translation
        rast, coverage = picture(camera, creature.faces, evidence.focal, RENDER_SIZE)
        image = project(posed, rotation, translation, evidence.focal)
        missed, stray, uncovered = self.target.energy(image, coverage)
        joints = project(points, rotation, translation, evidence.focal)
        energy = (
            1.0 * missed
            + 20.0 * stray
            + 20.0 * uncovered
            + JOINTS * joint_residual(joints, evidence)
            + PINNED * pin_residual(joints, evidence)
            + LIFTED * lifted_residual(points, rotation, evidence)
            + 0.003 * pose_prior(p.angles, start_angles, evidence)
            + 0.05 * limit_excess(p.angles, evidence.limits)
            + 0.2 * turn_prior(p.turn)
            + 0.3 * lift_excess(points, template)
            + INSIDE * legs_inside(points, trunk, template)
            + 0.5 * ((p.points - start_points).square() * self.stiff).sum()
            + 0.02 * girth_prior(p.girth - start_girth)
            + 0.01 * p.code.square().mean()
        )
        if stage.colour:
            energy = energy + COLOUR * self.coat.residual(self.coat.look(rest, camera, creature.faces, rast))
        if stage.free:
            energy = energy + 60.0 * creature.free_offset(p).square().sum(-1).mean()
        return energy, coverage


def trunk_of(creature: Creature, p: Parameters, stage: Stage) -> Trunk:
    """Where no leg may go while a stage lasts."""
    with torch.no_grad():
        rest = creature.rest_vertices(p, stage.code, stage.free)
        return inscribed_balls(rest, creature.rest_points(p), creature.model.template)


def fit(
    creature: Creature,
    p: Parameters,
    evidence: Evidence,
    progress: Progress,
    span: tuple[float, float],
    seed: int,
    coat: Coat,
    stages: tuple[Stage, ...] = STAGES,
) -> Parameters:
    """Fit `p` and the coat to the photo, in place; returns `p`, detached. progress runs over `span`."""
    explained = Explained(creature, p, evidence, seed, coat, stages[0])
    total = sum(stage.steps for stage in stages)
    done = 0
    for stage in stages:
        for name in stage.rates:
            setattr(p, name, getattr(p, name).detach().requires_grad_(True))
        optimizer = Adam([{"params": [getattr(p, name)], "lr": rate, "rate": rate} for name, rate in stage.rates.items()])
        trunk = trunk_of(creature, p, stage)
        for step in range(stage.steps):
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * (1 - 0.7 * step / stage.steps)
            energy, coverage = explained.energy(p, stage, trunk)
            optimizer.zero_grad()
            coat.optimizer.zero_grad()
            energy.backward()
            optimizer.step()
            coat.optimizer.step()
            done += 1
            if done % 5 == 0:
                fraction = span[0] + (span[1] - span[0]) * done / total
                progress("fit", fraction, preview(coverage, evidence.mask) if done % 25 == 0 else None)
    for name in ("turn", "shift", "angles", "points", "girth", "code", "free"):
        setattr(p, name, getattr(p, name).detach())
    return p


LAST = (Stage(30, {"turn": 0.004, "shift": 0.002, "angles": 0.01}, code=False, free=False),)
"""After the asset's own mesh, joints and weights stand: the pose settles in them."""


def repose(creature: Creature, p: Parameters, target: Tensor, steps: int = 80) -> Parameters:
    """Angles with which this creature's vertices lie where `target` (V, 3) has them, object frame.

    A mesh that got other joints and other weights keeps its pose so. p: parameters of `creature`, changed in place.
    """
    some = torch.arange(0, len(creature.vertices), 4)
    dense, rest, goal = creature.dense[some], creature.vertices[some][None], target[some]
    frames = rest_frames(creature.rest[None])
    back = invert_frames(frames)
    start = p.angles.detach()
    bend = start.clone().requires_grad_(True)
    optimizer = Adam([{"params": [bend], "lr": 0.03}])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - 0.9 * step / steps)
        local = torch.cat([torch.eye(3)[None], euler_to_matrix(bend)])[None]  # (1, b, 3, 3)
        posed = blend(rest, dense, pose_matrices(frames, local) @ back)[0]
        energy = (posed - goal).square().sum(-1).mean() + 1e-4 * (bend - start).square().sum()
        optimizer.zero_grad()
        energy.backward()
        optimizer.step()
    p.angles = bend.detach()
    return p


@torch.no_grad()
def align(creature: Creature, p: Parameters, evidence: Evidence, rounds: int = 4) -> Parameters:
    """Fill the mask without gradients: place, distance and one change of girth for all bones, by moments, then by trial.

    Returns `p` with another shift and girth. What `fast` does about the silhouette, and where `fit` starts.
    """
    goal = evidence.mask > 0.5
    start = p.girth.clone()
    for _ in range(rounds):
        covered = seen_as(creature, p, evidence)[0] > 0.5
        if not bool(covered.any()):
            return p
        (middle, spread), (want_middle, want_spread) = moments(covered), moments(goal)
        grow = (want_spread / spread).log().mean().clamp(-0.3, 0.3)
        p.shift = p.shift + torch.cat([(want_middle - middle) / evidence.focal, -grow[None]])
        ratio = float(goal.sum()) / (float(covered.sum()) * math.exp(2 * float(grow)))
        change = p.girth - start + 0.5 * float(np.clip(math.log(ratio), -0.3, 0.3))
        p.girth = start + change.clamp(-0.35, 0.35)
    standing = stand(creature, p)
    least = mismatch(creature, p, evidence, standing)
    for size in TRIALS:
        for way in torch.cat([torch.eye(4), -torch.eye(4)]) * size:
            shift = way[:3] * torch.tensor([1 / evidence.focal, 1 / evidence.focal, 1.0])
            tried = replace(p, shift=p.shift + shift, girth=p.girth + 2 * way[3])
            if float((tried.girth - start).abs().max()) >= 0.4:
                continue
            stood = stand(creature, tried) if way[3] else standing  # only a girth changes what is seen from elsewhere
            found = mismatch(creature, tried, evidence, stood)
            if found < least:
                p, least, standing = tried, found, stood
    return p


Stood = tuple[Tensor, Tensor]
"""Posed vertices (V, 3) and points (P, 3), object frame."""


def stand(creature: Creature, p: Parameters, use_code: bool = False, use_free: bool = False) -> Stood:
    """The creature in its pose, whoever looks at it."""
    return creature.posed(p, creature.rest_vertices(p, use_code, use_free))


def cover(creature: Creature, p: Parameters, evidence: Evidence, posed: Tensor) -> Tensor:
    """Coverage (s, s) of posed vertices (V, 3) by the view of `p`."""
    rotation, translation = creature.camera(p)
    return picture(posed @ rotation.T + translation, creature.faces, evidence.focal, evidence.mask.shape[0])[1]


def seen_as(
    creature: Creature, p: Parameters, evidence: Evidence, use_code: bool = False, use_free: bool = False
) -> tuple[Tensor, Tensor]:
    """-> coverage (s, s) of the posed creature, and its posed points (P, 3), object frame."""
    posed, points = stand(creature, p, use_code, use_free)
    return cover(creature, p, evidence, posed), points


def mismatch(creature: Creature, p: Parameters, evidence: Evidence, stood: Stood | None = None) -> float:
    """What `fit` starts to lower: overlap missed, and points missed in the picture and in space. stood: what `stand` says of `p`, from
    those who know it."""
    posed, points = stand(creature, p) if stood is None else stood
    rotation, translation = creature.camera(p)
    joints = project(points, rotation, translation, evidence.focal)
    seen = JOINTS * joint_residual(joints, evidence) + PINNED * pin_residual(joints, evidence)
    missed = 1 - overlap(cover(creature, p, evidence, posed), evidence.mask)
    return float(missed + seen + LIFTED * lifted_residual(points, rotation, evidence))
