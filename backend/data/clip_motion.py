"""What a clip's animal does, in the world: it travels over the ground and its standing feet stay where they are.

Enters: an animal of `quadrupeds`, the frames of one of the game's clips, how it is to be played. Leaves: its skin and its 42 points in
every frame of the shot, contacts of its feet, its speed. World: right-handed, +Y up, ground y = 0, the animal heads for +Z and is at
z = 0 in the middle of the shot; body length 1 (withers to tail base at rest).

The game's clip runs in place and its feet slide. As for ready motions, `gait` finds speed and contacts and `footing` turns the legs'
bones as little as it takes; here those turns are laid over the game's own skinning, so that the skin stays the game's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from backend.data import footing, gait, quadrupeds
from backend.data.quadrupeds import Quadruped
from backend.data.ready_motions import fit_points, stand_up
from backend.data.smoothing import weld
from backend.data.variety import Variation, posed_frames, stretch_matrices, stretch_points, stretch_vertices
from backend.data.zero_ad import BoneClip
from backend.rig.kinematics import invert_frames, pose_matrices, quaternion_to_matrix
from backend.rig.proportions import template_weights
from backend.rig.skeleton import mirrored, rest_matrices
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from backend.types import FloatArray, Skeleton

Array = NDArray[np.float64]

FINEST = 24
"""Frames of a cycle, at least, in which gait and feet are worked out; the shot takes every so many of them."""
ROUNDS = 2
"""Of placing the feet: after each, what the skin's own toes still miss is asked for on top."""

STILL_THERE = 0.01
"""Body lengths within which a foot is where it stands."""


@dataclass(frozen=True)
class Play:
    """How a clip is played. frames: of the shot; start: the cycle's frame that it begins with; seconds: of one cycle, 0 as the file has
    it; travels: walks on, else stays where it is."""

    frames: int
    start: int = 0
    seconds: float = 0.0
    travels: bool = True


@dataclass(frozen=True)
class ClipMotion:
    """World frame. vertices (t, v, 3), points (t, 42, 3), contacts (t, 4) in the template's order of legs, speed in body lengths a second;
    at rest, standing on y = 0, with bones as long as the clip has them: rest_vertices (v, 3), rest_points (42, 3); influence (v, b) of
    the template's bones; index (v,): welded places."""

    vertices: FloatArray
    points: FloatArray
    contacts: NDArray[np.bool_]
    speed: float
    rest_vertices: FloatArray
    rest_points: FloatArray
    influence: FloatArray
    index: NDArray[np.int64]


def read_motion(animal: Quadruped, clip: BoneClip, play: Play, fps: float) -> ClipMotion:
    """Play a clip. fps: frames a second of the shot. A cycle is made to last whole frames, so that none falls between two.

    Raises ValueError for a clip of another rig, or of fewer than four frames.
    """
    if clip.frames.shape[1] != animal.point_weights.shape[1]:
        raise ValueError(f"{clip.name} has {clip.frames.shape[1]} bones, {animal.name} {animal.point_weights.shape[1]}")
    index = weld(animal.vertices)[1]
    influence = template_weights(animal.vertices, animal.faces, animal.points, index)
    every = np.concatenate([animal.points, animal.vertices])
    weights = np.concatenate([animal.point_weights, quadrupeds.dense_weights(animal)])
    posed = np.stack([quadrupeds.pose(every, weights, matrices) for matrices in quadrupeds.skin_matrices(animal, clip)])
    count = len(animal.points)
    rest = as_long_as_posed(animal.points, animal.vertices, influence, posed[:, :count])
    skeleton, scale, root = stand_up(rest[:count])
    rest = (rest * scale - root).astype(np.float32)
    cycle, seconds, refined = close_in_time(posed * scale - root, clip.seconds, play.seconds, fps)
    cycle = face_forward(rest[:count], cycle)
    moved, contacts, speed = keep_feet(skeleton, cycle, count, influence, seconds, play.travels)
    shown = (play.start + np.arange(play.frames)) * refined % len(cycle)
    travel = speed * (np.arange(play.frames) - (play.frames - 1) / 2) / fps
    shot = moved[shown] + travel[:, None, None] * np.array([0.0, 0.0, 1.0])
    return ClipMotion(
        shot[:, count:].astype(np.float32), shot[:, :count].astype(np.float32), contacts[shown], speed,
        rest[count:], rest[:count], influence, index,
    )  # fmt: skip


def as_long_as_posed(points: FloatArray, vertices: FloatArray, influence: FloatArray, posed: FloatArray) -> FloatArray:
    """Rest points (42, 3) and skin (v, 3), the points through a clip (n, 42, 3) -> (42 + v, 3) at rest with bones as long as they are
    there in the mean, left and right alike: a clip is made on one animal's bones, and plays them on its relatives."""
    template = load_quadruped()
    bones = [b for b, parent in enumerate(template.parents) if parent >= 0]
    heads, tails = template.head_points[bones], template.tail_points[bones]
    ratios = np.linalg.norm(posed[:, tails] - posed[:, heads], axis=-1).mean(0) / np.linalg.norm(points[tails] - points[heads], axis=-1)
    scales = np.ones((len(template.bones), 3))
    scales[bones, 1] = ratios
    scales[:, 1] = (scales[:, 1] + scales[template.mirror_bones, 1]) / 2
    at_rest = posed_frames(points, *solve_pose(points, points[None]))[0]
    matrices = stretch_matrices(Variation(scales.astype(np.float32)), at_rest, points)
    return np.concatenate([mirrored(stretch_points(matrices, points)), stretch_vertices(matrices, influence, vertices)])


def close_in_time(posed: Array, frame_seconds: float, seconds: float, fps: float) -> tuple[Array, float, int]:
    """(n, p, 3) of a clip -> (k, p, 3) of one exact cycle, its seconds, and how many of the k make a frame of the shot."""
    _, period = gait.close_loop(posed, 4)
    whole = max(1, round((seconds or period * frame_seconds) * fps))
    refined = -(-FINEST // whole)
    cycle, _ = gait.close_loop(posed, whole * refined)
    return cycle, whole / fps, refined


def face_forward(rest: NDArray[np.floating], cycle: Array) -> Array:
    """Rest points (42, 3), a cycle (k, 42 + v, 3) -> the cycle turned: its mean heading is +Z, its mean pelvis at x = z = 0."""
    points = len(rest)
    placement = solve_pose(rest, cycle[:, :points])[1]
    heading = placement[:, :3, 2].mean(0)
    c, s = heading[[2, 0]] / np.hypot(heading[0], heading[2])
    turned = cycle @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]).T
    turned[..., [0, 2]] -= turned[:, load_quadruped().point_index["pelvis"]][:, [0, 2]].mean(0)
    return np.asarray(turned)


def keep_feet(
    skeleton: Skeleton, cycle: Array, count: int, influence: FloatArray, seconds: float, travels: bool
) -> tuple[Array, NDArray[np.bool_], float]:
    """A cycle (k, count + v, 3) of points and skin, running in place -> the same with standing feet where they stand, contacts (k, 4), and
    the speed at which it then has to travel."""
    template = load_quadruped()
    rest, toes = rest_matrices(skeleton), footing.feet()[0]
    lengths = np.linalg.norm(skeleton.tails[toes].astype(np.float64) - skeleton.heads[toes], axis=1)
    grounds = skeleton.tails[toes, 1].astype(np.float64)
    knuckles, tips = (cycle[:, [leg.points[joint] for leg in template.legs]] for joint in (3, 4))
    if travels:
        speed, contacts = gait.find_gait(tips, knuckles, grounds, seconds)
    else:
        speed, contacts = 0.0, gait.find_stands(tips, grounds, seconds)
    wanted = tips + gait.stance_shifts(tips, contacts, speed, seconds)
    wanted[..., 1] = np.where(contacts, grounds, np.maximum(wanted[..., 1], grounds))
    rotations, hips = fit_points(skeleton, cycle[:, :count])
    before = _pose(rest, rotations, hips)
    own_tips, own_knuckles = (places.numpy() for places in footing.foot_points(before, torch.from_numpy(lengths)))
    asked = own_tips + (wanted - tips)
    lowest = grounds + np.minimum(own_tips - tips, 0)[..., 1].min(0)
    for _ in range(ROUNDS):
        steps = footing.Steps(contacts, asked, own_knuckles - own_tips)
        turns = (_pose(rest, *footing.place_feet(rest, lengths, rotations, hips, steps, lowest)) @ invert_frames(before)).numpy()
        placed = turns[:, toes][..., :3, :3] @ tips[..., None]
        asked = asked + np.where(contacts[..., None], wanted - placed[..., 0] - turns[:, toes][..., :3, 3], 0)
    carried = turns[:, template.point_bones]  # (k, 42, 4, 4)
    points = (carried[..., :3, :3] @ cycle[:, :count, :, None])[..., 0] + carried[..., :3, 3]
    skin = np.stack([stretch_vertices(t, influence, v.astype(np.float32)) for t, v in zip(turns, cycle[:, count:], strict=True)])
    tips = points[:, [leg.points[4] for leg in template.legs]]
    return np.concatenate([points, skin], 1), still_standing(tips, contacts, speed, seconds), speed


def still_standing(tips: Array, contacts: NDArray[np.bool_], speed: float, seconds: float) -> NDArray[np.bool_]:
    """Tips (k, 4, 3) of a cycle's feet after they were placed, contacts (k, 4) that they were placed for -> contacts with the frames
    before and after each stance in which the tip is still where it stands: what the pictures show."""
    count, longer = len(tips), contacts.copy()
    for foot in range(tips.shape[1]):
        for start, length in gait.runs(contacts[:, foot]):
            steps = np.arange(-(count - length), count)
            frames = (start + steps) % count
            world = tips[frames, foot] + (speed * seconds / count) * steps[:, None] * [0.0, 0.0, 1.0]
            place = world[(steps >= 0) & (steps < length)].mean(0)
            there = np.linalg.norm(world - place, axis=1) < STILL_THERE
            there |= (steps >= 0) & (steps < length)
            first = steps[: count - length][~there[: count - length]].max(initial=-(count - length) - 1) + 1
            after = steps[steps >= length]
            last = after[~there[steps >= length]].min(initial=count) - 1
            longer[(start + np.arange(first, last + 1)) % count, foot] = True
    return longer


def _pose(rest: Array, rotations: Array, hips: Array) -> torch.Tensor:
    """Rest frames (b, 4, 4), rotations (k, b, 4), the hips' places (k, 3) from where they rest -> (k, b, 4, 4)."""
    return pose_matrices(torch.from_numpy(rest)[None], quaternion_to_matrix(torch.from_numpy(rotations)), torch.from_numpy(hips))
