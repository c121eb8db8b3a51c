"""The motion: every frame's view and bone angles, solved together as smooth curves.

Enters: what was seen of each frame (`Looks`), a solution a frame to start from, one animal's rest points. Leaves: a `Track`. Terms are a
photo's (`fitting.evidence`), a frame each; what is added holds the frames together: second differences of the angles, of the view and of
the place, in the clip's camera. Object units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from torch import Tensor

from backend.methods.descent import Adam
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.views import evidence_of
from backend.methods.fauna.fitting.creature import move_camera
from backend.methods.fauna.fitting.evidence import (
    SEEN_REACH,
    Evidence,
    joint_residual,
    lift_excess,
    lifted_residual,
    limit_excess,
    project,
    stiffness,
)
from backend.methods.fauna.fitting.viewpoint import Solution
from backend.methods.fauna.model import Fauna
from backend.rig.kinematics import pose_points
from backend.rig.rotations import euler_to_matrix
from backend.rig.template import Template
from backend.types import ByteArray

LIFTED = 0.3
"""Weight of the lifted points against the seen ones: what each frame's picture says of depth is noise more than anything else."""
SMOOTH = {"leg": 3.0, "other": 20.0}
"""Weights of squared differences of the angles, radians: third ones of the legs' bones, second ones of all others, which swing less and
slower. Third ones let a swing through and still hold what lasts a few frames, such as a leg taken for the other."""
WALK = 0.25
"""Radians a frame of a stride up to which SMOOTH holds: what n-th differences take from a swing goes with the 2n-th power of its pace, so
for a faster one it is less."""
NOISE_ROUNDS = 10
"""In which a swing is told from its noise."""
KNOTS = {"view": 0.6, "depth": 0.6, "place": 9.0}
"""Knots a second of the cubic splines on which the view, the distance and the place across the line of sight move. A body's heading and
distance change slowly and a picture tells little of either; what is quick about a gallop is in the hips' own angles."""
PRIOR, SIDEWAYS = 0.003, 0.3
"""Weights of squared angles from rest, and of those out of the plane of legs and trunk."""
PROPORTIONS = 0.3
"""Weight of squared changes of the rest points, object units, a frame."""
FIRST_REACH = 3.0
"""How many times farther a seen point pulls at the start."""
DRIFT_FIRST, DRIFT = 1.0, 3.0
"""Weights of the joints' steps off the flow against the points seen: while nothing is known of the ground, and from then on. From a rough
start a larger one leads astray."""


Ground = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Posed points (t, P, 3), view (t, 3, 3) and place (t, 3) in the clip's camera -> () what feet do against the ground."""
Told = Callable[[float, ByteArray | None], None]
"""Called with the share done, and a preview now and then; raises `Cancelled`."""
Kept = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Angles (t, n, 3), view and place, likewise -> () how far they are from what is to be kept."""


@dataclass
class Track:
    """rotation (t, 3, 3), translation (t, 3): object to the clip's camera, OpenCV; angles (t, n, 3) of the deforming bones; rest (P, 3)."""

    rotation: Tensor
    translation: Tensor
    angles: Tensor
    rest: Tensor

    def __getitem__(self, some: slice | Tensor) -> Track:
        return Track(self.rotation[some], self.translation[some], self.angles[some], self.rest)


class Curves:
    """View and place of a clip's frames as splines about a start, smooth themselves.

    times (t,) seconds; rotation (t, 3, 3), translation (t, 3): object to the clip's camera, however noisy.
    """

    def __init__(self, times: NDArray[np.float64], rotation: Tensor, translation: Tensor) -> None:
        self.basis = {name: torch.from_numpy(spline_basis(times, rate)) for name, rate in KNOTS.items()}
        flat = torch.cat([translation[:, :2] / translation[:, 2:], translation[:, 2:].log()], 1)  # (t, 3)
        axes = smoothed(self.basis["view"], rotation.flatten(1)).unflatten(1, (3, 3))
        u, _, vt = torch.linalg.svd(axes)
        sign = torch.ones(len(u), 3)
        sign[:, 2] = torch.linalg.det(u @ vt)
        self.rotation = (u * sign[:, None]) @ vt
        across, depth = smoothed(self.basis["place"], flat[:, :2]), smoothed(self.basis["depth"], flat[:, 2:]).exp()
        self.translation = torch.cat([across * depth, depth], 1)
        self.knots = {name: torch.zeros(basis.shape[1], size, requires_grad=True)
                      for (name, basis), size in zip(self.basis.items(), (3, 1, 2), strict=True)}  # fmt: skip

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Rotation (t, 3, 3) and translation (t, 3) as the knots have them."""
        moved = {name: basis @ self.knots[name] for name, basis in self.basis.items()}
        return move_camera(self.rotation, self.translation, moved["view"], torch.cat([moved["place"], moved["depth"]], 1))


def spline_basis(times: NDArray[np.float64], rate: float) -> NDArray[np.float32]:
    """(t, m) values of the uniform cubic B-splines with so many knots a second at (t,) seconds."""
    span = max(float(times[-1] - times[0]), 1e-6)
    pieces = max(1, round(span * rate))
    step = span / pieces
    knots = times[0] + step * np.arange(-3, pieces + 4)
    inside = np.clip(times, times[0], times[0] + span * (1 - 1e-9))
    return np.asarray(BSpline.design_matrix(inside, knots, 3).toarray(), np.float32)


def smoothed(basis: Tensor, values: Tensor) -> Tensor:
    """The spline (t, c) nearest to values (t, c), outliers taken for less (Cauchy weights).

    Where next to nothing holds it, it goes straight on: drawn towards zero, it left the way at a clip's ends.
    """
    exact, wanted = basis.double(), values.double()
    weight = torch.ones(len(values), 1, dtype=torch.float64)
    found, own = wanted, torch.eye(exact.shape[1], dtype=torch.float64)
    bend = own[2:] - 2 * own[1:-1] + own[:-2]
    ridge = 1e-4 * bend.T @ bend + 1e-9 * own
    for _ in range(5):
        found = exact @ torch.linalg.solve(exact.T @ (weight * exact) + ridge, exact.T @ (weight * wanted))
        off = (wanted - found).norm(dim=1, keepdim=True)
        weight = 1 / (1 + (off / off.median().clamp_min(1e-6) / 2).square())
    return found.to(values.dtype)


def unsteadiness(angles: Tensor, template: Template, pace: float) -> Tensor:
    """() of squared third differences of the legs' angles (t, n, 3) and second ones of all others, weighted; pace: see `pace_of`."""
    legs, slower = leg_bones(template), min(1.0, WALK / pace)
    swing, other = angles[:, legs].diff(n=3, dim=0), angles[:, ~legs].diff(n=2, dim=0)
    return slower**6 * SMOOTH["leg"] * swing.square().sum() + slower**4 * SMOOTH["other"] * other.square().sum()


def leg_bones(template: Template) -> Tensor:
    """(n,) which of the deforming bones are legs'."""
    return torch.tensor(["leg" in bone.group for bone in template.bones if bone.deform])


def pace_of(angles: Tensor, template: Template) -> float:
    """Radians a frame of the legs' swing, the mean over its spectrum, of angles (t, n, 3).

    Of a swing with the pace w and noise of its own in each frame, squared first differences are w^2 of the swing's square and twice the
    noise's, third ones w^6 and twenty times: taken for swing, noise would make a slow walk a quick one, and keep itself.
    """
    swing = angles[:, leg_bones(template), 0].double()
    if len(swing) < 4:
        return WALK
    spread, first, third = (float(part.square().mean()) for part in (swing - swing.mean(0), swing.diff(dim=0), swing.diff(n=3, dim=0)))
    noise, square = 0.0, first / max(spread, 1e-6)
    for _ in range(NOISE_ROUNDS):
        noise = min(max((third - square**3 * (spread - noise)) / 20, 0.0), first / 2)
        square = max(first - 2 * noise, 0.0) / max(spread - noise, 1e-6)
    return min(max(math.sqrt(square), 0.02), math.pi)


def in_crops(looks: Looks, rotation: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
    """Views of the clip's camera (t, 3, 3), (t, 3) as the frames' crops have them."""
    return looks.turn @ rotation, (looks.turn @ translation[..., None])[..., 0]


def in_clip(looks: Looks, rotation: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
    """Views of the crops (t, 3, 3), (t, 3) as the clip's camera has them."""
    back = looks.turn.transpose(1, 2)
    return back @ rotation, (back @ translation[..., None])[..., 0]


def pose_terms(points: Tensor, angles: Tensor, evidence: Evidence, template: Template) -> Tensor:
    """(t,) what is believed of a pose before anything is seen of it: posed points (t, P, 3), angles (t, n, 3)."""
    return (
        PRIOR * angles.square().sum((-1, -2))
        + SIDEWAYS * (angles[..., 1:].square().sum(-1) * evidence.sideways).sum(-1)
        + 0.1 * limit_excess(angles, evidence.limits)
        + 0.3 * lift_excess(points, template)
    )


def begin(looks: Looks, start: Solution, rest: Tensor) -> Track:
    """A solution a frame, stacked, as `choose_views` leaves it, of an animal with rest points (P, 3)."""
    return Track(*in_clip(looks, start.rotation, start.translation), start.angles, rest)


def solve_track(
    model: Fauna, looks: Looks, start: Track, times: NDArray[np.float64], ground: Ground | None = None, kept: Kept | None = None,
    drift: Ground | None = None, proportions: bool = True, steps: int = 200, told: Told | None = None,
) -> Track:  # fmt: skip
    """However rough a track to a smooth one, with proportions that fit all frames if asked; times (t,) seconds; kept: see
    `Kept`; drift: how far joints' steps are off the flow, called as `Ground`."""
    evidence, count = evidence_of(model, looks), len(looks)
    curves = Curves(times, start.rotation, start.translation)
    bend = start.angles.clone().requires_grad_(True)
    head = model.netInstance.netRest
    half = head.fold(start.rest[None])
    change = torch.zeros_like(half, requires_grad=True)
    stiff = stiffness(model.template)
    groups = [{"params": list(curves.knots.values()), "rate": 0.02}, {"params": [bend], "rate": 0.03}]
    groups.append({"params": [change], "rate": 0.01 if proportions else 0.0})
    optimizer = Adam([{**group, "lr": group["rate"]} for group in groups])
    root = torch.eye(3).expand(count, 1, 3, 3)
    pace = pace_of(start.angles, model.template)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * (1.0 if step < steps // 2 else 0.3)
        points = pose_points(head.unfold(half + change), torch.cat([root, euler_to_matrix(bend)], 1))
        view, place = curves()
        rotation, translation = in_crops(looks, view, place)
        reach = SEEN_REACH * max(1.0, FIRST_REACH * (1 - 2 * step / steps)) if ground is None else SEEN_REACH
        seen = (
            joint_residual(project(points, rotation, translation, evidence.focal), evidence, reach)
            + LIFTED * lifted_residual(points, rotation, evidence)
            + pose_terms(points, bend, evidence, model.template)
        )
        shaped = PROPORTIONS * count * (change.square() * stiff).sum()
        energy = seen.sum() + unsteadiness(bend, model.template, pace) + shaped
        if drift is not None:
            energy = energy + (DRIFT_FIRST if ground is None else DRIFT) * drift(points, view, place)
        if ground is not None:
            energy = energy + ground(points, view, place)
        if kept is not None:
            energy = energy + kept(bend, view, place)
        optimizer.zero_grad()
        energy.backward()
        optimizer.step()
        if told is not None:
            told((step + 1) / steps, None)
    with torch.no_grad():
        return Track(*curves(), bend.detach(), head.unfold(half + change)[0])
