"""One foot on the ground: how its sole is turned, where its last joint then is, and the leg that reaches for it.

A foot whose tip is known rolls over it, as far as no heel gets into the ground; of any other the last joint is held, and the toe keeps its
direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import legs
from .body import Body
from .contacts import flat
from .laps import Lap
from .limbs import Limb
from .rotations import Array, nearest_rotation, shortest_turn, to_angles, to_matrices, to_quaternions, transposed, unit

STRETCH, STRETCH_AS_SEEN = 0.985, 0.998
"""Share of a leg's full length beyond which the body comes down: in its own stance, in the source's."""
LOW_ANKLE = 0.3
"""Height in leg lengths of a hock or wrist at rest, below which it has the ground close under it."""


@dataclass(frozen=True, eq=False)
class Ground:
    """In the target's lengths. up (3,); velocity (3,), not 0 where a clip walks on the spot; floor: its height; stands (count, k): which
    foot stands; heights (count, k): where its held point then is, over the floor; advance (3,): how much further the body is with every
    round; own: the target keeps its own way to stand; seen (count, k, 3): the source's feet over the ground, which doesn't
    run in it, heights counted from where they stand, None where nobody saw them; seen_round (3,): how much further they are with
    every round."""

    up: Array
    velocity: Array
    floor: float
    stands: Array
    heights: Array
    advance: Array
    own: bool
    seen: Array | None = None
    seen_round: Array | None = None


@dataclass(frozen=True, eq=False)
class Foot:
    """One leg and its foot on the ground. name: "front.L" ...; limb; sole (t, 3, 3): turn of its last bone that is wanted; rolls: the tip
    is held and the sole turned about it, else the last bone's head is; toe: the last bone is a toe, which has a direction to keep."""

    name: str
    limb: Limb
    sole: Array
    rolls: bool
    toe: bool

    def held_point(self, base: tuple[Array, Array], angles: Array) -> Array:
        """(t, 3) what stands on the ground."""
        _, heads, tip = self.limb.stand(base, angles)
        return tip if self.rolls else heads[:, -1]

    def with_ease(self, ease: Array) -> Foot:
        """The foot of a leg whose bones give way like this (n,)."""
        return replace(self, limb=replace(self.limb, leg=replace(self.limb.leg, ease=ease)))


def wanted_step(
    foot: Foot, body: Body, base: tuple[Array, Array], given: Array, goal: Array, ground: Ground, lap: Lap, k: int
) -> tuple[Array, Array]:
    """-> (count, 3) where the last bone's head is to be, (count, 3, 3) how the sole is to be turned: it gives way as the others do."""
    if foot.rolls:
        reached = legs.reach(foot.limb.leg, base, given, goal, len(foot.limb.bones))
        return knuckles_for(foot, body, goal, foot.limb.stand(base, reached)[0][:, -1], ground)
    return knuckles_for(foot, body, goal, kept_toe(foot, lap.cut(foot.sole), ground.stands[:, k], lap), ground)


def on_the_way(foot: Foot, body: Body, base: tuple[Array, Array], angles: Array, points: Array, ground: Ground, leg_length: float) -> Array:
    """Angles (count, n, 3) near these with the held point at its places (count, 3)."""
    sole = foot.limb.stand(base, angles)[0][:, -1]
    return plant(foot, body, base, angles, *knuckles_for(foot, body, points, sole, ground), ground, leg_length)


def kept_toe(foot: Foot, turns: Array, stands: Array, lap: Lap) -> Array:
    """(count, 3, 3) turns of the last bone: a toe's direction doesn't change while it stands."""
    if not foot.toe:
        return turns
    fixes = np.tile([1.0, 0.0, 0.0, 0.0], (lap.count, 1))
    for start, length in lap.runs(stands):
        frames = lap.frames(start, length)
        fix = to_quaternions(nearest_rotation(turns[frames].mean(0)) @ transposed(turns[frames]))
        fixes[frames] = fix * np.where(fix[:, :1] < 0, -1.0, 1.0)
    return to_matrices(lap.filled(fixes, stands, np.array([1.0, 0.0, 0.0, 0.0]))) @ turns


def knuckles_for(foot: Foot, body: Body, goal: Array, sole: Array, ground: Ground) -> tuple[Array, Array]:
    """-> (count, 3) where the last bone's head is when the held point is at the goal, and (count, 3, 3) the sole's turn, levelled where
    the flesh under that head, or the toe's tip, would be in the ground."""
    up, tip = ground.up, foot.limb.tip
    length = float(np.linalg.norm(tip))
    if length == 0:
        return goal, sole
    along = sole @ tip
    rest = float(body.rest_heads[foot.limb.joint] @ up)
    fall = along @ up  # from the head to the tip
    if foot.rolls:
        head = goal @ up - fall
        lowest = np.minimum(rest if ground.own else ground.floor, rest)
        wanted = np.maximum(goal @ up - np.maximum(head, lowest), -length)
    else:
        wanted = np.clip(np.maximum(fall, ground.floor - goal @ up), -length, length)
    level = unit(flat(along, up)) * np.sqrt(np.maximum(length**2 - wanted**2, 0))[:, None] + wanted[:, None] * up
    sole = np.where((np.abs(wanted - fall) > 1e-9)[:, None, None], shortest_turn(along, level) @ sole, sole)
    return (goal - sole @ tip if foot.rolls else goal), sole


def flesh_heights(foot: Foot, body: Body, ground: Ground, leg_length: float) -> Array:
    """(n,) heights that a leg's joints keep for the flesh under them: a knuckle's at rest, and a hock's or wrist's where it has the ground
    close under it; minus infinity for the others."""
    rests = body.rest_heads[list(foot.limb.bones)] @ ground.up
    kept = np.full(len(rests), -np.inf)
    kept[-1] = rests[-1]
    if rests[-2] - ground.floor < LOW_ANKLE * leg_length:
        kept[-2] = rests[-2]
    return kept


def plant(
    foot: Foot, body: Body, base: tuple[Array, Array], given: Array, knuckle: Array, sole: Array, ground: Ground, leg_length: float
) -> Array:
    """Angles (count, n, 3) of one leg near the given ones, with its last bone's head at its place (count, 3), or as near as a leg in the
    air gets, and the sole turned as given as far as the limits let it."""
    limb, count = foot.limb, len(foot.limb.bones)
    away = knuckle - base[1]
    longest = (STRETCH if ground.own else STRETCH_AS_SEEN) * float(limb.segments.sum())
    goal = knuckle - away * np.maximum(1 - longest / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9), 0)
    found = legs.reach(limb.leg, base, given, goal, count - 1)
    ankle = float(flesh_heights(foot, body, ground, leg_length)[-2])
    if ground.own and count == 4 and np.isfinite(ankle):
        found = with_ankle_up(limb, base, found, goal, ankle, ground.up)
    found[:, -1] = limb.toe_angles(base, found, sole)
    return legs.reach(limb.leg, base, found, goal + sole @ limb.tip, count) if foot.rolls else found


def with_ankle_up(limb: Limb, base: tuple[Array, Array], angles: Array, knuckle: Array, lowest: float, up: Array) -> Array:
    """Angles (count, 4, 3) of one leg with its hock or wrist no lower than `lowest`, the knuckle (count, 3) where it is: a bear stands on
    its heel, and the flesh under it would be in the ground."""
    turned, heads, _ = legs.stand(limb.leg, base, angles)
    along = knuckle - heads[2]
    length = np.linalg.norm(along, axis=1)
    rise = np.maximum(np.minimum(along @ up, knuckle @ up - lowest), -length)
    raised = unit(flat(along, up)) * np.sqrt(np.maximum(length**2 - rise**2, 0))[:, None] + rise[:, None] * up
    lifted_ = legs.reach(limb.leg, base, angles, knuckle - raised, 2)
    above = legs.stand(limb.leg, base, lifted_)[0][1]
    lifted_[:, 2] = to_angles(transposed(above @ limb.leg.rests[..., 2, :, :]) @ shortest_turn(along, raised) @ turned[2])
    return np.where((rise < along @ up - 1e-9)[:, None, None], legs.clamped(lifted_, limb.leg.limits), angles)
