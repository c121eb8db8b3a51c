"""Rest points -> skeleton: bends every leg its own way, keeps bones long enough, gives each its axes.

Enters: 42 rest points in the template's order, object frame, any unit, mirrored (the left side counts). Leaves:
`types.Skeleton`, whose right side is the left's mirror image to the last bit, and its rest matrices.

A leg that stands straight (an elephant's) gives inverse kinematics no plane, so `settle_points` moves the middle
joint, as little as it takes, until knee, elbow, hock and wrist bend by MIN_BEND: elbow and hock point back, the knee
forward, the wrist folds the foot back. It is differentiable and changes nothing the second time: settle points
wherever they may still change, so that frames computed from them agree with the skeleton's.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.rig.kinematics import leg_normals, rest_frames
from backend.rig.template import load_quadruped
from backend.types import FloatArray, Skeleton

MIN_BEND = math.radians(3.0)
"""The least bend of knee, elbow, hock and wrist at rest."""
BEND_MARGIN = math.radians(0.3)
"""What `settle_points` adds, so that float32 files keep MIN_BEND."""
MIN_LENGTH = 0.012
"""The shortest bone, in body lengths (withers to tail base): Blender deletes bones without length."""
SETTLE_PASSES = 4
"""Neighbouring joints share a bone, so the bends are set in turn a few times; measured to be enough."""
ROOT_LENGTH = 0.3
"""Length of the root bone in body lengths: a handle to grab, it does not deform."""

TAIL_BEND = math.radians(35.0)
"""The most that a tail bone turns against the one before it at rest: a curl belongs to the pose."""
LEAST_SHARE = 0.8
"""Of the mean length, that each of its bones has at least: about a short one that bends, the skin would be pinched to nothing."""

BENT_JOINTS: tuple[tuple[str, str, str, float], ...] = (
    ("shoulder", "elbow", "wrist", 1.0),
    ("elbow", "wrist", "front_knuckle", -1.0),
    ("hip", "knee", "hock", -1.0),
    ("knee", "hock", "hind_knuckle", 1.0),
)
"""(above, joint, below, sign): sign of the lower bone's turn about local X against the upper one; + is forward."""


def points_to_half(points: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 42, 3) -> centre (..., 16, 2) of y, z and left (..., 13, 3), the two sides averaged."""
    template = load_quadruped()
    flip = points.new_tensor([-1.0, 1.0, 1.0])
    centre = points[..., : len(template.centre_points), 1:]
    return centre, (points[..., template.left_points, :] + points[..., template.right_points, :] * flip) / 2


def half_to_points(centre: Tensor, left: Tensor) -> Tensor:
    """Centre (..., 16, 2) of y, z and left (..., 13, 3) -> (..., 42, 3), exactly mirrored."""
    middle = torch.cat([torch.zeros_like(centre[..., :1]), centre], -1)
    return torch.cat([middle, left, left * left.new_tensor([-1.0, 1.0, 1.0])], -2)


def mirrored(points: FloatArray) -> FloatArray:
    """(42, 3) -> its mirror-symmetric part, to the last bit."""
    both = half_to_points(*points_to_half(torch.from_numpy(np.ascontiguousarray(points))))
    return np.asarray(both.numpy())


def body_length(points: Tensor) -> Tensor:
    """(..., 42, 3) -> (...,) distance from the withers to the tail's base."""
    index = load_quadruped().point_index
    return (points[..., index["withers"], :] - points[..., index["tail0"], :]).norm(dim=-1)


def uncurl_tail(points: Tensor) -> Tensor:
    """(42, 3) rest points -> the same with tail bones that turn by at most TAIL_BEND and of which none is short.

    They stay as long in all as they were.
    """
    index = load_quadruped().point_index
    tail = [index[f"tail{number}"] for number in range(5)]
    uncurled = points.clone()
    steps = points[tail[1:], 1:] - points[tail[:-1], 1:]  # (4, 2), y and z
    angles = torch.atan2(steps[:, 0], steps[:, 1])
    for number in range(1, len(steps)):
        turn = torch.remainder(angles[number] - angles[number - 1] + math.pi, 2 * math.pi) - math.pi
        angles[number] = angles[number - 1] + turn.clamp(-TAIL_BEND, TAIL_BEND)
    lengths = steps.norm(dim=-1, keepdim=True)
    mean = lengths.mean()
    lengths = mean + (lengths - mean) * ((1 - LEAST_SHARE) * mean / (mean - lengths.min()).clamp_min(1e-9)).clamp_max(1)
    steps = torch.stack([angles.sin(), angles.cos()], -1) * lengths
    uncurled[tail[1:], 1:] = points[tail[0], 1:] + steps.cumsum(0)
    return uncurled


def settle_points(points: Tensor) -> Tensor:
    """(B, 42, 3) rest points -> (B, 42, 3) mirrored, with legs bent and bones no shorter than MIN_LENGTH."""
    points = half_to_points(*points_to_half(points))
    points = _lengthen(points)
    for _ in range(SETTLE_PASSES):
        points = _bend(points)
    return points


def build_skeleton(points: FloatArray, tail: bool = True) -> Skeleton:
    """(42, 3) rest points, object frame -> the skeleton; tail=False leaves the whole tail out.

    Raises ValueError where points are not (42, 3) and finite, or all but coincide.
    """
    template = load_quadruped()
    if points.shape != (len(template.points), 3) or not np.isfinite(points).all():
        raise ValueError(f"rest points must be {len(template.points)} finite 3D points, not {points.shape}")
    start = torch.from_numpy(points.astype(np.float64))[None]
    length = float(body_length(start))
    if length < 1e-4:
        raise ValueError("withers and tail base coincide: these are no rest points of an animal")
    # Frames guard against lengths that are tiny in absolute terms, so they are worked out at body length 1.
    settled = settle_points(start / length)
    frames = (rest_frames(settled)[0]).numpy()
    rest = settled[0].numpy() * length
    kept = [i for i, bone in enumerate(template.bones) if tail or bone.group != "tail"]
    renumber = {old: new for new, old in enumerate(kept)}
    heads = frames[:, :3, 3] * length
    tails = np.where(template.tail_points[:, None] >= 0, rest[template.tail_points], heads + [0, 0, ROOT_LENGTH * length])
    return Skeleton(
        names=tuple(template.bone_names[i] for i in kept),
        parents=np.array([renumber.get(int(template.parents[i]), -1) for i in kept], np.int32),
        connected=np.array([template.bones[i].connected for i in kept]),
        deform=np.array([template.bones[i].deform for i in kept]),
        heads=np.ascontiguousarray(heads[kept], np.float32),
        tails=np.ascontiguousarray(tails[kept], np.float32),
        z_axes=np.ascontiguousarray(frames[kept, :3, 2], np.float32),
    )


def rest_matrices(skeleton: Skeleton) -> NDArray[np.float64]:
    """(b, 4, 4) rest frames, columns X, Y, Z and head, exactly as Blender makes them: Y runs head to tail, Z is
    `z_axes` made perpendicular to it, X = Y x Z."""
    heads = skeleton.heads.astype(np.float64)
    y = skeleton.tails.astype(np.float64) - heads
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    x = np.cross(y, skeleton.z_axes.astype(np.float64))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    matrices = np.zeros((len(heads), 4, 4))
    matrices[:, :3] = np.stack([x, y, np.cross(x, y), heads], -1)
    matrices[:, 3, 3] = 1
    return matrices


def skeleton_points(skeleton: Skeleton) -> FloatArray:
    """The skeleton's own (42, 3) points; those of an absent tail are NaN."""
    template = load_quadruped()
    points = np.full((len(template.points), 3), np.nan, np.float32)
    for i, name in enumerate(skeleton.names):
        bone = template.bones[template.bone_index[name]]
        for point, place in ((bone.head, skeleton.heads[i]), (bone.tail, skeleton.tails[i])):
            if point in template.point_index:
                points[template.point_index[point]] = place
    return points


def joint_bends(points: Tensor) -> Tensor:
    """(B, 42, 3) -> (B, 4) radians: elbow, wrist, knee, hock of the left side, positive the species' own way."""
    index = load_quadruped().point_index
    normals = leg_normals(points)
    angles = []
    for above, joint, below, sign in BENT_JOINTS:
        a, m, c = (points[:, index[f"{name}.L"]] for name in (above, joint, below))
        angles.append(sign * _turn(m - a, c - m, _normal(normals, joint)))
    return torch.stack(angles, -1)


def _normal(normals: Tensor, joint: str) -> Tensor:
    return normals[:, 0 if joint in ("elbow", "wrist") else 2]  # (B, 3) of the left legs


def _turn(upper: Tensor, lower: Tensor, normal: Tensor) -> Tensor:
    """Signed angle (B,) from upper to lower about the normal."""
    sine = (torch.linalg.cross(upper, lower) * normal).sum(-1)
    flat_upper = upper - (upper * normal).sum(-1, keepdim=True) * normal
    flat_lower = lower - (lower * normal).sum(-1, keepdim=True) * normal
    return torch.atan2(sine, (flat_upper * flat_lower).sum(-1))


def _bend(points: Tensor) -> Tensor:
    """One pass over the bent joints of the left side, mirrored to the right."""
    template = load_quadruped()
    index = template.point_index
    for above, joint, below, sign in BENT_JOINTS:
        normal = _normal(leg_normals(points), joint)
        a, m, c = (points[:, index[f"{name}.L"]] for name in (above, joint, below))
        lack = (MIN_BEND + BEND_MARGIN - sign * _turn(m - a, c - m, normal)).clamp_min(0)
        lack = torch.where(lack > 1e-4, lack, torch.zeros_like(lack))
        chord = (c - a) / (c - a).norm(dim=-1, keepdim=True).clamp_min(1e-6)
        aside = torch.linalg.cross(chord, normal)
        aside = aside / aside.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        p, q = (m - a).norm(dim=-1), (c - m).norm(dim=-1)
        # Near a straight leg a shift h across the chord turns the two bones by h/p and h/q.
        shift = sign * lack * p * q / (p + q)
        moved = m + shift[:, None] * aside
        flip = points.new_tensor([-1.0, 1.0, 1.0])
        left, right = index[f"{joint}.L"], index[f"{joint}.R"]
        rows = list(points.unbind(1))
        rows[left], rows[right] = moved, moved * flip
        points = torch.stack(rows, 1)
    return points


def _lengthen(points: Tensor) -> Tensor:
    """Pushes the tails of short bones outward along them, parents first (the child that begins there comes along less)."""
    template = load_quadruped()
    least = MIN_LENGTH * body_length(points).detach()[:, None].clamp_min(1e-3)  # (B, 1)
    rows = list(points.unbind(1))
    for number, bone in enumerate(template.bones):
        if bone.tail is None:
            continue
        head, tail = int(template.head_points[number]), int(template.tail_points[number])
        above = template.bones[bone.parent]
        along = rows[tail] - rows[head]
        length = along.norm(dim=-1, keepdim=True)
        fallback = points.new_tensor([0.0, -0.3, 0.95]) if above.tail is None else rows[int(template.tail_points[bone.parent])] - rows[
            int(template.head_points[bone.parent])]  # fmt: skip
        fallback = fallback / fallback.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        direction = torch.where(length > 1e-3 * least, along / length.clamp_min(1e-9), fallback)
        rows[tail] = torch.where(length < least, rows[head] + 1.001 * least * direction, rows[tail])
    return torch.stack(rows, 1)
