"""Explain the picture: `align` (fast) by moments and trials, `fit` (fine) by gradient descent on a `Creature`'s parameters.

`fit` renders the silhouette (Laine et al. 2020 antialiasing) and adds what reaches further than a pixel: the mask's distance
transform pulls stray vertices in, covered pixels pull the nearest vertices out. Stages: viewpoint and bones; then, its coat being
fitted with it (`coat`), proportions and bank code too; last the smooth free deformation, held small. Image positions and frames as in
`evidence`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from backend.methods.descent import Adam
from backend.methods.fauna.coat import Coat
from backend.methods.fauna.creature import Creature, Parameters
from backend.methods.fauna.evidence import (
    Evidence,
    inscribed_balls,
    joint_residual,
    legs_inside,
    lift_excess,
    lifted_residual,
    limit_excess,
    pose_prior,
    project,
    stiffness,
    turn_prior,
)
from backend.render.cpu import antialias, rasterize
from backend.rig.kinematics import blend, pose_matrices, rest_frames
from backend.rig.rotations import euler_to_matrix
from backend.types import Progress

RENDER_SIZE = 160
"""Pixels a side of the silhouettes that `fit` compares."""
JOINTS = 0.3
"""Weight of the seen joints against the overlap."""
LIFTED = 0.1
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


def girth_prior(change: Tensor) -> Tensor:
    """Squared change (n, 2) of the log girths from the network's, and of one direction without the other."""
    return change.square().mean(-1).sum() + UNEVEN * (change[:, 0] - change[:, 1]).square().sum()


def clip_of(camera: Tensor, focal: float) -> Tensor:
    """Camera points (V, 3), OpenCV -> clip coordinates (1, V, 4), y down as the renderer's rows; near plane at 0.1."""
    z = camera[:, 2]
    return torch.stack([focal * camera[:, 0], focal * camera[:, 1], (z - 0.2) * 1.001, z], -1)[None].contiguous()


def stages_without(ablate: str, stages: tuple[Stage, ...] = STAGES) -> tuple[Stage, ...]:
    """The stages less what an ablation switches off ('' leaves all)."""
    if ablate == "deformation":
        stages = tuple(s for s in stages if not s.free)
    hold = {"articulation": ("angles",), "bank": ("code",)}.get(ablate, ())
    return tuple(replace(s, rates={k: v for k, v in s.rates.items() if k not in hold}) for s in stages)


def picture(camera: Tensor, faces: Tensor, focal: float, size: int) -> tuple[Tensor, Tensor]:
    """Of a mesh in the camera's frame: what each pixel shows (1, size, size, 4), and coverage (size, size), differentiable at its
    outline."""
    clip = clip_of(camera, focal)
    rast = rasterize(clip, faces, (size, size))
    covered = (rast[..., 3:] > 0).to(camera.dtype)
    return rast, antialias(covered, rast, clip, faces)[0, ..., 0]


def overlap(coverage: Tensor, mask: Tensor) -> Tensor:
    """Intersection over union of two pictures (s, s) of shares."""
    both = coverage * mask
    return both.sum() / (coverage + mask - both).sum().clamp_min(1)


class MaskTarget:
    """The mask and what reaches further than its outline."""

    def __init__(self, mask: Tensor, seed: int) -> None:
        self.mask = mask
        inside = mask.numpy() > 0.5
        size = mask.shape[0]
        outside_distance = distance_transform_edt(~inside) * (2.0 / size)
        self.outside = torch.from_numpy(outside_distance.astype(np.float32))[None, None]
        rows, columns = np.nonzero(inside)
        keep = np.random.default_rng(seed).permutation(len(rows))[:500]
        xy = (np.stack([columns[keep], rows[keep]], 1) + 0.5) / size * 2 - 1
        self.pixels = torch.from_numpy(xy.astype(np.float32))  # (n, 2)

    def energy(self, image: Tensor, coverage: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Projected vertices (V, 2) and coverage (s, s) -> (overlap missed, stray vertices, uncovered pixels)."""
        at = functional.grid_sample(self.outside, image[None, None].clamp(-1.5, 1.5), padding_mode="border", align_corners=False)
        with torch.no_grad():
            size = coverage.shape[0]
            index = ((self.pixels + 1) / 2 * size).long().clamp(0, size - 1)
            bare = coverage[index[:, 1], index[:, 0]] < 0.5
            pixels = self.pixels[bare]
            nearest = torch.cdist(pixels, image).argmin(-1) if len(pixels) else torch.zeros(0, dtype=torch.long)
        uncovered = (image[nearest] - pixels).square().sum() / len(self.pixels)
        return 1 - overlap(coverage, self.mask), at.square().mean(), uncovered


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
    target = MaskTarget(evidence.mask, seed)
    start_angles, start_points, start_girth = (x.detach().clone() for x in (p.angles, p.points, p.girth))
    template = creature.model.template
    stiff = stiffness(template)
    total = sum(stage.steps for stage in stages)
    done = 0
    for stage in stages:
        for name in stage.rates:
            setattr(p, name, getattr(p, name).detach().requires_grad_(True))
        optimizer = Adam([{"params": [getattr(p, name)], "lr": rate, "rate": rate} for name, rate in stage.rates.items()])
        with torch.no_grad():
            trunk = inscribed_balls(creature.rest_vertices(p, stage.code, stage.free), creature.rest_points(p), template)
        for step in range(stage.steps):
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * (1 - 0.7 * step / stage.steps)
            rest = creature.rest_vertices(p, stage.code, stage.free)
            posed, points = creature.posed(p, rest)
            rotation, translation = creature.camera(p)
            camera = posed @ rotation.T + translation
            rast, coverage = picture(camera, creature.faces, evidence.focal, RENDER_SIZE)
            image = project(posed, rotation, translation, evidence.focal)
            missed, stray, uncovered = target.energy(image, coverage)
            energy = (
                1.0 * missed
                + 20.0 * stray
                + 20.0 * uncovered
                + JOINTS * joint_residual(project(points, rotation, translation, evidence.focal), evidence)
                + LIFTED * lifted_residual(points, rotation, evidence)
                + 0.003 * pose_prior(p.angles, start_angles, evidence)
                + 0.05 * limit_excess(p.angles, evidence.limits)
                + 0.2 * turn_prior(p.turn)
                + 0.3 * lift_excess(points, template)
                + INSIDE * legs_inside(points, trunk, template)
                + 0.5 * ((p.points - start_points).square() * stiff).sum()
                + 0.02 * girth_prior(p.girth - start_girth)
                + 0.01 * p.code.square().mean()
            )
            if stage.colour:
                energy = energy + COLOUR * coat.residual(coat.look(rest, camera, creature.faces, rast))
            if stage.free:
                energy = energy + 60.0 * creature.free_offset(p).square().sum(-1).mean()
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
    back = torch.linalg.inv(frames)
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
        cover = seen_as(creature, p, evidence)[0] > 0.5
        if not bool(cover.any()):
            return p
        (middle, spread), (want_middle, want_spread) = moments(cover), moments(goal)
        grow = (want_spread / spread).log().mean().clamp(-0.3, 0.3)
        p.shift = p.shift + torch.cat([(want_middle - middle) / evidence.focal, -grow[None]])
        ratio = float(goal.sum()) / (float(cover.sum()) * math.exp(2 * float(grow)))
        change = p.girth - start + 0.5 * float(np.clip(math.log(ratio), -0.3, 0.3))
        p.girth = start + change.clamp(-0.35, 0.35)
    least = mismatch(creature, p, evidence)
    for size in TRIALS:
        for way in torch.cat([torch.eye(4), -torch.eye(4)]) * size:
            shift = way[:3] * torch.tensor([1 / evidence.focal, 1 / evidence.focal, 1.0])
            tried = replace(p, shift=p.shift + shift, girth=p.girth + 2 * way[3])
            found = mismatch(creature, tried, evidence)
            if found < least and float((tried.girth - start).abs().max()) < 0.4:
                p, least = tried, found
    return p


def seen_as(
    creature: Creature, p: Parameters, evidence: Evidence, use_code: bool = False, use_free: bool = False
) -> tuple[Tensor, Tensor]:
    """-> coverage (s, s) of the posed creature, and its posed points (P, 3), object frame."""
    posed, points = creature.posed(p, creature.rest_vertices(p, use_code, use_free))
    rotation, translation = creature.camera(p)
    _, cover = picture(posed @ rotation.T + translation, creature.faces, evidence.focal, evidence.mask.shape[0])
    return cover, points


def mismatch(creature: Creature, p: Parameters, evidence: Evidence) -> float:
    """What `fit` starts to lower: overlap missed, and points missed in the picture and in space."""
    cover, points = seen_as(creature, p, evidence)
    rotation, translation = creature.camera(p)
    seen = JOINTS * joint_residual(project(points, rotation, translation, evidence.focal), evidence)
    return float(1 - overlap(cover, evidence.mask) + seen + LIFTED * lifted_residual(points, rotation, evidence))


def moments(mask: Tensor) -> tuple[Tensor, Tensor]:
    """(s, s) bool -> mean and standard deviation of the covered pixels, (2,) each, in [-1, 1]: thin tails hardly move them."""
    places = (torch.nonzero(mask).flip(1) + 0.5) / mask.shape[0] * 2 - 1  # (n, 2) x, y
    return places.mean(0), places.std(0)


def preview(coverage: Tensor, mask: Tensor) -> np.ndarray:
    """(s, s, 3) uint8: what both cover in grey, the mask alone in blue, the creature alone in orange."""
    c, m = coverage.detach().numpy()[..., None], mask.numpy()[..., None]
    both, alone, bare = np.array([200, 200, 200]), np.array([240, 140, 60]), np.array([70, 120, 220])
    picture = 30 + (both - 30) * c * m + (alone - 30) * c * (1 - m) + (bare - 30) * (1 - c) * m
    return np.clip(picture, 0, 255).astype(np.uint8)
