"""Legs that reach: four bones turned so that the last one's tip comes to its place, over all frames at once. numpy.

A bone turns by angles about its own rest axes, R = Rx Ry Rz. Knee, elbow, hock and wrist are hinges about X; the upper
bone may also lean aside, about Z. Solved by damped least squares (Buss 2004), angles held within limits after every step. A leg that
is all but straight doesn't know which way to give: where it fails to reach, it starts anew a little more folded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..retarget.rotations import Array, from_angles

ROUNDS = 24
DAMPING = 3e-5
"""Of the squared leg length."""
MISSED = 1e-3
"""Leg lengths from its goal at which a leg has not reached it."""
REACHED = 1e-5
"""Leg lengths from its goal at which nothing more is to be done."""
FOLDS = tuple(np.radians([10.0, 25.0, 45.0]))
"""Started anew with these, radians."""
LARGEST_STEP = 0.25
"""Radians a round."""
FREE = ((0, 0), (0, 2), (1, 0), (2, 0), (3, 0))
"""(bone of the leg, axis) of every angle that moves."""
EASE = np.array([1.0, 0.5, 1.0, 0.7, 0.4])
"""How readily each of them does."""


@dataclass(frozen=True)
class Leg:
    """rests (4, 3, 3): rotation of each bone's rest frame in its parent's; offsets (4, 3): its head there; tip (3,): the last bone's tail
    in its own frame; limits (4, 3, 2); fold (4,): the way that each bone turns about X when the leg folds, 0 for those that don't."""

    rests: Array
    offsets: Array
    tip: Array
    limits: Array
    fold: Array

    @property
    def length(self) -> float:
        """From the leg's first joint to its tip, stretched."""
        return float(np.linalg.norm(self.offsets[1:], axis=1).sum() + np.linalg.norm(self.tip))


def stand(leg: Leg, base: tuple[Array, Array], angles: Array) -> tuple[list[Array], list[Array], Array]:
    """Base frame (t, 3, 3) and (t, 3), angles (t, 4, 3) -> rotations of the four bones, their heads, and the tip (t, 3)."""
    turn, place = base
    turned, heads = [], []
    local = from_angles(angles)
    for bone in range(4):
        place = place + turn @ leg.offsets[bone]
        turn = turn @ leg.rests[bone] @ local[:, bone]
        turned.append(turn)
        heads.append(place)
    return turned, heads, place + turn @ leg.tip


def reach(leg: Leg, base: tuple[Array, Array], angles: Array, targets: Array, bones: int = 4) -> Array:
    """Angles (t, 4, 3) with which the end of the first `bones` bones is at the targets (t, 3), as near to the given ones as steps go."""
    found = descend(leg, base, angles, targets, bones)
    for fold in FOLDS:
        missed = distance(leg, base, found, targets, bones)
        bad = np.flatnonzero(missed > MISSED * leg.length)
        if not len(bad):
            break
        there, goals = (base[0][bad], base[1][bad]), targets[bad]
        folded = angles[bad]
        folded[..., 0] += fold * leg.fold
        again = descend(leg, there, folded, goals, bones)
        better = distance(leg, there, again, goals, bones) < missed[bad]
        found[bad[better]] = again[better]
    return found


def distance(leg: Leg, base: tuple[Array, Array], angles: Array, targets: Array, bones: int) -> Array:
    """(t,) from the end of the first `bones` bones to the targets (t, 3)."""
    _, heads, tip = stand(leg, base, angles)
    return np.asarray(np.linalg.norm((tip if bones == 4 else heads[bones]) - targets, axis=1))


def descend(leg: Leg, base: tuple[Array, Array], angles: Array, targets: Array, bones: int) -> Array:
    """As `reach`, from these angles alone."""
    angles = clamped(angles, leg.limits)
    free = [(bone, axis) for bone, axis in FREE if bone < bones]
    ease = EASE[: len(free)]
    for _ in range(ROUNDS):
        turned, heads, tip = stand(leg, base, angles)
        end = tip if bones == 4 else heads[bones]
        if np.abs(targets - end).max() < REACHED * leg.length:
            break
        arms = np.empty((len(angles), 3, len(free)))
        for column, (bone, axis) in enumerate(free):
            above = base[0] if bone == 0 else turned[bone - 1]
            way = (above @ leg.rests[bone])[..., 0] if axis == 0 else turned[bone][..., axis]
            arms[..., column] = np.cross(way, end - heads[bone])
        eased = arms * ease
        square = eased @ np.swapaxes(arms, -1, -2) + DAMPING * leg.length**2 * np.eye(3)
        change = np.einsum("tan,ta->tn", eased, np.linalg.solve(square, (targets - end)[..., None])[..., 0])
        change *= np.minimum(1, LARGEST_STEP / np.maximum(np.abs(change).max(1, keepdims=True), 1e-12))
        for column, (bone, axis) in enumerate(free):
            angles[:, bone, axis] += change[:, column]
        angles = clamped(angles, leg.limits)
    return angles


def clamped(angles: Array, limits: Array) -> Array:
    """(t, ..., 3) within limits (..., 3, 2)."""
    return np.clip(angles, limits[..., 0], limits[..., 1])
