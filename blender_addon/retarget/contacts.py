"""When a foot stands: low, and slow against the ground, which itself runs backwards where a clip walks on the spot.

Enters: paths of feet, each a tip and a knuckle (the same point where the tip isn't known). Leaves: the ground's velocity, and for
each foot the frames in which it stands. Heights and speeds are measured in leg lengths, so one set of numbers serves a mouse and an
elephant. A foot stands while its tip is low and its knuckle goes with the ground, and while it rolls over a tip that does. Clips
that walk on the spot slide themselves: one that drags a foot backward faster than the ground still has it on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .laps import Lap
from .rotations import Array, unit

LOW = 0.05
"""Leg lengths over its own lowest level, below which a foot may stand."""
OFF_GROUND = 0.12
"""Leg lengths over the lowest foot's level, above which a foot's own lowest level is no ground."""
SLOW = 0.3
"""Leg lengths a second, below which a foot may stand when the body doesn't travel."""
SLOW_SHARE = 0.7
"""Of the body's speed over the ground, likewise: a foot that swings is faster than the body; in the frame before it stands half so fast."""
ROLLS = 0.4
"""Share of the body's speed by which a tip's may differ from the ground's while the foot rolls over it."""
LOWEST_SHARE = 5.0
"""Percentile of a foot's heights that is its lowest level: single frames may dip."""
SHORTEST = 2
"""Frames that a contact lasts at least."""
TOUCH = 0.25
"""Share of the foot's longest contact below which a contact is a mere touch and a gap no step."""
BACKWARD = 0.15
"""Leg lengths a second, below which the ground stands still: an idling animal's feet creep."""
PASSES = 4
"""Speed and contacts are found in turn; they settle sooner."""


@dataclass(frozen=True, eq=False)
class Feet:
    """tips, knuckles (count, k, 3) of a lap; rests (k,): heights of the tips at rest; body (3,): the velocity of what they carry; advance
    (3,): of everything with every round; up (3,); leg: length."""

    tips: Array
    knuckles: Array
    rests: Array
    body: Array
    advance: Array
    up: Array
    leg: float


def find_gait(feet: Feet, lap: Lap, always: bool = False, ground: Array | None = None) -> tuple[Array, Array]:
    """-> (3,) velocity of the ground, 0 but on the spot; (count, k) whether each foot stands. always: whatever is low stands, however
    fast; ground: its velocity where that is known."""
    over = levels(feet)
    low = over < LOW * feet.leg
    tips, knuckles = (flat(lap.speeds(points, feet.advance), feet.up) for points in (feet.tips, feet.knuckles))
    runs_back = first_guess(knuckles[low], feet.leg) if ground is None else ground
    stands = low
    for _ in range(PASSES):
        travel = float(np.linalg.norm(flat(feet.body, feet.up) - runs_back))
        firm = low & (lag(knuckles, runs_back, feet.body) < max(SLOW * feet.leg, SLOW_SHARE * travel))
        rolls = low & (np.linalg.norm(tips - runs_back, axis=-1) < ROLLS * travel)
        stands = low if always else firm | rolls
        if ground is not None or not firm.any() or not runs_back.any():
            break
        runs_back = knuckles[firm].mean(0)
    lifted = over > 2 * LOW * feet.leg
    cleaned = [without_touches(foot, high, lap) for foot, high in zip(stands.T, lifted.T, strict=True)]
    return runs_back, np.stack(cleaned, 1)


def first_guess(speeds: Array, leg: float) -> Array:
    """(n, 3) velocities of low feet -> (3,) of the ground, the middle of those that agree."""
    if len(speeds) < 3:
        return np.zeros(3)
    middle = np.median(speeds, 0)
    near = np.linalg.norm(speeds - middle, axis=1) <= max(0.5 * float(np.linalg.norm(middle)), SLOW * leg)
    ground = speeds[near].mean(0) if near.any() else middle
    return ground if np.linalg.norm(ground) > BACKWARD * leg else np.zeros(3)


def lag(speeds: Array, ground: Array, body: Array) -> Array:
    """(count, k, 3) velocities of feet -> (count, k) how much they differ from the ground's; on the spot what is faster than the ground
    is no slower for it."""
    apart = speeds - ground
    if ground.any():
        along = unit(ground - body)
        apart = apart - np.maximum(apart @ along, 0)[..., None] * along
    return np.asarray(np.linalg.norm(apart, axis=-1))


def levels(feet: Feet) -> Array:
    """(count, k) heights of the tips over their own lowest levels, infinite for feet that never come down."""
    heights = feet.tips @ feet.up - feet.rests
    lowest = lowest_levels(feet)
    grounded = lowest < lowest.min() + OFF_GROUND * feet.leg
    return np.where(grounded, heights - lowest, np.inf)


def lowest_levels(feet: Feet) -> Array:
    """(k,) where each tip is lowest, over its height at rest."""
    return np.asarray(np.percentile(feet.tips @ feet.up - feet.rests, LOWEST_SHARE, axis=0))


def without_touches(stands: Array, lifted: Array, lap: Lap) -> Array:
    """(count,) without gaps in which the foot is not lifted (count,), and without touches: both short against the longest contact."""
    stands = stands.copy()
    for filling in (True, False):
        longest = max((length for _, length in lap.runs(stands)), default=0)
        for start, length in lap.runs(~stands if filling else stands):
            frames = lap.frames(start, length)
            cut = not lap.round and (start == 0 or start + length == lap.count)  # nobody knows how long it was
            if filling and not cut and length <= max(1, TOUCH * longest) and not lifted[frames].any():
                stands[frames] = True
            elif not filling and not cut and length < max(SHORTEST, TOUCH * longest):
                stands[frames] = False
    return stands


def stride(stands: Array, lap: Lap) -> float:
    """Seconds from step to step of the same foot, on the mean; the whole clip where there are none."""
    steps = [len(lap.runs(foot)) for foot in stands.T if foot.any() and not foot.all()]
    length = lap.period if lap.period is not None else lap.step * lap.count
    return length / max(float(np.mean(steps)), 1.0) if steps else length


def flat(vectors: Array, up: Array) -> Array:
    """(..., 3) without what points up."""
    return vectors - (vectors @ up)[..., None] * up
