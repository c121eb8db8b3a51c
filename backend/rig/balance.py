"""Moves the borders of leg bones along the leg until bending keeps the leg's volume.

Enters: a rest mesh, its skeleton and the limbs' borders. Leaves: `chain.Shifts`. A turn about a joint changes a limb's volume, to first
order, by the mean square of the distance of the border's rim from the hinge, where skin is stretched, less that where it is
pressed together: it doesn't matter which way the border runs between. So where a hinge lies nearer to one side of the leg than to
the other, the border is moved along the leg on one side, as the kneecap rides on the shank and the elbow's point on the forearm.
Of all shifts tried the least is taken that keeps within the allowance, else that which changes volume least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.rig.borders import Border, part_shares
from backend.rig.chain import Joint, Shifts, joint_of
from backend.rig.checks import CROUCH_BEND, CROUCH_SIGNS, SINGLE_BEND, enclosed_volume, nearest_bones, open_rim
from backend.rig.names import mirror_name, parse_name
from backend.rig.skeleton import rest_matrices
from backend.rig.territory import Part, fold, part_bones
from backend.types import Mesh, Skeleton

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ALLOWED = 0.05
"""Share of the limb's volume that a bend may change; the rest of what must hold is for the smoothing afterwards."""
LEAK = 0.002
"""Share that a moved border may give a limb in other legs."""
RESIZED = 1.12
"""Factor by which a moved border may make the limb larger or smaller."""
SWINGS = (SINGLE_BEND, -SINGLE_BEND)
BORDER_SHIFTS = (0.0, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75)
SWING_SHIFTS = (*BORDER_SHIFTS, 1.0, -1.0, 1.5, -1.5)
FOLD_SHIFTS = (0.0, -0.25, -0.5, -0.75, -1.0, -1.25, -1.5, -2.0, -2.5, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Tried ahead and behind, in distances from the hinge; the side that a fold presses together stays."""


class _Limb:
    """The patch of a left leg on the fold, where its share is over half, and what turns about its joints do to its volume."""

    def __init__(self, mesh: Mesh, vertices: Array, share: Array) -> None:
        own = (share > 0.5) & (mesh.vertices[:, 0] >= 0)
        self.used, faces = np.unique(mesh.faces[own[mesh.faces].all(1)], return_inverse=True)
        self.faces = faces.reshape(-1, 3).astype(np.int64)
        self.rest = vertices[self.used]
        self.rim = open_rim(self.faces, len(self.used))
        self.share = share[self.used]
        self.whole = enclosed_volume(self.rest, self.faces, self.rim) if len(self.faces) else 0.0

    def turned(self, frame: Array, angles: Sequence[float]) -> list[Array]:
        """(v, 3) each: how a turn by radians about a joint's frame (4, 4) moves vertices that follow it wholly."""
        offset = (self.rest - frame[:3, 3]) @ frame[:3, :3]
        turns = []
        for angle in angles:
            sine, cosine = math.sin(angle), math.cos(angle) - 1
            y, z = offset[:, 1], offset[:, 2]
            turns.append(np.column_stack([0 * y, cosine * y - sine * z, sine * y + cosine * z]) @ frame[:3, :3].T)
        return turns

    def change(self, weights: Array, turns: list[Array]) -> float:
        """The largest change of the volume, as a share of it, by the turns at weights (v,)."""
        moved = (enclosed_volume(self.rest + weights[:, None] * turn, self.faces, self.rim) for turn in turns)
        return max(abs(volume / self.whole - 1) for volume in moved)


def balance_shifts(mesh: Mesh, skeleton: Skeleton, borders: dict[Part, Border]) -> Shifts:
    """The shifts at the upper joints of the left legs."""
    vertices = fold(mesh.vertices)
    tree, frames = cKDTree(vertices), rest_matrices(skeleton)
    limbs = part_bones(skeleton)
    shifts: Shifts = {}
    for part in (Part.FRONT, Part.HIND):
        bones, border = limbs[part], borders[part]

        other = Part.HIND if part == Part.FRONT else Part.FRONT
        others = _lower_legs(mesh, skeleton, limbs[other]) | (borders[other].share() > 0.4)
        whole = _Limb(mesh, vertices, border.share()).whole
        if whole <= 0:
            continue
        # The limb's next joint turns the border too, where the limb is short.
        below = joint_of(skeleton, vertices, bones[0], bones[1], tree).steps((0.0, 0.0))

        def at_border(shift: tuple[float, float], border: Border = border, bones: list[int] = bones, others: Mask = others,
                      below: Array = below, whole: float = whole) -> float:  # fmt: skip
            share = border.share(shift)
            limb = _Limb(mesh, vertices, share)
            if not 1 / RESIZED <= limb.whole / whole <= RESIZED or (shift != (0.0, 0.0) and share[others].max(initial=0) > LEAK):
                return math.inf
            next_change = limb.change(limb.share * below[limb.used], limb.turned(frames[bones[1]], SWINGS))
            return max(limb.change(limb.share, limb.turned(frames[bones[0]], SWINGS)), next_change)

        shifts[bones[0]] = least_shift(at_border, BORDER_SHIFTS, BORDER_SHIFTS)
        limb = _Limb(mesh, vertices, part_shares(borders, skeleton, shifts)[part])
        reached = limb.share
        for above, bone in zip(bones[:-3], bones[1:-2], strict=True):
            joint = joint_of(skeleton, limb.rest, above, bone, tree)
            sign = CROUCH_SIGNS.get(parse_name(skeleton.names[bone]).base, 0.0)
            turns = limb.turned(frames[bone], (*SWINGS, *((sign * CROUCH_BEND,) if sign else ())))

            def at_joint(shift: tuple[float, float], limb: _Limb = limb, joint: Joint = joint, above: Array = reached,
                         turns: list[Array] = turns) -> float:  # fmt: skip
                return limb.change(above * joint.steps(shift), turns)

            tried = FOLD_SHIFTS if sign else SWING_SHIFTS
            shifts[bone] = least_shift(at_joint, (0.0,) if sign > 0 else tried, (0.0,) if sign < 0 else tried)
            reached = reached * joint.steps(shifts[bone])
    return shifts


def _lower_legs(mesh: Mesh, skeleton: Skeleton, bones: list[int]) -> Mask:
    """(v,) True nearest to a pair of legs' bones from the shin down. bones: the left leg's."""
    lower = [skeleton.names[bone] for bone in bones[-3:]]
    names = np.array([name in lower or mirror_name(name) in lower for name in skeleton.names])
    return np.asarray(names[nearest_bones(mesh.vertices, skeleton)])


def least_shift(change: Callable[[tuple[float, float]], float], ahead: Sequence[float], behind: Sequence[float]) -> tuple[float, float]:
    """Of all pairs the smallest whose change is allowed, or that which changes least."""
    pairs = sorted(product(ahead, behind), key=lambda pair: abs(pair[0]) + abs(pair[1]))
    best, least = (0.0, 0.0), math.inf
    for pair in pairs:
        found = change(pair)
        if found <= ALLOWED:
            return pair
        if found < least - 1e-3:
            best, least = pair, found
    return best
