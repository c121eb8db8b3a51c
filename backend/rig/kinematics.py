"""Forward kinematics and skinning in torch: batched, differentiable, one step a level of the hierarchy.

Enters: rest points (B, 42, 3) of the template (object frame, any unit), rotations in each bone's rest axes. Leaves:
rest frames, posed frames, posed points, skinned vertices. A bone's frame is a rigid (4, 4): columns X, Y (head to
tail), Z and the head. Posing is Blender's rule: pose[b] = pose[parent] inv(rest[parent]) rest[b] basis[b].

Axes: local X is the object's -X made perpendicular to the bone, exactly (-1, 0, 0) on the centre line; for a leg the
normal of the leg's plane takes the place of -X, so X is the bend axis and +X swings the tail forward (object +Z).
The right side is the left's mirror image with X turned round, so that it too points to -X.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.rig.chain_kernels import PoseChains
from backend.rig.rotations import euler_to_matrix, matrix_to_euler, matrix_to_quaternion, quaternion_to_matrix
from backend.rig.template import load_quadruped

__all__ = [
    "blend", "bone_frames", "dense_weights", "euler_to_matrix", "ground_height", "leg_normals", "matrix_to_euler", "matrix_to_quaternion",
    "pose_matrices", "pose_points", "quaternion_to_matrix", "rest_frames", "skin",
]  # fmt: skip

SIDEWAYS_PULL = 0.2
"""Share of -X in a leg's normal: a straight leg has no plane, and a nearly straight one a noisy one."""

PARALLEL = 0.3
"""Sine of the angle to the reference below which another reference joins in (ears that point sideways)."""

SHORTEST = 1e-3
"""Length in units below which a bone's direction is replaced by a fixed one: an untrained network's points coincide."""


@cache
def _indices(device: torch.device) -> dict[str, Tensor]:
    """Index tensors of the template on a device; the root (row 0) gets point 0 where it has none."""
    template = load_quadruped()
    side = [1.0 if bone.name.endswith(".L") else -1.0 if bone.name.endswith(".R") else 0.0 for bone in template.bones]
    legs = np.full(len(template.bones), -1, np.int64)
    for number, leg in enumerate(template.legs):
        for bone in (*leg.bones, *(() if leg.girdle is None else (leg.girdle,))):
            legs[bone] = number
    front, hind = [leg for leg in template.legs if leg.front], [leg for leg in template.legs if not leg.front]
    scapulas = [template.head_points[leg.girdle] for leg in front if leg.girdle is not None]
    chains = [[scapula, *leg.points[:3]] for scapula, leg in zip(scapulas, front, strict=True)] + [list(leg.points[:4]) for leg in hind]
    arrays = {
        "heads": template.head_points.clip(min=0),
        "tails": template.tail_points.clip(min=0),
        "legs": legs,
        "chains": np.array(chains),
        "owners": template.point_bones,
        "tips": np.array([leg.points[4] for leg in template.legs]),
        "side": np.array(side, np.float32),
    }
    return {name: torch.as_tensor(array, device=device) for name, array in arrays.items()}


def _unit(vectors: Tensor, fallback: Tensor) -> Tensor:
    """(..., 3) -> unit vectors; those shorter than SHORTEST are drawn to `fallback` (3,), smoothly."""
    length = vectors.norm(dim=-1, keepdim=True)
    filled = vectors + (SHORTEST - length).clamp_min(0) * fallback
    return filled / filled.norm(dim=-1, keepdim=True).clamp_min(0.1 * SHORTEST)


def leg_normals(points: Tensor) -> Tensor:
    """(B, 42, 3) rest points -> (B, 4, 3) unit normals of the legs' planes, pointing to -X; legs as in `Template.legs`.

    In front shoulder joint and elbow say where the plane is, behind knee and hock: first a joint that points
    forward, then one that points back.
    """
    index = _indices(points.device)
    down = points.new_tensor([0.0, -1.0, 0.0])
    joints = points[:, index["chains"]]  # (B, 4, 4, 3)
    along = _unit(joints[:, :, 1:] - joints[:, :, :-1], down)  # (B, 4, 3, 3)
    turn = torch.linalg.cross(along[:, :, 1], along[:, :, 2]) - torch.linalg.cross(along[:, :, 0], along[:, :, 1])
    # A leg that bends the wrong way (before `settle_points`) must not turn its axis round.
    normal = torch.cat([turn[..., :1].clamp_max(0) - SIDEWAYS_PULL, turn[..., 1:]], -1)
    return normal / normal.norm(dim=-1, keepdim=True)


def ground_height(points: Tensor) -> Tensor:
    """(B, 42, 3) -> (B,) height of the lowest toe tip."""
    return points[:, _indices(points.device)["tips"], 1].amin(1)


def rest_frames(points: Tensor) -> Tensor:
    """(B, 42, 3) rest points, object frame -> (B, b, 4, 4) rest frames of all bones, differentiable.

    The root lies on the ground under the pelvis, its Y forward. Exactly mirrored where the points are.
    """
    index = _indices(points.device)
    heads = points[:, index["heads"]]  # (B, b, 3)
    along = points[:, index["tails"]] - heads
    along = torch.cat([points.new_tensor([0.0, 0.0, 1.0]).expand(len(points), 1, 3), along[:, 1:]], 1)
    pelvis = points[:, 0]
    root = torch.stack([torch.zeros_like(pelvis[:, 0]), ground_height(points), pelvis[:, 2]], -1)
    heads = torch.cat([root[:, None], heads[:, 1:]], 1)
    return bone_frames(heads, along, leg_normals(points))


def invert_frames(frames: Tensor) -> Tensor:
    """(..., 4, 4) frames with orthonormal axes -> their inverses: the axes are only transposed."""
    back = frames[..., :3, :3].transpose(-1, -2)
    return torch.cat([torch.cat([back, -back @ frames[..., :3, 3:]], -1), frames[..., 3:, :]], -2)


def bone_frames(heads: Tensor, along: Tensor, normals: Tensor) -> Tensor:
    """Heads and head-to-tail vectors (B, b, 3) of the template's bones, legs' normals (B, 4, 3) -> (B, b, 4, 4)."""
    index = _indices(heads.device)
    side = index["side"].to(heads.dtype)[:, None]  # (b, 1): 1 left, -1 right, 0 centre
    # Left and right are worked out alike, on the left; the centre line has no x at all.
    fold = torch.cat([side, torch.ones_like(side), torch.ones_like(side)], -1)
    leg = index["legs"]
    minus_x = heads.new_tensor([-1.0, 0.0, 0.0])
    reference = torch.where(leg[:, None] >= 0, normals[:, leg.clamp_min(0)] * torch.cat([side.abs(), side, side], -1), minus_x)
    y = _unit(along * fold, heads.new_tensor([0.0, 0.6, 0.8]))
    x = reference - (reference * y).sum(-1, keepdim=True) * y
    lack = (PARALLEL - x.norm(dim=-1, keepdim=True)).clamp_min(0)
    other = heads.new_tensor([0.0, 0.0, -1.0])
    x = x + lack * (other - y[..., 2:] * other[2] * y)
    x = x / x.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    z = torch.linalg.cross(x, y)
    unfold = torch.where(side == 0, torch.ones_like(fold), fold)
    x = torch.where(side == 0, minus_x, x * unfold * torch.where(side < 0, -1.0, 1.0).to(x.dtype))
    rotation = torch.stack([x, y * unfold, z * unfold], -1)  # columns
    bottom = heads.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*heads.shape[:-1], 1, 4)
    return torch.cat([torch.cat([rotation, heads[..., None]], -1), bottom], -2)


def pose_matrices(rest: Tensor, rotations: Tensor, root: Tensor | None = None, levels: Sequence[NDArray[np.int64]] | None = None,
                  parents: NDArray[np.int64] | None = None) -> Tensor:  # fmt: skip
    """Rest frames (B or 1, b, 4, 4), rotations (B, b, 3, 3) in rest axes, root translation (B, 3) -> (B, b, 4, 4) posed.

    levels, parents: of another skeleton than the whole template (see `levels_of`).
    """
    batch = max(len(rest), len(rotations))
    rest, rotations = rest.expand(batch, -1, -1, -1), rotations.expand(batch, -1, -1, -1)
    if rest.device.type == "cpu":
        above, order = _template_order() if levels is None or parents is None else _order(levels, parents)
        upper = PoseChains.apply(rest[..., :3, :].contiguous(), rotations.contiguous(), above, order)  # (B, b, 3, 4)
    else:
        upper = _pose_by_levels(rest, rotations, *(_template_steps(rest.device) if levels is None or parents is None
                                                   else _steps(levels, parents, rest.device)))  # fmt: skip
    if root is not None:
        upper = torch.cat([upper[..., :3], upper[..., 3:] + root[:, None, :, None]], -1)
    bottom = rest.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(batch, upper.shape[1], 1, 4)
    return torch.cat([upper, bottom], -2)


def _order(levels: Sequence[NDArray[np.int64]], parents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """-> parents, -1 for none, and the bones with parents first, both as the kernels want them."""
    return np.ascontiguousarray(parents, np.int64), np.concatenate(list(levels)).astype(np.int64)


@cache
def _template_order() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    template = load_quadruped()
    return _order(template.levels, template.parents)


def _pose_by_levels(rest: Tensor, rotations: Tensor, first: Tensor, steps: list[Step], back: Tensor) -> Tensor:
    """What `PoseChains` does, for any device: rest frames (B, b, 4, 4), rotations (B, b, 3, 3) -> (B, b, 3, 4)."""
    turn, head = rest[..., :3, :3], rest[..., :3, 3]
    turns, heads = [turn.index_select(1, first) @ rotations.index_select(1, first)], [head.index_select(1, first)]
    for bones, above, slot in steps:
        delta = turns[-1].index_select(1, slot) @ turn.index_select(1, above).transpose(-1, -2)  # the parent's rotation in object axes
        away = head.index_select(1, bones) - head.index_select(1, above)
        heads.append(heads[-1].index_select(1, slot) + (delta @ away[..., None])[..., 0])
        turns.append(delta @ turn.index_select(1, bones) @ rotations.index_select(1, bones))
    return torch.cat([torch.cat(turns, 1), torch.cat(heads, 1)[..., None]], -1).index_select(1, back)


Step = tuple[Tensor, Tensor, Tensor]
"""A level's bones, their parents, and these parents' places in the level above."""


def _steps(levels: Sequence[NDArray[np.int64]], parents: NDArray[np.int64], device: torch.device) -> tuple[Tensor, list[Step], Tensor]:
    """The first level's bones, the other levels' steps, and where each bone stands in the levels one after another."""
    place = np.empty(len(parents), np.int64)  # of a bone within its level
    for level in levels:
        place[level] = np.arange(len(level))

    def indices(array: NDArray[np.integer]) -> Tensor:
        return torch.as_tensor(array, dtype=torch.int64, device=device)

    steps = [(indices(level), indices(parents[level]), indices(place[parents[level]])) for level in levels[1:]]
    return indices(levels[0]), steps, indices(np.argsort(np.concatenate(list(levels))))


@cache
def _template_steps(device: torch.device) -> tuple[Tensor, list[Step], Tensor]:
    template = load_quadruped()
    with torch.inference_mode(False):  # kept for those who want gradients
        return _steps(template.levels, template.parents, device)


def pose_points(points: Tensor, rotations: Tensor, rest: Tensor | None = None) -> Tensor:
    """Rest points (B or 1, 42, 3), rotations (B, b, 3, 3) -> posed points (B, 42, 3); the root stays where it is.

    rest: `rest_frames(points)`, from those who pose the same points often.
    """
    rest = rest_frames(points) if rest is None else rest
    posed = pose_matrices(rest, rotations)
    owner = _indices(points.device)["owners"]
    before, after = rest.index_select(1, owner), posed.index_select(1, owner)  # (B, 42, 4, 4)
    local = before[..., :3, :3].transpose(-1, -2) @ (points - before[..., :3, 3])[..., None]
    return (after[..., :3, :3] @ local)[..., 0] + after[..., :3, 3]


def skin(vertices: Tensor, bones: Tensor, weights: Tensor, transforms: Tensor) -> Tensor:
    """Linear blend skinning. Vertices (B or 1, V, 3), bones (V, 4), weights (V, 4), transforms (B, b, 4, 4) = posed times
    inverse rest -> (B, V, 3)."""
    return blend(vertices, dense_weights(bones, weights, transforms.shape[1]), transforms)


def dense_weights(bones: Tensor, weights: Tensor, count: int) -> Tensor:
    """Bones and weights (V, 4) -> (V, count) weights of all bones."""
    return weights.new_zeros(len(bones), count).scatter_add(1, bones.long(), weights)


def blend(vertices: Tensor, dense: Tensor, transforms: Tensor) -> Tensor:
    """Vertices (B or 1, V, 3) moved by transforms (B, b, 4, 4), blended by weights (V, b) -> (B, V, 3)."""
    blended = (dense @ transforms[..., :3, :].flatten(2)).unflatten(-1, (3, 4))  # (B, V, 3, 4)
    return (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]
