"""How the source gets about: the rigid motion of what carries it, told apart from the body's own.

Carriers are looked for in this order: the bone mapped as root (or an unmapped top bone above the hips), with the armature object's own
motion in it; the object's alone; and where neither moves, the hips' path over the ground, smoothed, since a body sways over
its path. Everything is in the target's axes, lengths still the source's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parts import Parts
from .rig import Rig
from .rotations import Array

SMOOTHED_SECONDS = 1.0
"""Window over which the hips' path is averaged: about one stride."""
STANDS = 1e-3
"""Share of the leg's length, and radians: below it nothing moves."""


@dataclass(frozen=True, eq=False)
class Travel:
    """turns (t, 3, 3), moves (t, 3): of the carrier from its rest, the first frame's heading its own."""

    turns: Array
    moves: Array


def find_travel(rig: Rig, parts: Parts, heads: Array, turns: Array, object_turns: Array, object_moves: Array, up: Array,
                leg: float, seconds: Array) -> Travel:  # fmt: skip
    """rig: the source at rest; heads (t, b, 3), turns (t, b, 3, 3) of its bones with the object's motion in them; object_turns
    (t, 3, 3), object_moves (t, 3): the object's alone; leg: the source's."""
    bone = carrier_bone(rig, parts)
    if bone >= 0:
        moves, turn = heads[:, bone] - rig.heads[bone], turns[:, bone]
        if moving(moves, turn, leg):
            return Travel(turn, moves)
    if moving(object_moves, object_turns, leg):
        return Travel(object_turns, object_moves)
    body = next((rig.index[parts[part][0]] for part in ("hips", "spine", "neck", "head") if part in parts), 0)
    path = heads[:, body] - heads[:1, body]
    path = path - (path @ up)[:, None] * up
    still = np.tile(np.eye(3), (len(path), 1, 1))
    return Travel(still, smoothed(path, seconds) if moving(path, still, leg) else path * 0.0)


def carrier_bone(rig: Rig, parts: Parts) -> int:
    """The bone that carries all of the source, -1 where none is over the hips."""
    if "root" in parts:
        return rig.index[parts["root"][0]]
    mapped = {name for names in parts.values() for name in names}
    for part in ("hips", "spine"):
        if part in parts:
            above = rig.ancestors(rig.index[parts[part][0]])
            return above[-1] if above and rig.names[above[-1]] not in mapped else -1
    return -1


def moving(moves: Array, turns: Array, leg: float) -> bool:
    """Whether it changes at all over the clip."""
    cosine = (np.einsum("tij,ij->t", turns, turns[0]) - 1) / 2
    return bool(np.abs(moves - moves[0]).max() > STANDS * leg or cosine.min() < np.cos(STANDS))


def smoothed(path: Array, seconds: Array) -> Array:
    """(t, 3) averaged over a window, its ends carried on with the path's own slope so that a straight path stays itself."""
    if len(path) < 3:
        return path
    step = float(np.median(np.diff(seconds)))
    half = min(max(int(round(SMOOTHED_SECONDS / 2 / step)), 1), len(path) - 1)
    before, after = 2 * path[0] - path[half:0:-1], 2 * path[-1] - path[-2 : -2 - half : -1]
    total = np.cumsum(np.concatenate([np.zeros((1, 3)), before, path, after]), 0)
    return (total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1)
