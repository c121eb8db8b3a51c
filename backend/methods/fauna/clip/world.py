"""Ground, feet and camera: what stands still while an animal moves.

Enters: posed points of a clip in its camera's axes. Leaves: which way is up, where the ground is, when each foot stands on it, whether the
camera moves; the term that holds standing feet. Object units; camera axes OpenCV, of the clip's first frame: what is known of the camera's
turning is undone first.

A camera that goes along with an animal and shows nothing of the ground is known by the feet alone: those that stand run backwards together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_banded
from scipy.ndimage import uniform_filter1d
from scipy.sparse import diags_array
from scipy.sparse.linalg import spsolve
from torch import Tensor

from backend.methods.fauna.clip.views import cheapest_path
from backend.methods.request import CameraKind
from backend.rig.rotations import axis_angle_to_matrix
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
GOES_ALONG = 0.5
"""Share of the animal's speed by which its way over the ground and the way seen differ where the camera moves."""
STEADY = 6.0
"""Weight of squared changes of the body's speed against the feet's squared distance from standing."""
MISSTEP = 0.03
"""Leg lengths a frame by which a foot may miss the ground's speed and count half."""
ROUNDS = 6
PANNED = 2.0
"""What a camera turns after an animal over what it should, up to which it is believed to."""
SWAYS, SWAY = 3, 1.0
"""Rounds in which the ground under a swaying camera is found, and weight of its squared second differences: half of a sway that takes six
frames is followed."""
PLANTED, GROUNDED, SUNK, ASKEW = 30.0, 10.0, 30.0, 6.0
"""Weights of squared object units: of a standing foot from its place, of its height, of any foot below the ground, and of the body's way in
`STRIDE` seconds to its side: animals walk where they face."""
STRIDE = 0.3
STRAIGHT, TURNS = 20.0, 0.15
"""Weight of the squared radians by which a body turns in `STRIDE` seconds, and where it counts half: animals go straight on or turn."""
ROLLED, TILTED = 0.1, np.radians(16.0)
"""Share of a seen roll of the camera that is believed where it is small, and radians beyond which a camera is taken to be held askew."""


@dataclass(frozen=True)
class Feet:
    """tips (t, 4, 3) of the toes in the template's order of legs, body (t, 3) the hips' place, ahead (t, 3) unit: where the body faces;
    leg: a leg's length, object units."""

    tips: Array
    body: Array
    ahead: Array
    leg: float

    def turned(self, steady: Array) -> Feet:
        """The same in axes to which steady (t, 3, 3) turns."""
        turn = np.swapaxes(steady, 1, 2)
        return replace(self, tips=self.tips @ turn, body=(self.body[:, None] @ turn)[:, 0], ahead=(self.ahead[:, None] @ turn)[:, 0])

    def lowered(self, sway: Array, up: Array) -> Feet:
        """The same, each frame lower by sway (t,)."""
        return replace(self, tips=self.tips - sway[:, None, None] * up, body=self.body - sway[:, None] * up)


@dataclass(frozen=True)
class World:
    """up (3,) unit; height (t,): the ground's along it; steady (t, 3, 3): turns each frame's camera axes to the first frame's; path (t, 3):
    where the camera has gone since then, what stood at x in those axes is at x - path now; contacts (t, 4); moving: whether the camera
    moves."""

    up: Array
    height: Array
    steady: Array
    path: Array
    contacts: NDArray[np.bool_]
    moving: bool

    def __getitem__(self, some: slice) -> World:
        return World(self.up, self.height[some], self.steady[some], self.path[some], self.contacts[some], self.moving)


def foot_indices(template: Template) -> tuple[list[int], list[int]]:
    """Points of the four tips, and of the four knuckles, in the order of `Template.legs`."""
    return [leg.points[-1] for leg in template.legs], [leg.points[-2] for leg in template.legs]


def leg_length(rest: Tensor, template: Template) -> float:
    """Mean length of the legs' chains at rest, (P, 3) points."""
    chains = [rest[list(leg.points)] for leg in template.legs]
    return float(torch.stack([(chain[1:] - chain[:-1]).norm(dim=-1).sum() for chain in chains]).mean())


def feet_of(points: Tensor, view: Tensor, place: Tensor, rest: Tensor, template: Template) -> Feet:
    """Posed points (t, P, 3), object frame, and the view of them, in the first frame's camera."""
    tips, _ = foot_indices(template)
    some = [*tips, template.point_index["pelvis"]]
    seen = (points[:, some] @ view.transpose(1, 2) + place[:, None]).double().numpy()
    return Feet(seen[:, :4], seen[:, 4], view[:, :, 2].double().numpy(), leg_length(rest, template))


def upward(view: Tensor) -> Array:
    """(3,) unit: the objects' up in the camera, through all frames (t, 3, 3), as nearly level as cameras are held.

    A body that runs is pitched against its way, and an animal seen from its side looks then as if the camera were rolled.
    """
    middle = np.median(view[:, :, 1].double().numpy(), 0)
    middle /= np.linalg.norm(middle)
    roll = np.arctan2(middle[0], -middle[1])
    back = -(1 - ROLLED) * roll * np.exp(-((roll / TILTED) ** 2))
    return np.asarray(axis_angle_to_matrix(np.array([0.0, 0.0, 1.0]), np.asarray(back)) @ middle)


def find_world(feet: Feet, up: Array, fps: float, camera: CameraKind, steadied: bool = False) -> World:
    """Feet in the first frame's axes, as far as the camera's turning is known -> what stands. camera: "auto" finds out whether it moves;
    steadied: its turning is known, otherwise it is found.

    Feet are looked at from the body first: those that stand run backwards together, however the camera goes and whatever distance the
    picture was taken from. What they run over is the animal's way; where it is not the way that was seen, the camera has moved. A camera
    that moves sways as well, more than feet are lifted; what it sways upwards the ground under the lowest feet tells.
    """
    count = len(feet.tips)
    steady, sway = np.tile(np.eye(3), (count, 1, 1)), np.zeros(count)
    way, contacts, level = standing_feet(feet, up, fps)
    moving = camera == "moving" or (camera == "auto" and count >= 3 and goes_along(feet, up, way, fps))
    if moving and count >= 3 and not steadied:
        steady = about(up, pan_after(feet, up, way))
        feet = feet.turned(steady)
        share = np.eye(4)[(feet.tips @ up - level).argmin(1)]  # (t, 4): one foot stands at nearly all times
        for _ in range(SWAYS):
            sway = ground_under(feet.tips @ up - level, share)
            way, contacts, level = standing_feet(feet.lowered(sway, up), up, fps)
            share = contacts.astype(np.float64)
    heights = feet.tips @ up - sway[:, None]
    ground = np.full(count, np.median(heights[contacts]) if contacts.any() else np.median(heights.min(1)))
    path = way - flat(feet.body - feet.body[0], up) - sway[:, None] * up
    return World(up, ground, steady, path if moving else np.zeros((count, 3)), contacts, moving)


def pan_after(feet: Feet, up: Array, way: Array) -> Array:
    """(t,) radians about `up` by which a camera has turned after an animal that passes, evenly; zeros where it hasn't.

    Such a camera sees the animal turn the other way by as much. How far it would have to turn is known by the animal's way (t, 3) and its
    distance, but for the focal length, which is a guess: what is seen to turn by something like it is the camera.
    """
    ahead = flat(feet.ahead, up)
    left = np.cross(up, ahead[0])
    heading = np.unwrap(np.arctan2(ahead @ left, ahead @ ahead[0]))
    number = np.arange(len(way)) - (len(way) - 1) / 2
    pace = -float((number * heading).sum() / (number**2).sum())
    sight = flat(feet.body, up).mean(0)
    asked = float((way[-1] - way[0]) @ np.cross(up, sight)) / max(float(sight @ sight), 1e-9)
    turned = pace * (len(way) - 1)
    believed = 0 < turned * np.sign(asked) < PANNED * abs(asked)
    return np.asarray(pace * np.arange(len(way)) * believed)


def about(axis: Array, angle: Array) -> Array:
    """(t, 3, 3) rotations by angles (t,) about one axis (3,)."""
    return axis_angle_to_matrix(np.broadcast_to(axis, (len(angle), 3)), angle)


def standing_feet(feet: Feet, up: Array, fps: float) -> tuple[Array, NDArray[np.bool_], Array]:
    """-> the body's way over the ground (t, 3), which feet stand (t, 4), and each foot's height as it does (4,)."""
    count = len(feet.tips)
    heights = feet.tips @ up  # (t, 4)
    level = np.quantile(heights, OFTEN_LOW, axis=0)  # a shape's feet are not quite of one height
    way, contacts = np.zeros((count, 3)), np.ones((count, 4), bool)
    if count < 3:
        return way, contacts, level
    low = np.exp(-np.square((heights - level) / (LOW * feet.leg)))
    weight = low
    for _ in range(ROUNDS):
        way = way_over_ground(feet, up, weight)
        contacts = find_contacts(feet, up, level, way - flat(feet.body - feet.body[0], up), fps)
        weight = contacts + 0.02 * low
    return way, contacts, level


def ground_under(height: Array, weight: Array) -> Array:
    """(t,) the ground's height under feet that are (t, 4) above their own levels, by how much each is believed to stand, 0 at first;
    smooth where it is told, straight on where it isn't."""
    count = len(height)
    bend = diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(count - 2, count))
    told = diags_array(weight.sum(1) + 1e-6)
    sway = spsolve((told + SWAY * bend.T @ bend).tocsc(), (weight * height).sum(1))
    return np.asarray(sway - sway[0])


def goes_along(feet: Feet, up: Array, way: Array, fps: float) -> bool:
    """Whether the animal went elsewhere than its feet say."""
    seconds = (len(way) - 1) / fps
    seen, walked = flat(feet.body[-1] - feet.body[0], up) / seconds, (way[-1] - way[0]) / seconds
    fastest = max(float(np.linalg.norm(seen)), float(np.linalg.norm(walked)))
    return bool(np.linalg.norm(seen - walked) > max(GOES_ALONG * fastest, SLOW * feet.leg))


def way_over_ground(feet: Feet, up: Array, weight: Array) -> Array:
    """(t, 3) the body's way on the level, from 0: steps that let feet stand by their weights (t, 4), smooth in time (reweighted least
    squares)."""
    steps = flat(np.diff(feet.tips - feet.body[:, None], axis=0), up)  # (t - 1, 4, 3)
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


class Standing:
    """The term that holds standing feet, for the fit: posed points, view and place, in the clip's own cameras -> ()."""

    def __init__(self, world: World, template: Template, fps: float) -> None:
        self.steady, self.tips = torch.from_numpy(world.steady).float(), foot_indices(template)[0]
        self.pelvis, self.stride = template.point_index["pelvis"], max(1, round(STRIDE * fps))
        self.up = torch.from_numpy(world.up).float()
        self.height, self.path = torch.from_numpy(world.height).float(), torch.from_numpy(world.path).float()
        self.contacts = torch.from_numpy(world.contacts).float()
        # (s, t) of each stretch of standing, with its foot: what stands has one place through it.
        rows, feet = [], []
        for foot in range(4):
            stands = world.contacts[:, foot]
            edges = np.flatnonzero(np.diff(np.concatenate([[False], stands, [False]]).astype(np.int8)))
            for start, end in zip(edges[::2], edges[1::2], strict=True):
                row = np.zeros(len(stands), np.float32)
                row[start:end] = 1
                rows.append(row)
                feet.append(foot)
        self.stretches = torch.from_numpy(np.array(rows, np.float32).reshape(-1, len(world.contacts)))
        self.feet = torch.tensor(feet, dtype=torch.long)

    def __call__(self, points: Tensor, view: Tensor, place: Tensor) -> Tensor:
        seen = points[:, self.tips] @ view.transpose(1, 2) + place[:, None]
        there = seen @ self.steady.transpose(1, 2) + self.path[:, None]  # (t, 4, 3)
        height = there @ self.up - self.height[:, None]
        energy = SUNK * (-height).clamp_min(0).square().sum() + GROUNDED * (self.contacts * height.square()).sum()
        if len(points) > self.stride:
            body = (view @ points[:, self.pelvis, :, None])[..., 0] + place  # (t, 3)
            body = (self.steady @ body[..., None])[..., 0] + self.path
            ahead = (self.steady @ view)[:, :, 2]
            sideways = torch.linalg.cross(self.up.expand(len(view), 3), ahead)  # (t, 3) the animal's left
            moved = body[self.stride :] - body[: -self.stride]
            energy = energy + ASKEW * (moved * (sideways[self.stride :] + sideways[: -self.stride]) / 2).sum(-1).square().sum()
            turned = (ahead[self.stride :] * sideways[: -self.stride]).sum(-1).square()
            energy = energy + STRAIGHT * (turned / (1 + turned / TURNS**2)).sum()
        if len(self.stretches):
            level = there - (there @ self.up)[..., None] * self.up
            mine = level[:, self.feet].transpose(0, 1)  # (s, t, 3)
            weight = self.stretches[..., None]
            middle = (mine * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
            energy = energy + PLANTED * (weight * (mine - middle).square()).sum()
        return energy
