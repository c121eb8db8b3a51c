"""Variety: a quadruped's parts made longer, thicker or larger, each on its own, at rest and in any pose; necks and tails turned further.

Enters an animal's points (rest or posed) and vertices; leaves them changed. Every template bone is stretched along
itself and across, in the frame that it has in that pose; children move along with the parent's stretched end, so the
same bone rotations remain the truth. A turn of a bone carries all that hangs on it. Vertices follow by smooth weights on the
template's bones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from backend.rig.kinematics import pose_matrices, rest_frames
from backend.rig.rotations import axis_angle_to_matrix, quaternion_to_matrix
from backend.rig.template import load_quadruped
from backend.types import FloatArray

UP = np.array([0.0, 1.0, 0.0])
NECK = {"neck.001": 0.35, "neck.002": 0.35, "head": 0.3}
"""Each bone's share of a turn of the head."""
TAIL = ("tail.001", "tail.002", "tail.003", "tail.004")
NECK_TURNED, TAIL_TURNED = 0.4, 0.5
"""Chances. A game's animals look ahead and hold their tails still; in photographs they look round, at the viewer most of all."""
ASIDE, NOD, TILT = (35.0, 85.0), (14.0, 35.0), (7.0, 15.0)
"""Degrees that the head turns about the vertical, the animal's own left, and the way ahead: standard deviation, and at most."""
RAISED, SWAY, CURL = (-80.0, 55.0), 18.0, 13.0
"""Degrees: how steeply a turned tail may leave the body; standard deviations of its swing aside, and of each further bone's bend."""
TRUNK = ("hips", "spine.001", "spine.002", "spine.003", "chest")


@dataclass(frozen=True)
class Variation:
    """scales: (b, 3) factors along each template bone's local X, Y (along) and Z, left and right alike."""

    scales: FloatArray

    @property
    def is_identity(self) -> bool:
        return bool((self.scales == 1).all())


def identity() -> Variation:
    """No change."""
    return Variation(np.ones((len(load_quadruped().bones), 3), np.float32))


def random_variation(rng: np.random.Generator, strength: float = 1.0) -> Variation:
    """Parts scaled each on its own. strength 1: most factors between 0.75 and 1.35."""

    def factor(spread: float) -> float:
        return float(np.exp(strength * spread * np.clip(rng.normal(), -1.8, 1.8)))

    scales = identity().scales.copy()
    index = load_quadruped().bone_index
    width, depth, length = factor(0.16), factor(0.15), factor(0.13)
    neck, neck_girth = factor(0.25), factor(0.16)
    head, muzzle, head_width = factor(0.16), factor(0.15), factor(0.10)
    ear, jaw = factor(0.35), factor(0.10)
    tail, tail_girth = factor(0.35), factor(0.25)
    leg, shin_share, foot, leg_girth = factor(0.2), factor(0.08), factor(0.12), factor(0.17)
    rear = factor(0.07)
    rump = factor(0.08)
    for name in TRUNK:
        scales[index[name]] = (width, length, depth)
    scales[index["hips"], 0] *= rump
    for name in ("neck.001", "neck.002"):
        scales[index[name]] = (neck_girth, neck, neck_girth)
    scales[index["head"]] = (head * head_width, head * muzzle, head)
    scales[index["jaw"]] = (head * head_width, head * muzzle, head * jaw)
    for name in ("tail.001", "tail.002", "tail.003", "tail.004"):
        scales[index[name]] = (tail_girth, tail, tail_girth)
    for side in (".L", ".R"):
        scales[index["ear" + side]] = (head * ear, head * ear, head * ear)
        shares = {"front_shin": shin_share, "front_foot": 1 / shin_share, "shin": shin_share * rear, "foot": rear / shin_share}
        for name, share in shares.items():
            scales[index[name + side]] = (leg_girth, leg * share, leg_girth)
        for name in ("front_toe", "toe"):
            scales[index[name + side]] = (leg_girth * foot, foot * leg_girth, leg_girth * foot)
        for name in ("shoulder", "front_thigh", "thigh"):
            scales[index[name + side]] = (0.5 * (width + leg_girth), depth, 0.5 * (length + leg_girth))
    return Variation(scales)


def posed_frames(points: FloatArray, rotations: NDArray[np.floating], placement: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rest points (42, 3), pose (n, b, 4) wxyz, placement (n, 4, 4) -> template bones' frames in that pose (n, b, 4, 4)."""
    rest = rest_frames(torch.from_numpy(points.astype(np.float64))[None])
    turns = quaternion_to_matrix(torch.from_numpy(np.asarray(rotations, np.float64)))
    return np.asarray(np.asarray(placement, np.float64)[:, None] @ pose_matrices(rest, turns).numpy())


def random_turns(points: FloatArray, rng: np.random.Generator) -> NDArray[np.float64]:
    """(b, 3, 3) turns for one pose's points (42, 3): the neck with the head, and the tail, by chance; identities elsewhere."""
    template = load_quadruped()
    index, at = template.bone_index, template.point_index
    ahead = (points[at["withers"]] - points[at["pelvis"]]).astype(np.float64) * (1, 0, 1)
    ahead /= max(float(np.linalg.norm(ahead)), 1e-6)
    left = np.cross(UP, ahead)
    out = np.tile(np.eye(3), (len(template.bones), 1, 1))

    def turn(axis: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
        return axis_angle_to_matrix(axis, np.asarray(np.radians(degrees)))

    aside, nod, tilt = (float(np.clip(rng.normal(0, spread), -most, most)) for spread, most in (ASIDE, NOD, TILT))
    raised, sway = float(rng.uniform(*RAISED)), float(rng.normal(0, SWAY))
    curls = rng.normal(0, CURL, (len(TAIL), 2))
    neck_turned, tail_turned = rng.random(2) < (NECK_TURNED, TAIL_TURNED)
    if neck_turned:
        for name, share in NECK.items():
            out[index[name]] = turn(UP, share * aside) @ turn(left, share * nod) @ turn(ahead, share * tilt)
    if tail_turned:
        leaves = points[at["tail1"]] - points[at["tail0"]]
        steep = float(np.degrees(np.arctan2(leaves[1], max(-float(leaves @ ahead), 1e-6))))
        for number, name in enumerate(TAIL):
            bend, swing = curls[number] if number else (raised - steep, sway)
            out[index[name]] = turn(UP, swing) @ turn(left, bend)
    return out


def stretch_matrices(
    variation: Variation, frames: NDArray[np.float64], points: FloatArray, turns: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Frames (b, 4, 4) and points (42, 3) of one pose -> (b, 4, 4) affine matrices, one a template bone.

    turns (b, 3, 3): of each bone about its head, in the axes of the points, before its parent's.
    """
    template = load_quadruped()
    out = np.zeros((len(template.bones), 4, 4))
    out[:, 3, 3] = 1
    turned = np.tile(np.eye(3), (len(template.bones), 1, 1)) if turns is None else turns.copy()
    for bone, parent in enumerate(template.parents):
        if parent >= 0:
            turned[bone] = turned[parent] @ turned[bone]
        turn = frames[bone, :3, :3]
        linear = turned[bone] @ turn @ np.diag(variation.scales[bone]) @ turn.T
        head = points[template.head_points[bone]].astype(np.float64) if parent >= 0 else frames[bone, :3, 3]
        moved = head if parent < 0 else out[parent, :3, :3] @ head + out[parent, :3, 3]
        out[bone, :3, :3] = linear
        out[bone, :3, 3] = moved - linear @ head
    return out


def stretch_points(matrices: NDArray[np.float64], points: FloatArray) -> FloatArray:
    """Points (42, 3) carried by their bones' `matrices` (b, 4, 4): a bone's head moves with its parent."""
    template = load_quadruped()
    out = np.empty((len(points), 3))
    done = np.zeros(len(points), bool)
    for bone, parent in enumerate(template.parents):
        for carrier, point in ((parent, template.head_points[bone]), (bone, template.tail_points[bone])):
            if point >= 0 and carrier >= 0 and not done[point]:
                out[point] = matrices[carrier, :3, :3] @ points[point] + matrices[carrier, :3, 3]
                done[point] = True
    return out.astype(np.float32)


def stretch_vertices(matrices: NDArray[np.float64], weights: FloatArray, vertices: FloatArray) -> FloatArray:
    """Vertices (v, 3) by their template weights (v, b)."""
    return np.asarray(_blend(matrices.astype(np.float32), weights, vertices))


@njit(cache=True)
def _blend(matrices, weights, vertices):  # type: ignore[no-untyped-def]
    out = np.zeros((len(vertices), 3), np.float32)
    for v in range(len(vertices)):
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        for b in range(weights.shape[1]):
            w = weights[v, b]
            if w > 1e-4:
                for r in range(3):
                    out[v, r] += w * (matrices[b, r, 0] * x + matrices[b, r, 1] * y + matrices[b, r, 2] * z + matrices[b, r, 3])
    return out
