"""Moves a leg's joints to where bending keeps the leg's volume.

Enters: a rest mesh and 42 rest points inside it (`embed`). Leaves: the points with scapula, shoulder, elbow, hip and knee moved
across the leg, mirrored and settled.

Linear blend skinning loses volume where a joint presses skin together and gains less where it stretches it. To first order
a turn changes the limb's volume by the area of the cut between the bones, times how far the cut's middle lies from the hinge:
a knee guessed at the kneecap has all its flesh on the pressed side, and a right angle takes a third of the leg. So each joint is
moved along its own bending direction, across the leg, until a swing forward and one back change the volume alike, and until
a right angle at elbow or knee takes no more than FOLD_LOSS; where the leg would have to stand straight for that, the joint also
slides down to where the leg is thinner. What a turn does is measured on the mesh with the weights there would be.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from backend.rig.borders import part_borders, part_shares
from backend.rig.chain import along_chain
from backend.rig.checks import CROUCH_BEND, CROUCH_SIGNS, SINGLE_BEND, enclosed_volume, open_rim
from backend.rig.names import parse_name
from backend.rig.skeleton import body_length, build_skeleton, rest_matrices, settle_points
from backend.rig.template import Leg, load_quadruped
from backend.rig.territory import Part, parts_of
from backend.types import FloatArray, Mesh, Skeleton

Array = NDArray[np.float64]

BALANCED = 3
"""Joints of a leg that are moved, from the trunk (two where there is no girdle): those below lie in legs as thin as they need."""
FOLD_LOSS = 0.02
"""Share of the leg's volume that a right angle may take."""
SWING_LOSS = 0.02
"""Share that a swing by 40 degrees may change, if it can be had."""
SLIDE = 0.08
"""Of the lower bone's length, that elbow or knee slides down it in a round while a right angle takes too much: legs taper."""
ROUNDS = 4
LARGEST_SHIFT = 0.14
"""Of a joint from where it was, in body lengths."""


def balance_hinges(mesh: Mesh, points: FloatArray, largest_shift: float = LARGEST_SHIFT) -> FloatArray:
    """(42, 3) settled rest points inside a closed mesh -> the same with the legs' upper joints balanced.

    They move by `largest_shift` body lengths at most, and may come to lie less deep inside.
    """
    template = load_quadruped()
    start = points.astype(np.float64)
    moved = start.copy()
    reach = largest_shift * float(body_length(torch.from_numpy(start)))
    for number in range(ROUNDS):
        skeleton = build_skeleton(moved.astype(np.float32))
        if number % 2 == 0:  # where a leg ends changes little with its joints
            shares = part_shares(part_borders(mesh, skeleton, parts_of(mesh, skeleton)), skeleton)
        for leg in template.legs:
            if leg.side == "L":
                for point, shift in _leg_shifts(mesh, skeleton, shares[Part.FRONT if leg.front else Part.HIND], leg).items():
                    away = moved[point] + shift - start[point]
                    moved[point] = start[point] + away * min(1.0, reach / max(float(np.linalg.norm(away)), 1e-9))
        moved = np.asarray(settle_points(torch.from_numpy(moved)[None])[0].numpy())
    return np.ascontiguousarray(moved, np.float32)


def _leg_shifts(mesh: Mesh, skeleton: Skeleton, share: Array, leg: Leg) -> dict[int, Array]:
    """Template point -> (3,) how to move it, for the upper joints of a left leg. share: (v,) how much of a vertex is leg."""
    template = load_quadruped()
    chain = [*(() if leg.girdle is None else (leg.girdle,)), *leg.bones]
    bones = [skeleton.names.index(template.bone_names[b]) for b in chain]
    frames = rest_matrices(skeleton)
    own = (share > 0.5) & (mesh.vertices[:, 0] >= 0)
    used, faces = np.unique(mesh.faces[own[mesh.faces].all(1)], return_inverse=True)
    if not len(used):
        return {}
    faces = faces.reshape(-1, 3).astype(np.int64)
    rest, rim = mesh.vertices[used].astype(np.float64), open_rim(faces, len(used))
    weights = share[used, None] * along_chain(skeleton, rest, bones)
    whole = enclosed_volume(rest, faces, rim)

    def change(place: int, hinge: Array, angle: float) -> float:
        """Of the limb's volume, as a share, by a turn of one bone and all below it."""
        turned = (rest - hinge) @ _turn(frames[bones[place], :3, 0], angle).T + hinge
        return enclosed_volume(rest + weights[:, place:].sum(1)[:, None] * (turned - rest), faces, rim) / whole - 1

    def wanted(place: int, base: str, hinge: Array, across: Array) -> float:
        """How far to move the hinge along `across`: the least that keeps within the losses, as the volume is all but linear."""
        angles = [CROUCH_SIGNS[base] * CROUCH_BEND] if base in CROUCH_SIGNS else [SINGLE_BEND, -SINGLE_BEND]
        here = np.array([change(place, hinge, angle) for angle in angles])
        slope = (np.array([change(place, hinge + trial * across, angle) for angle in angles]) - here) / trial
        if len(angles) == 1:
            return float(max(-FOLD_LOSS - here[0], 0) / slope[0]) if abs(slope[0]) > 1e-9 else 0.0
        balanced = (here[0] - here[1]) / max(abs(slope[1] - slope[0]), 1e-9) * np.sign(slope[1] - slope[0])
        shares = np.linspace(0, 1, 21)
        worst = np.abs(here + np.outer(shares * balanced, slope)).max(1)
        return float(balanced * shares[np.argmax(worst <= max(SWING_LOSS, worst.min() + 1e-9))])

    shifts = {}
    trial = 0.05 * float(np.ptp(rest[:, 1]))
    for place in range(BALANCED - (leg.girdle is None)):
        frame, base = frames[bones[place]], parse_name(skeleton.names[bones[place]]).base
        above = frames[int(skeleton.parents[bones[place]]), :3, 1] if base in CROUCH_SIGNS else 0
        across = np.cross(frame[:3, 0], frame[:3, 1] + above)
        across /= np.linalg.norm(across)
        joint = frame[:3, 3]
        away = wanted(place, base, joint, across)
        shift = across * float(np.clip(away, -3 * trial, 3 * trial))
        if base in CROUCH_SIGNS and away != 0:
            shift += SLIDE * (skeleton.tails[bones[place]] - skeleton.heads[bones[place]])
        shifts[int(template.head_points[chain[place]])] = shift
    return shifts


def _turn(axis: Array, angle: float) -> Array:
    """(3, 3) turn by radians about a unit axis; Rodrigues' formula."""
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * skew + (1 - math.cos(angle)) * (skew @ skew))
