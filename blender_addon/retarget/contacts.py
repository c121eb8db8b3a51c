"""When a foot stands: low, and slow against the ground, which itself runs backwards where a clip walks on the spot.

Enters: paths of foot joints. Leaves: the ground's velocity, and for each foot the frames in which it stands. Heights and speeds
are measured in leg lengths, so one set of numbers serves a mouse and an elephant.
"""

from __future__ import annotations

import numpy as np

from .rotations import Array

LOW = 0.05
"""Leg lengths over its own lowest level, below which a foot may stand."""
OFF_GROUND = 0.12
"""Leg lengths over the lowest foot's level, above which a foot's own lowest level is no ground."""
SLOW = 0.3
"""Leg lengths a second, below which a foot may stand when the body doesn't travel."""
SLOW_SHARE = 0.7
"""Of the body's speed over the ground, likewise: a foot that swings is faster than the body; in the frame before it stands half so fast."""
LOWEST_SHARE = 5.0
"""Percentile of a foot's heights that is its lowest level: single frames may dip."""
SHORTEST = 2
"""Frames that a contact lasts at least."""
TOUCH = 0.25
"""Share of the foot's longest contact below which a contact is a mere touch and a gap no step."""
BACKWARD = 0.15
"""Leg lengths a second, below which the ground stands still: an idling animal's feet creep."""


def ground_velocity(feet: Array, body: Array, rests: Array, up: Array, leg: float, seconds: Array) -> Array:
    """(3,) velocity of the ground: feet (t, n, 3), body (t, 3), rests (n,) heights at rest, leg: length -> 0 but on the spot."""
    if len(feet) < 3:
        return np.zeros(3)
    low = levels(feet, rests, up, leg)[0] < LOW * leg
    speed = flat(np.gradient(feet, seconds, axis=0), up)[low]  # (k, 3)
    if not len(speed):
        return np.zeros(3)
    middle = np.median(speed, 0)
    near = np.linalg.norm(speed - middle, axis=1) <= max(0.5 * float(np.linalg.norm(middle)), SLOW * leg)
    ground = speed[near].mean(0) if near.any() else middle
    return ground if np.linalg.norm(ground) > BACKWARD * leg else np.zeros(3)


def levels(feet: Array, rests: Array, up: Array, leg: float) -> tuple[Array, Array]:
    """-> (t, n) heights of feet over their own lowest levels, infinite for feet that never come down; (n,) those levels over the
    joints' heights at rest."""
    heights = feet @ up - rests
    lowest = np.percentile(heights, LOWEST_SHARE, axis=0)
    grounded = lowest < lowest.min() + OFF_GROUND * leg
    return np.where(grounded, heights - lowest, np.inf), lowest


def find_contacts(feet: Array, body: Array, rests: Array, up: Array, leg: float, seconds: Array, ground: Array, always: bool) -> Array:
    """(t, n) whether each foot stands. ground (3,): its velocity; always: whatever is low stands, however fast."""
    stands = levels(feet, rests, up, leg)[0] < LOW * leg
    if not always and len(feet) > 1:
        speed = np.linalg.norm(flat(np.gradient(feet, seconds, axis=0), up) - ground, axis=-1)
        travel = np.linalg.norm(flat(body[-1] - body[0], up) / (seconds[-1] - seconds[0]) - ground)
        stands &= speed < max(SLOW * leg, SLOW_SHARE * float(travel))
    lifted = levels(feet, rests, up, leg)[0] > 2 * LOW * leg
    return np.stack([cleaned(foot, high) for foot, high in zip(stands.T, lifted.T, strict=True)], 1)


def cleaned(stands: Array, lifted: Array) -> Array:
    """(t,) without gaps in which the foot is not lifted (t,), and without touches: both short against the foot's longest contact."""
    stands = stands.copy()
    longest = max((end - start for start, end in runs(stands)), default=0)
    for start, end in runs(~stands):
        if 0 < start and end < len(stands) and end - start <= max(1, TOUCH * longest) and not lifted[start:end].any():
            stands[start:end] = True
    longest = max((end - start for start, end in runs(stands)), default=0)
    for start, end in runs(stands):
        if 0 < start and end < len(stands) and end - start < max(SHORTEST, TOUCH * longest):
            stands[start:end] = False
    return stands


def runs(flags: Array) -> list[tuple[int, int]]:
    """(t,) bool -> [start, end) of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def flat(vectors: Array, up: Array) -> Array:
    """(..., 3) without what points up."""
    return vectors - (vectors @ up)[..., None] * up
