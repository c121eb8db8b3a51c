"""From the angles of the paper's 20 bones to a pose of the template (3D-Fauna section 3.3; the released skinning's chain).

Enters: the bones of `bones20.bones` and their Euler angles. Leaves: a rigid transform of rest points for each of the 20, and
the rotations of all template bones in their own rest axes. With M_b the frame of bone b at its first joint (z along the bone,
y = z x e_x, x = y x z; columns, unit) and R_b = Rx Ry Rz of its angles, T_b = T_parent M_b R_b inv(M_b): leaf first, root last.
Object frame throughout; radians; quaternions wxyz. Which template bone follows which of the 20 stands in `quadruped.json`
("official20").
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.official.bones20 import BODY, LEG_BONES, LEGS, TURN
from backend.rig.names import NameParts, parse_name
from backend.rig.rotations import euler_to_matrix, matrix_to_quaternion, quaternion_to_matrix
from backend.rig.template import QUADRUPED, load_quadruped

COUNT = BODY + LEGS * LEG_BONES

OUTWARD = (*reversed(range(BODY)), *reversed(range(BODY, COUNT)))
"""The 20 bones, each after its parent: the body from the middle to both tips, then the legs from the body to the feet."""

OPPOSITE = np.concatenate([np.roll(np.arange(BODY), BODY // 2), np.roll(np.arange(BODY, COUNT), LEGS // 2 * LEG_BONES)])
"""(20,) which of the 20 a bone becomes when the animal makes half a turn about y: front is back, a leg the one diagonally across."""

FOOT_TWIST, BODY_ROLL, EARLY_TWIST = 0.05, 0.3 / math.pi, 0.3
"""What the published constraints leave of a foot bone's turns about y and z, of a body bone's about z (0.1 rad of 60 degrees), and of
all leg bones' about y and z in the first part of the training."""

SHORTEST = 1e-6
"""Length below which a bone, or its cross product with e_x, counts as nothing."""


def bone_frames(bones: Tensor) -> Tensor:
    """Bones (20, 2, 3) -> (20, 3, 3) rest axes x, y, z as columns.

    A bone along x, for which the paper's rule has no y, takes the object's; one without length lies along z.
    """
    x_axis, y_axis, z_axis = torch.eye(3, dtype=bones.dtype, device=bones.device)
    z = bones[:, 1] - bones[:, 0]
    length = z.norm(dim=-1, keepdim=True)
    z = torch.where(length > SHORTEST, z / length.clamp_min(SHORTEST), z_axis)
    y = torch.linalg.cross(z, x_axis.expand_as(z))
    size = y.norm(dim=-1, keepdim=True)
    y = torch.where(size > SHORTEST, y / size.clamp_min(SHORTEST), y_axis)
    return torch.stack([torch.linalg.cross(y, z), y, z], -1)


def constrain(angles: Tensor, hinged: bool = True) -> Tensor:
    """(B, 20, 3) predicted angles -> the same under the constraints of the finished training, as the released Fauna code has them.

    Legs swing about x alone, feet nearly so; the body hardly rolls. hinged False: the first 300,000 iterations, where all leg
    bones may twist a little.
    """
    kept = torch.ones(COUNT, 3, dtype=angles.dtype, device=angles.device)
    kept[:BODY, 2] = BODY_ROLL
    kept[BODY:, 1:] = 0 if hinged else EARLY_TWIST
    if hinged:
        kept[BODY::LEG_BONES, 1:] = FOOT_TWIST
    return angles * kept


def pose_transforms(bones: NDArray[np.floating], parents: NDArray[np.integer], angles: Tensor) -> Tensor:
    """The published forward kinematics: (20, 2, 3) bones and (20,) parents of `bones20.bones`, angles (B, 20, 3) in radians, as they go
    into the published skinning (after `constrain`) -> (B, 20, 4, 4) transforms of rest points, object frame.

    Each bone turns about its first joint and carries those whose parent it is. The two roots, 3 and 7, turn about the
    middle that they share, each by itself.
    """
    ends = torch.as_tensor(bones, dtype=angles.dtype, device=angles.device)
    frames = bone_frames(ends)
    turns = frames @ euler_to_matrix(angles) @ frames.transpose(-1, -2)  # (B, 20, 3, 3)
    shifts = ends[:, 0] - (turns @ ends[:, 0, :, None])[..., 0]
    bottom = turns.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*turns.shape[:2], 1, 4)
    alone = torch.cat([torch.cat([turns, shifts[..., None]], -1), bottom], -2)  # (B, 20, 4, 4)
    found: dict[int, Tensor] = {}
    for bone in OUTWARD:
        parent = int(parents[bone])
        found[bone] = alone[:, bone] if parent < 0 else found[parent] @ alone[:, bone]
    return torch.stack([found[bone] for bone in range(COUNT)], 1)


def pose_vertices(vertices: NDArray[np.floating], weights: NDArray[np.floating], transforms: Tensor) -> Tensor:
    """The published skinning: rest vertices (v, 3), weights (v, 20) of `bones20.skin_weights`, transforms (B, 20, 4, 4) -> (B, v, 3)."""
    homogeneous = torch.as_tensor(np.append(vertices, np.ones((len(vertices), 1)), 1), dtype=transforms.dtype, device=transforms.device)
    share = torch.as_tensor(weights, dtype=transforms.dtype, device=transforms.device)
    return torch.einsum("vk,bkij,vj->bvi", share, transforms[:, :, :3], homogeneous)


def half_turned(transforms: Tensor) -> Tensor:
    """(B, 20, 4, 4) -> the same of the animal after half a turn about y (`bones20.TURN`): other bones' names, other frame."""
    turn = transforms.new_tensor([*TURN, 1.0])
    return (turn[:, None] * transforms * turn)[:, torch.as_tensor(OPPOSITE, device=transforms.device)]


@dataclass(frozen=True)
class Followed:
    """What each template bone follows. first, second (b,): which of the 20, -1 at the root; share (b,): how far from first to second."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: NDArray[np.float64]


@cache
def followed() -> Followed:
    """`quadruped.json`'s "official20" for every template bone, of an animal that faces +Z (+X is its left).

    Raises KeyError where a deforming bone follows none.
    """
    table = json.loads(QUADRUPED.read_text(encoding="utf-8"))["official20"]
    named: list[str] = [*table["body_front"], *table["body_back"]]
    for end, side in (leg.split(".") for leg in table["legs"]):
        named += [f"{bone}.{side}" for bone in table["leg_foot_to_hip"][end]]
    number = {name: i for i, name in enumerate(named)}
    bones = load_quadruped().bones
    first, share = np.full(len(bones), -1), np.zeros(len(bones))
    second = first.copy()
    for i, bone in enumerate(bones):
        parts = parse_name(bone.name)
        without_side = str(NameParts(parts.base, parts.number))
        if without_side in table["between"]:
            (near, a), (far, b) = table["between"][without_side].items()
            first[i], second[i], share[i] = number[near], number[far], b / (a + b)
        elif bone.deform:
            host = table["split_off"].get(without_side, without_side)
            sided = f"{host}.{parts.side}"
            first[i] = second[i] = number[sided if sided in number else host]
    return Followed(first, second, share)


def template_rotations(transforms: Tensor, rest: Tensor, turned: bool) -> Tensor:
    """What `types.Pose.rotations` holds: (B, b, 4) wxyz, w >= 0, of all template bones in each bone's own rest axes.

    transforms (B, 20, 4, 4): of `pose_transforms`, in the frame in which the network saw the animal; rest (B or 1, b, 4, 4): rest frames in
    template order, of the points from `bones20.template_points` (`kinematics.rest_frames`, or `skeleton.rest_matrices`);
    turned: what `template_points` returned, whether those points are of the animal after half a turn.

    A bone's rotation in object axes, D, is that of the one it follows (between two: on the arc from one to the other); its own
    rotation is what the parent has not done yet, inv(rest) inv(D_parent) D rest. Only rotations cross. The paper's two roots turn
    about the middle of the back, which stays; the template has one root, and under it `hips`: its pelvis stays, and the middle
    goes where the spine takes it (a root translation, or the camera, makes up for that). And what the paper's bones tear apart
    at a joint, or take about another point (a thigh about the spine, not the hip), stays connected here.
    """
    if turned:
        transforms = half_turned(transforms)
    follow, device = followed(), transforms.device
    turn = transforms[..., :3, :3]
    first, second = (turn[:, torch.as_tensor(index.clip(min=0), device=device)] for index in (follow.first, follow.second))
    between = torch.as_tensor(follow.share > 0, device=device)
    share = torch.as_tensor(follow.share, dtype=turn.dtype, device=device)[between, None]
    whole = first.clone()  # (B, b, 3, 3) each template bone's rotation in object axes
    whole[:, between] = quaternion_to_matrix(_arc(matrix_to_quaternion(first[:, between]), matrix_to_quaternion(second[:, between]), share))
    still = torch.eye(3, dtype=turn.dtype, device=device).expand(len(turn), 1, 3, 3)
    root = torch.as_tensor(follow.first < 0, device=device)[:, None, None]
    whole = torch.where(root, still, whole)
    # The root's parent (-1) is the last row here: one that stays as it is.
    above = torch.cat([whole, still], 1)[:, torch.as_tensor(load_quadruped().parents, device=device)]
    axes = rest[..., :3, :3].to(turn)
    return matrix_to_quaternion(axes.transpose(-1, -2) @ above.transpose(-1, -2) @ whole @ axes)


def _arc(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Slerp: unit quaternions (..., 4), share (..., 1) from 0 (start) to 1 (end) -> (..., 4), the shorter way."""
    end = torch.where((start * end).sum(-1, keepdim=True) < 0, -end, end)
    angle = 2 * torch.atan2((start - end).norm(dim=-1, keepdim=True), (start + end).norm(dim=-1, keepdim=True))
    small = angle < 1e-4
    whole = torch.where(small, torch.ones_like(angle), angle.sin())
    a = torch.where(small, 1 - share, ((1 - share) * angle).sin() / whole)
    b = torch.where(small, share, (share * angle).sin() / whole)
    return a * start + b * end
