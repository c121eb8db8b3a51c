"""Feet that stand, and the way that a body goes over the ground by them.

Enters: posed points of a clip in its camera's axes, what the flow says that feet's steps lack. Leaves: the body's way, which feet stand,
how high each is as it does. Feet are looked at from the body: those that stand run backwards together, however the camera goes and
whatever distance the picture was taken from. Object units; axes of the clip's first frame, OpenCV; up is a unit vector there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_banded
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from backend.methods.fauna.clip.views import cheapest_path
from backend.rig.template import Template

Array = NDArray[np.float64]

SLOW, SLOW_SHARE = 0.5, 0.8
"""Speed at which a foot stands or not as likely: leg lengths a second, and share of the animal's speed over the ground, the larger."""
LOW = 0.1
"""Height over the ground at which it does, leg lengths."""
CHANGE = 1.0
"""Cost of a foot that is put down or lifted, over that of a frame at both borders."""
ALONG_SIGHT = 0.3
"""Share of a speed along the line of sight that counts: a picture tells little of it."""
TRUSTED = np.array([1.0, 1.0, ALONG_SIGHT])
OFTEN_LOW = 0.3
"""Share of a foot's heights that are below its level: feet stand for half of a walk."""
DEAREST = 4.0
"""The most that one frame may say against standing."""
STEADY = 6.0
"""Weight of squared changes of the body's speed against the feet's squared distance from standing."""
MISSTEP = 0.03
"""Leg lengths a frame by which a foot may miss the ground's speed and count half."""
ROUNDS = 6


@dataclass(frozen=True)
class Feet:
    """tips (t, 4, 3) of the toes in the template's order of legs, body (t, 3) the hips' place, ahead (t, 3) unit: where the body faces;
    leg: a leg's length, object units; missed (t - 1, 4, 3): what is to be added to the tips' steps from the body (`drift`)."""

    tips: Array
    body: Array
    ahead: Array
    leg: float
    missed: Array

    def turned(self, steady: Array) -> Feet:
        """The same in axes to which steady (t, 3, 3) turns."""
        turn = np.swapaxes(steady, 1, 2)
        body, ahead = ((part[:, None] @ turn)[:, 0] for part in (self.body, self.ahead))
        return replace(self, tips=self.tips @ turn, body=body, ahead=ahead, missed=self.missed @ turn[:-1])

    def lowered(self, sway: Array, up: Array) -> Feet:
        """The same, each frame lower by sway (t,)."""
        return replace(self, tips=self.tips - sway[:, None, None] * up, body=self.body - sway[:, None] * up)


def foot_indices(template: Template) -> tuple[list[int], list[int]]:
    """Points of the four tips, and of the four knuckles, in the order of `Template.legs`."""
    return [leg.points[-1] for leg in template.legs], [leg.points[-2] for leg in template.legs]


def leg_length(rest: Tensor, template: Template) -> float:
    """Mean length of the legs' chains at rest, (P, 3) points."""
    chains = [rest[list(leg.points)] for leg in template.legs]
    return float(torch.stack([(chain[1:] - chain[:-1]).norm(dim=-1).sum() for chain in chains]).mean())


def feet_of(points: Tensor, view: Tensor, place: Tensor, rest: Tensor, template: Template, missed: Tensor) -> Feet:
    """Posed points (t, P, 3), object frame, and the view of them, in the first frame's camera, as are the steps missed (t - 1, 4, 3)."""
    tips, _ = foot_indices(template)
    some = [*tips, template.point_index["pelvis"]]
    seen = (points[:, some] @ view.transpose(1, 2) + place[:, None]).double().numpy()
    return Feet(seen[:, :4], seen[:, 4], view[:, :, 2].double().numpy(), leg_length(rest, template), missed.double().numpy())


def standing_feet(feet: Feet, up: Array, fps: float, known: Array | None = None) -> tuple[Array, NDArray[np.bool_], Array]:
    """-> the body's way over the ground (t, 3), the one that is known if any, which feet stand (t, 4), and each foot's height as it does
    (4,)."""
    count = len(feet.tips)
    heights = feet.tips @ up  # (t, 4)
    level = np.quantile(heights, OFTEN_LOW, axis=0)  # a shape's feet are not quite of one height
    way, contacts = np.zeros((count, 3)), np.ones((count, 4), bool)
    if count < 3:
        return way, contacts, level
    low = np.exp(-np.square((heights - level) / (LOW * feet.leg)))
    weight = low
    for _ in range(ROUNDS):
        way = way_over_ground(feet, up, weight) if known is None else flat(known, up)
        contacts = find_contacts(feet, up, level, way - flat(feet.body - feet.body[0], up), fps)
        weight = contacts + 0.02 * low
    return way, contacts, level


def way_over_ground(feet: Feet, up: Array, weight: Array) -> Array:
    """(t, 3) the body's way on the level, from 0: steps that let feet stand by their weights (t, 4), smooth in time (reweighted least
    squares)."""
    steps = flat(np.diff(feet.tips - feet.body[:, None], axis=0) + feet.missed, up)  # (t - 1, 4, 3)
    forward = (steps * feet.ahead[1:, None]).sum(-1) / (MISSTEP * feet.leg)
    # Of an animal that goes on, the feet that come forward are in the air: in a gallop they are most of them.
    both = np.minimum(weight[:-1], weight[1:]) / (1 + np.exp(np.clip(2 * forward, -30, 30))) + 1e-6
    count = len(steps)
    neighbours = np.zeros(count)
    neighbours[1:] += 1
    neighbours[:-1] += 1
    now, moved = both, np.zeros((count, 3))
    for _ in range(ROUNDS):
        total = now.sum(1)
        stiff = STEADY * total.mean()
        beside = np.full(count, -stiff)
        moved = solve_banded((1, 1), np.stack([beside, total + stiff * neighbours, beside]), (now[..., None] * steps).sum(1))
        off = np.linalg.norm((steps - moved[:, None]) * TRUSTED, axis=-1)
        now = both / (1 + np.square(off / (MISSTEP * feet.leg)))
    return np.concatenate([np.zeros((1, 3)), -np.cumsum(moved, 0)])


def find_contacts(feet: Feet, up: Array, level: Array, path: Array, fps: float) -> NDArray[np.bool_]:
    """(t, 4) which feet stand: low, and slow on the ground once the body's path (t, 3) is added; each for whole stretches (Viterbi)."""
    there = feet.tips + path[:, None]
    steps = flat(np.gradient(uniform_filter1d(there, 3, axis=0, mode="nearest"), axis=0), up)
    speed = np.linalg.norm(steps * TRUSTED, axis=-1) * fps / feet.leg  # (t, 4)
    travel = np.linalg.norm(flat(feet.body[-1] + path[-1] - feet.body[0] - path[0], up)) * fps / feet.leg / (len(path) - 1)
    slow = max(SLOW, SLOW_SHARE * float(travel))
    height = feet.tips @ up - level
    against = np.square(speed / slow) + np.square(np.maximum(height, 0) / (LOW * feet.leg))
    cost = np.stack([np.ones_like(against), np.minimum(against, DEAREST)], -1)  # (t, 4, 2): lifted, standing
    change = np.tile(CHANGE * (1 - np.eye(2)), (len(cost) - 1, 1, 1))
    return np.stack([cheapest_path(cost[:, foot], change) == 1 for foot in range(4)], 1)


def flat(vectors: Array, up: Array) -> Array:
    """(..., 3) without what points up."""
    return np.asarray(vectors - (vectors @ up)[..., None] * up)
