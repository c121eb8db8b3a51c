"""Ground, feet and camera: what stands still while an animal moves.

Enters: a clip's feet (`feet`). Leaves: which way is up, where the ground is, when each foot stands on it, whether the camera moves; the
term that holds standing feet. Object units; camera axes OpenCV, of the clip's first frame: what is known of the camera's turning is undone
first.

A camera that goes along with an animal and shows nothing of the ground is known by the feet alone: those that stand run backwards together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import diags_array
from scipy.sparse.linalg import spsolve
from torch import Tensor

from backend.methods.fauna.clip.feet import SLOW, Feet, find_contacts, flat, foot_indices, standing_feet
from backend.methods.request import CameraKind
from backend.rig.rotations import axis_angle_to_matrix
from backend.rig.template import Template

Array = NDArray[np.float64]

GOES_ALONG = 0.5
"""Share of the animal's speed by which its way over the ground and the way seen differ where the camera moves."""
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
class World:
    """up (3,) unit; height (t,): the ground's along it; steady (t, 3, 3): turns each frame's camera axes to the first frame's; path (t, 3):
    where the camera has gone since then, what stood at x in those axes is at x - path now; way (t, 3): the body's over the ground;
    contacts (t, 4); moving: whether the camera moves."""

    up: Array
    height: Array
    steady: Array
    path: Array
    way: Array
    contacts: NDArray[np.bool_]
    moving: bool

    def __getitem__(self, some: slice) -> World:
        parts = (self.height[some], self.steady[some], self.path[some], self.way[some], self.contacts[some])
        return World(self.up, *parts, self.moving)


def upward(view: Tensor) -> Array:
    """(3,) unit: the objects' up in the camera, through all frames (t, 3, 3), as nearly level as cameras are held.

    A body that runs is pitched against its way, and an animal seen from its side looks then as if the camera were rolled.
    """
    middle = np.median(view[:, :, 1].double().numpy(), 0)
    middle /= np.linalg.norm(middle)
    roll = np.arctan2(middle[0], -middle[1])
    back = -(1 - ROLLED) * roll * np.exp(-((roll / TILTED) ** 2))
    return np.asarray(axis_angle_to_matrix(np.array([0.0, 0.0, 1.0]), np.asarray(back)) @ middle)


def find_world(
    feet: Feet, up: Array, fps: float, camera: CameraKind, steadied: bool = False, known: Array | None = None
) -> World:
    """Feet in the first frame's axes, as far as the camera's turning is known -> what stands. camera: "auto" finds out whether it moves;
    steadied: its turning is known, otherwise it is found; known (t, 3): the body's way.

    What standing feet run over is the animal's way; where it is not the way that was seen, the camera has moved. A camera that moves sways
    as well, more than feet are lifted; what it sways upwards the ground under the lowest feet tells.
    """
    count = len(feet.tips)
    steady, sway = np.tile(np.eye(3), (count, 1, 1)), np.zeros(count)
    way, contacts, level = standing_feet(feet, up, fps, known)
    moving = camera == "moving" or (camera == "auto" and count >= 3 and goes_along(feet, up, way, fps))
    if not moving and count >= 3:  # what stands doesn't move, however far the body is from where its feet would have it
        contacts = find_contacts(feet, up, level, np.zeros((count, 3)), fps)
    if moving and count >= 3 and not steadied:
        steady = about(up, pan_after(feet, up, way))
        feet = feet.turned(steady)
        share = np.eye(4)[(feet.tips @ up - level).argmin(1)]  # (t, 4): one foot stands at nearly all times
        for _ in range(SWAYS):
            sway = ground_under(feet.tips @ up - level, share)
            way, contacts, level = standing_feet(feet.lowered(sway, up), up, fps, known)
            share = contacts.astype(np.float64)
    heights = feet.tips @ up - sway[:, None]
    ground = np.full(count, np.median(heights[contacts]) if contacts.any() else np.median(heights.min(1)))
    path = way - flat(feet.body - feet.body[0], up) - sway[:, None] * up
    return World(up, ground, steady, path if moving else np.zeros((count, 3)), way, contacts, moving)


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
