"""The ground under the source, and under the target: which feet go together, when they stand, how fast the ground runs.

Enters: a body that the transfer has turned, and the source as it was seen. Leaves: its feet as what can be held, and the `Ground` that
they are held on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .body import Body
from .contacts import Feet, find_gait, flat, levels, lowest_levels
from .frames import limb_paths, tips_known
from .laps import Lap
from .limbs import limb_of
from .parts import FRONT_LEG, HIND_LEG, SIDES, Parts
from .rig import Rig
from .rotations import Array, apply
from .soles import Foot, Ground

STANDS_AT_ZERO = 0.25
"""Leg lengths within which the lowest foot joint (a knuckle, perhaps) is taken to stand on the armature's own ground plane."""
TRAVELS = 0.3
"""Leg lengths from the first to the last frame, beyond which a body gets somewhere."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The source in the target's axes, its own lengths. rig: at rest; parts: its mapped ones; heads (t, b, 3), turns (t, b, 3, 3);
    object_turns (t, 3, 3), object_moves (t, 3): the armature object's part in them; leg: length; floor: height; up (3,)."""

    rig: Rig
    parts: Parts
    heads: Array
    turns: Array
    object_turns: Array
    object_moves: Array
    leg: float
    floor: float
    up: Array

    @property
    def carrier(self) -> int:
        """The bone that has the body's place."""
        return next((self.rig.index[self.parts[part][0]] for part in ("hips", "spine", "neck", "head") if part in self.parts), 0)

    @property
    def way(self) -> Array:
        """(3,) from where the body is at first to where it is at last, over the ground."""
        return flat(self.heads[-1, self.carrier] - self.heads[0, self.carrier], self.up)

    @property
    def travels(self) -> bool:
        """Whether the body gets somewhere."""
        return float(np.linalg.norm(self.way)) > TRAVELS * self.leg


@dataclass(frozen=True, eq=False)
class Pair:
    """A leg that both rigs have. bones: the target's first bone of thigh, shin, foot, toe as far as mapped, at least three. toe: the last
    one is a toe; tip (3,): its end at rest, or None. knuckle, seen: the source's bones that tell when the foot stands, the latter at the
    point reach (3,) from its head at rest. rolls: both rigs know the tip."""

    name: str
    bones: tuple[int, ...]
    toe: bool
    tip: Array | None
    knuckle: int
    seen: int
    reach: Array
    rolls: bool

    @property
    def joint(self) -> int:
        """The bone whose head or tip is held."""
        return self.bones[-1]


def pair_feet(body: Body, seen: Seen, own: bool) -> list[Pair]:
    """Legs of which both rigs have at least three bones."""
    source, parts = seen.rig, seen.parts
    source_tips, tips = tips_known(source), tips_known(body.rig)
    found = []
    for name, stems in (("front", FRONT_LEG), ("hind", HIND_LEG)):
        for side in SIDES:
            names = [f"{stem}.{side}" for stem in stems if f"{stem}.{side}" in body.parts]
            if len(names) < 3:
                continue
            bones = tuple(body.rig.index[body.parts[part][0]] for part in names)
            toe = names[-1] == f"{stems[-1]}.{side}"
            tails = body.rig.tails
            tip = tails[body.rig.index[body.parts[names[-1]][-1]]] if tips and toe and tails is not None else None
            end = source.index[parts[names[-1]][-1]]
            last = lowest_end(source, end, seen.up)
            reach = np.zeros(3)
            if source_tips and source.tails is not None and toe and last == end:
                reach = source.tails[last] - source.heads[last]
            rolls = bool(tip is not None and (own or last != end or reach.any()))
            knuckle = source.index[parts[names[-1]][0]]
            if not (rolls and (last != end or reach.any())):
                last, reach = knuckle, np.zeros(3)
            found.append(Pair(f"{name}.{side}", bones, toe, tip, knuckle, last, reach, rolls))
    return found


def lowest_end(rig: Rig, bone: int, up: Array) -> int:
    """The lowest end of what hangs on the bone: a hoof below the fetlock; the bone itself where nothing does."""
    ends, waiting = [], [bone]
    while waiting:
        here = waiting.pop()
        below = rig.children(here)
        waiting += below
        if not below:
            ends.append(here)
    return min(ends, key=lambda end: float(rig.heads[end] @ up))


def hung_feet(body: Body, pairs: list[Pair], left: Array, own: bool, limits: bool) -> list[Foot]:
    """The target's legs as the transfer has turned them, before any limit has cut them. left (3,)."""
    return [
        Foot(
            pair.name, limb_of(body, pair.bones, pair.tip, left, limits, own and limits), body.turns[:, pair.joint].copy(), pair.rolls,
            pair.toe,
        )
        for pair in pairs
    ]


def ground_of(body: Body, seen: Seen, pairs: list[Pair], lap: Lap, scale: float, own: bool, floor: float, always: bool) -> Ground:
    """What the source walks on, in the target's lengths; always: whatever is low stands."""
    bones, reaches = [pair.seen for pair in pairs], np.array([pair.reach for pair in pairs])
    tips = seen.heads[:, bones] + apply(seen.turns[:, bones], reaches)
    rests = (seen.rig.heads[bones] + reaches) @ seen.up
    lasted = lap.period if lap.period is not None else max(float(lap.seconds[-1] - lap.seconds[0]), 1e-9)
    nothing = np.zeros(3)
    feet = Feet(
        lap.cut(tips), lap.cut(seen.heads[:, [pair.knuckle for pair in pairs]]), rests, seen.way / lasted,
        seen.way if lap.closed else nothing, seen.up, seen.leg,
    )  # fmt: skip
    velocity, stands = find_gait(feet, lap, always)
    if own:
        standing = np.array([pair.tip if pair.rolls else body.rest_heads[pair.joint] for pair in pairs]) @ seen.up - floor
        heights = np.tile(standing, (lap.count, 1))
    else:
        over = scale * np.where(stands, np.maximum(levels(feet), 0), 0)
        heights = np.maximum(scale * (rests + lowest_levels(feet) - seen.floor), 0) + over
    advance = flat(body.place[-1] - body.place[0], seen.up) if lap.closed else nothing
    path = flat(feet.tips - (lap.seconds[:, None] * velocity)[:, None], seen.up)
    over = np.where(np.isfinite(levels(feet)), np.maximum(levels(feet), 0), 0)
    return Ground(
        seen.up, scale * velocity, floor, stands, heights, advance, own, scale * (path + over[..., None] * seen.up),
        scale * (feet.advance - (lap.period or 0.0) * velocity),
    )  # fmt: skip


def floor_height(rig: Rig, parts: Parts, up: Array, leg: float) -> float:
    """Height of the ground at rest: the armature's own plane where feet stand about on it, else the lowest foot joint's."""
    feet_heights = [path[-1] @ up for path in limb_paths(rig, parts).values()]
    if not feet_heights:
        return 0.0
    lowest = float(min(feet_heights))
    return 0.0 if abs(lowest) < STANDS_AT_ZERO * leg else lowest
