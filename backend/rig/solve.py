"""Posed points -> the pose that makes them: closed form, over many frames at once, numpy.

Enters: 42 rest points (object frame) and 42 posed points a frame, anywhere in space, +Y up, of the same size. Leaves: a
rotation a bone in its rest axes (wxyz) and the rigid placement object -> posed, which turns about +Y alone: the way
the withers lie from the pelvis, seen from above, is the heading; pitch and roll go to `hips`.

Points fix where every bone points, not its twist. Twist comes from the hip joints and shoulder blades along the trunk,
from the ears in neck and head, and in a leg from the next bone, which must stay in its hinge's reach; elsewhere (tail,
ears) a bone turns from its parent's pose the shortest way.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.rig.kinematics import rest_frames
from backend.rig.rotations import axis_angle_to_matrix, matrix_to_quaternion
from backend.rig.template import Leg, Template, load_quadruped

Array = NDArray[np.float64]

STRAIGHT = 0.02
"""Squared sine of a joint's bend at which the hinge is believed by half: a straight leg doesn't show its twist."""
LARGEST_TWIST = np.radians(50.0)
"""Of a thigh, as found from its hinge."""
LATERALS: dict[str, tuple[str, str, float]] = {
    "hips": ("hip", "scapula", 0.0),
    "spine.001": ("hip", "scapula", 0.25),
    "spine.002": ("hip", "scapula", 0.5),
    "spine.003": ("hip", "scapula", 0.75),
    "chest": ("hip", "scapula", 1.0),
    "neck.001": ("scapula", "ear_base", 1 / 3),
    "neck.002": ("scapula", "ear_base", 2 / 3),
    "head": ("scapula", "ear_base", 1.0),
    "jaw": ("scapula", "ear_base", 1.0),
}
"""Bone -> the two pairs of points between which its sideways axis lies, and the second's share."""


def solve_pose(rest_points: NDArray[np.floating], posed_points: NDArray[np.floating]) -> tuple[Array, Array]:
    """(42, 3) rest and (42, 3) or (N, 42, 3) posed points -> rotations (b, 4) or (N, b, 4) wxyz, placement (4, 4) or (N, 4, 4).

    placement @ [pose_points(rest, rotations), 1] = posed points, as far as bones' lengths agree.
    Raises ValueError on other shapes or values that are not finite.
    """
    template = load_quadruped()
    count = len(template.points)
    single = posed_points.ndim == 2
    posed = np.asarray(posed_points, np.float64).reshape(-1, *posed_points.shape[-2:])
    if rest_points.shape != (count, 3) or posed.shape[1:] != (count, 3):
        raise ValueError(f"expected ({count}, 3) points, not {rest_points.shape} and {posed_points.shape}")
    if not (np.isfinite(rest_points).all() and np.isfinite(posed).all()):
        raise ValueError("points must be finite")
    rest = np.asarray(rest_points, np.float64)
    heading = _heading(posed, template)
    placement = _placement(rest[0], posed[:, 0], heading)
    # From here on in the object frame: pelvis where it rests, heading +Z.
    posed = np.einsum("nji,npj->npi", heading, posed - posed[:, :1]) + rest[0]
    frames = rest_frames(torch.from_numpy(rest)[None])[0].numpy()[:, :3, :3]
    deltas = _global_turns(rest, posed, frames, template)
    local = np.empty_like(deltas)
    for bone, parent in enumerate(template.parents):
        above = np.eye(3) if parent < 0 else deltas[:, parent]
        local[:, bone] = frames[bone].T @ np.swapaxes(above, -1, -2) @ deltas[:, bone] @ frames[bone]
    rotations = matrix_to_quaternion(torch.from_numpy(local)).numpy()
    return (rotations[0], placement[0]) if single else (rotations, placement)


def _heading(posed: Array, template: Template) -> Array:
    """(N, 3, 3) turns about +Y whose third column is the heading."""
    index = template.point_index
    forward = posed[:, index["withers"]] - posed[:, index["pelvis"]]
    side = sum(posed[:, index[f"{name}.L"]] - posed[:, index[f"{name}.R"]] for name in ("hip", "scapula"))
    # An animal that rears up has its heading in the line across its hips instead.
    flat = _unit(forward)
    upright = np.clip((np.abs(flat[:, 1]) - 0.8) / 0.15, 0, 1)[:, None]
    flat = (1 - upright) * flat + upright * _unit(np.cross(side, [0.0, 1.0, 0.0]))
    angle = np.arctan2(flat[:, 0], flat[:, 2])
    turn = np.zeros((len(posed), 3, 3))
    turn[:, 0, 0] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 0, 2], turn[:, 2, 0] = np.sin(angle), -np.sin(angle)
    turn[:, 1, 1] = 1
    return turn


def _placement(rest_pelvis: Array, pelvis: Array, heading: Array) -> Array:
    matrices = np.zeros((len(pelvis), 4, 4))
    matrices[:, :3, :3] = heading
    matrices[:, :3, 3] = pelvis - heading @ rest_pelvis
    matrices[:, 3, 3] = 1
    return matrices


def _global_turns(rest: Array, posed: Array, frames: Array, template: Template) -> Array:
    """(N, b, 3, 3): each bone's turn from rest to pose, object axes."""
    count = len(posed)
    deltas = np.zeros((count, len(template.bones), 3, 3))
    deltas[:, 0] = np.eye(3)
    thighs = {leg.bones[0]: leg for leg in template.legs}
    for bone, entry in enumerate(template.bones):
        if entry.tail is None:
            continue
        head, tail = template.head_points[bone], template.tail_points[bone]
        before, after = _unit(rest[tail] - rest[head]), _unit(posed[:, tail] - posed[:, head])
        above = deltas[:, template.parents[bone]]
        if entry.name in LATERALS:
            first, second, share = LATERALS[entry.name]
            deltas[:, bone] = _frame(after, _lateral(posed, first, second, share, template)) @ _frame(
                before[None], _lateral(rest[None], first, second, share, template)).swapaxes(-1, -2)  # fmt: skip
            continue
        deltas[:, bone] = _shortest(np.einsum("nij,j->ni", above, before), after) @ above
        if bone in thighs:
            deltas[:, bone] = _hinge_twist(deltas[:, bone], after, thighs[bone], posed, frames) @ deltas[:, bone]
    return deltas


def _lateral(points: Array, first: str, second: str, share: float, template: Template) -> Array:
    """(N, 3) direction from the right to the left side, between two pairs of points."""
    index = template.point_index
    a, b = (_unit(points[:, index[f"{name}.L"]] - points[:, index[f"{name}.R"]]) for name in (first, second))
    return (1 - share) * a + share * b


def _hinge_twist(delta: Array, along: Array, leg: Leg, posed: Array, frames: Array) -> Array:
    """(N, 3, 3) turn about the thigh `along` that brings the shin into reach of its own hinge.

    Sought: angle t with f(t) = (R(t) axis) . shin = 0 for the shin's rest hinge axis; Gauss-Newton with a prior at 0.
    """
    axis = delta @ frames[leg.bones[1]][:, 0]  # (N, 3)
    shin = _unit(posed[:, leg.points[2]] - posed[:, leg.points[1]])
    straight = (axis * along).sum(-1)
    across = axis - straight[:, None] * along
    other = np.cross(along, across)
    a, b, c = (across * shin).sum(-1), (other * shin).sum(-1), straight * (along * shin).sum(-1)
    angle = np.zeros(len(posed))
    for _ in range(3):
        value = a * np.cos(angle) + b * np.sin(angle) + c
        slope = b * np.cos(angle) - a * np.sin(angle)
        angle = (angle * slope - value) * slope / (slope * slope + STRAIGHT)
        angle = np.clip(angle, -LARGEST_TWIST, LARGEST_TWIST)
    return axis_angle_to_matrix(along, angle)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def _frame(along: Array, side: Array) -> Array:
    """(N, 3, 3) columns: across, along, their cross product; across is `side` made perpendicular."""
    across = _unit(side - (side * along).sum(-1, keepdims=True) * along)
    return np.stack([across, along, np.cross(across, along)], -1)


def _shortest(start: Array, end: Array) -> Array:
    """(N, 3, 3) shortest turn that brings unit vectors start to end (about an arbitrary axis where they are opposite)."""
    cosine = (start * end).sum(-1)
    axis = np.cross(start, end)
    opposite = cosine < -1 + 1e-9
    if opposite.any():
        helper = np.where(np.abs(start[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
        axis[opposite] = _unit(np.cross(start, helper))[opposite]
    angle = np.arctan2(np.linalg.norm(np.cross(start, end), axis=-1), cosine)
    return axis_angle_to_matrix(_unit(axis), angle)
