"""Feet stay where they stand: after the transfer, contacts seen in the source are held on the target by a small leg solve.

A standing foot's joint and the direction of its toe are held; between two contacts the correction passes smoothly from one to the
other, so that no step jumps. The hock or wrist goes along with the joint, thigh and shin reach for it by the law of cosines,
and where they are too short the foot bends in turn; the body sinks a little before that. No foot goes below the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .body import Body
from .contacts import runs
from .parts import FRONT_LEG, HIND_LEG, SIDES, Parts
from .rig import Rig
from .rotations import Array, nearest_rotation, shortest_turn, to_matrices, to_quaternions, unit

REACH = 0.998
"""Of the length of thigh and shin that they may be stretched to."""
SINK = 0.12
"""Leg lengths that the body may sink so that its feet reach the ground."""
SINK_SECONDS = 0.2
"""Over which sinking is spread."""
PASSES = 8
"""Turns of thigh and shin, then the foot, until the toe is where it should be."""
LOOP_ANGLE = np.radians(4.0)
"""Mean difference of the first and the last frame's turns at which a clip is a loop."""
EASE_SECONDS = 0.25
"""How long a correction takes to fade where a clip begins or ends with a foot in the air."""


@dataclass(frozen=True, eq=False)
class Leg:
    """bones: the first bone of thigh, shin, foot, toe as far as mapped, at least three. toe: the last one is a toe; tip (3,): its end at
    rest, or None. seen: the source's bone that tells when the foot stands, at the point reach (3,) from its head at rest.
    rolls: both rigs know the tip, so it is held and the foot rolls over it; else the last bone's head is, and a toe's direction."""

    name: str
    bones: tuple[int, ...]
    toe: bool
    tip: Array | None
    seen: int
    reach: Array
    rolls: bool

    @property
    def joint(self) -> int:
        """The bone whose head is held."""
        return self.bones[-1]


@dataclass(frozen=True, eq=False)
class Ground:
    """In the target's lengths: up (3,); velocity (3,) of the ground, not 0 where a clip walks on the spot; floor: its height;
    stands (t, n): which leg's foot stands; levels (t, n): its height then over its lowest; rests (n,): a standing joint's height over
    the floor; advance (3,): from the first to the last frame of a loop, None if it is none."""

    up: Array
    velocity: Array
    floor: float
    stands: Array
    levels: Array
    rests: Array
    advance: Array | None


def find_legs(body: Body, source: Rig, parts: Parts, source_tips: bool, tips: bool, up: Array) -> list[Leg]:
    """Legs of which both rigs have at least three bones. source_tips, tips: the rig's toe tails are joints."""
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
            last = lowest_end(source, end, up)
            seen, reach = last, np.zeros(3)
            if source_tips and source.tails is not None and toe and last == end:
                reach = source.tails[last] - source.heads[last]
            rolls = tip is not None and (last != end or reach.any())
            if not rolls:
                seen, reach = source.index[parts[names[-1]][0]], np.zeros(3)
            found.append(Leg(f"{name}.{side}", bones, toe, tip, seen, reach, bool(rolls)))
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


def loops(turns: Array) -> bool:
    """turns (t, b, 3, 3) of the source: whether the last frame is the first again, apart from the travel, and something moves."""
    if len(turns) < 4:
        return False
    ends = np.arccos(np.clip((np.einsum("bij,bij->b", turns[0], turns[-1]) - 1) / 2, -1, 1))
    moved = np.arccos(np.clip((np.einsum("tbij,bij->tb", turns, turns[0]) - 1) / 2, -1, 1)).max(0)
    return bool(ends.mean() < LOOP_ANGLE and moved.mean() > 2 * ends.mean())


def hold(body: Body, legs: list[Leg], ground: Ground, leg_length: float, seconds: Array) -> None:
    """Turns the legs' bones of a settled body and lowers it a little, so that standing feet stand."""
    drift = seconds[:, None] * ground.velocity  # (t, 3)
    goals, toes = [], []
    for number, leg in enumerate(legs):
        stands, point = ground.stands[:, number], held_point(body, leg)
        toe = point - body.heads[:, leg.joint]
        height = ground.floor + ground.rests[number] + ground.levels[:, number]
        goal = point + held(point - drift, height, stands, ground, seconds)
        goal = goal + np.maximum(ground.floor - goal @ ground.up, 0)[:, None] * ground.up - toe
        goals.append(goal + np.maximum(ground.floor - goal @ ground.up, 0)[:, None] * ground.up)
        toes.append(body.turns[:, leg.joint] if leg.rolls else standing_toe(leg, body, goals[-1], stands, ground, seconds))
    sink(body, legs, goals, ground, SINK * leg_length, seconds)
    for leg, goal, toe in zip(legs, goals, toes, strict=True):
        reach(body, leg, goal)
        body.turns[:, leg.joint] = toe
    body.settle()


def held_point(body: Body, leg: Leg) -> Array:
    """(t, 3) the point of a settled body that is held: the toe's tip, or the last bone's head."""
    joint = body.heads[:, leg.joint]
    return joint + body.turns[:, leg.joint] @ (leg.tip - body.rest_heads[leg.joint]) if leg.rolls and leg.tip is not None else joint


def held(path: Array, height: Array, stands: Array, ground: Ground, seconds: Array) -> Array:
    """(t, 3) what a foot's path over the ground (t, 3) lacks to stand still; height (t,): where a standing joint is."""

    def still(frames: Array, cycle: Array) -> Array:
        places = path[frames] + cycle
        middle = places.mean(0)
        middle = middle + (height[frames].mean() - middle @ ground.up) * ground.up
        return middle - places

    return spread(still, stands, ground.advance, seconds, np.zeros(3))


def standing_toe(leg: Leg, body: Body, goal: Array, stands: Array, ground: Ground, seconds: Array) -> Array:
    """(t, 3, 3) turns of the last bone: a toe's direction doesn't change while it stands, and its tip stays out of the floor."""
    turns = body.turns[:, leg.joint]
    if not leg.toe:
        return turns

    def still(frames: Array, cycle: Array) -> Array:
        fixed = to_quaternions(nearest_rotation(turns[frames].mean(0)) @ np.swapaxes(turns[frames], 1, 2))
        return fixed * np.where(fixed[:, :1] < 0, -1.0, 1.0)

    none = None if ground.advance is None else np.zeros(3)
    fix = spread(still, stands, none, seconds, np.array([1.0, 0, 0, 0]))
    turns = to_matrices(fix) @ turns
    if leg.tip is None:
        return turns
    toe = turns @ (leg.tip - body.rest_heads[leg.joint])  # (t, 3)
    below = np.maximum(ground.floor - (goal + toe) @ ground.up, 0)
    length = float(np.linalg.norm(toe[0]))
    rise = np.clip(toe @ ground.up + below, -length, length)
    along = toe - (toe @ ground.up)[:, None] * ground.up
    out = unit(along) * np.sqrt(np.maximum(length**2 - rise**2, 0))[:, None] + rise[:, None] * ground.up
    return np.where(below[:, None, None] > 0, shortest_turn(toe, out) @ turns, turns)


def spread(still, stands: Array, advance: Array | None, seconds: Array, none: Array) -> Array:  # type: ignore[no-untyped-def]
    """(t, k) corrections: in every contact what `still(frames, cycle)` says for these frames, in between eased from the one's
    last to the next one's first; before the first and after the last faded to `none` (k,), or round and round in a loop."""
    count = len(stands)
    if advance is None:
        frames, cycles = np.arange(count), np.zeros((count, 3))
        flags, times = stands, seconds
    else:  # three rounds, of which the middle one is taken: a contact over the seam is one contact
        lap = np.arange(count - 1)
        frames = np.concatenate([lap, lap, lap, [0]])
        rounds = np.repeat([0, 1, 2], count - 1).tolist() + [3]
        cycles = np.array(rounds, float)[:, None] * advance
        flags, times = stands[frames], seconds[frames] + np.array(rounds) * (seconds[-1] - seconds[0])
    out = np.tile(none, (len(frames), 1))
    contacts = runs(flags)
    for start, end in contacts:
        out[start:end] = still(frames[start:end], cycles[start:end])
    for (_, end), (start, _) in zip(contacts, contacts[1:], strict=False):
        share = eased((times[end:start] - times[end - 1]) / (times[start] - times[end - 1]))[:, None]
        out[end:start] = out[end - 1] * (1 - share) + out[start] * share
    if contacts:
        first, last = contacts[0][0], contacts[-1][1]
        share = eased((times[first] - times[:first]) / EASE_SECONDS)[:, None]
        out[:first] = out[first] * (1 - share) + none * share
        share = eased((times[last:] - times[last - 1]) / EASE_SECONDS)[:, None]
        out[last:] = out[last - 1] * (1 - share) + none * share
    return out if advance is None else out[count - 1 : 2 * count - 1]


def eased(share: Array) -> Array:
    """0..1 -> 0..1 with no speed at either end."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def sink(body: Body, legs: list[Leg], goals: list[Array], ground: Ground, most: float, seconds: Array) -> None:
    """Lowers the body where a standing foot is out of thigh's and shin's reach."""
    need = np.zeros(len(seconds))
    for number, (leg, goal) in enumerate(zip(legs, goals, strict=True)):
        upper, hock = body.heads[:, leg.bones[0]], body.heads[:, leg.bones[2]]
        wanted = goal - (body.heads[:, leg.joint] - hock)
        longest = REACH * float(np.linalg.norm(np.diff(body.rest_heads[list(leg.bones[:3])], axis=0), axis=1).sum())
        away = upper - wanted
        rise = away @ ground.up
        across = np.linalg.norm(away - rise[:, None] * ground.up, axis=1)
        lack = rise - np.sqrt(np.maximum(longest**2 - across**2, 0))
        need = np.maximum(need, np.where(ground.stands[:, number], lack, 0))
    if need.max() <= 0:
        return
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    half = min(max(int(round(SINK_SECONDS / 2 / step)), 1), max(len(seconds) - 1, 1))
    mode = "edge" if ground.advance is None else "wrap"
    lap = np.clip(need, 0, most)[: len(need) - (ground.advance is not None)]
    half = min(half, len(lap))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(lap, 2 * half, mode=mode), 2 * half + 1).max(1)
    smooth = np.convolve(around, np.ones(2 * half + 1) / (2 * half + 1), "valid")
    smooth = smooth if ground.advance is None else np.append(smooth, smooth[0])
    body.place = body.place - smooth[:, None] * ground.up
    body.settle()


def reach(body: Body, leg: Leg, goal: Array) -> None:
    """Turns thigh, shin and foot so that the joint comes to the goal (t, 3), or as near as they can."""
    upper, lower, foot = leg.bones[:3]
    places = [body.heads[:, bone].copy() for bone in leg.bones]
    hip, knee, hock, joint = places[0], places[1], places[2], places[-1]
    single = len(leg.bones) == 3  # the hock itself is held
    first, second = (np.linalg.norm(b - a, axis=1) for a, b in ((hip, knee), (knee, hock)))
    rest = body.rest_heads
    chord = rest[foot] - rest[upper]
    bulge = rest[lower] - rest[upper]
    bulge = unit(bulge - (bulge @ chord) / (chord @ chord) * chord)
    for _ in range(PASSES):
        along = joint - hock
        wanted = goal - along - hip
        span = np.clip(np.linalg.norm(wanted, axis=1), np.abs(first - second) * (2 - REACH) + 1e-9, (first + second) * REACH)
        before, after = unit(hock - hip), unit(wanted)
        bend = (knee - hip) - ((knee - hip) * before).sum(1, keepdims=True) * before
        flat = np.linalg.norm(bend, axis=1) < 1e-3 * first
        bend = np.where(flat[:, None], body.turns[:, upper] @ bulge, bend)
        bend = bend - (bend * before).sum(1, keepdims=True) * before
        bend = unit((shortest_turn(before, after) @ unit(bend)[..., None])[..., 0])
        cosine = np.clip((first**2 + span**2 - second**2) / (2 * first * span), -1, 1)
        new_knee = hip + first[:, None] * (cosine[:, None] * after + np.sqrt(1 - cosine**2)[:, None] * bend)
        new_hock = hip + span[:, None] * after
        turn_part(body, upper, shortest_turn(knee - hip, new_knee - hip))
        turn_part(body, lower, shortest_turn(hock - knee, new_hock - new_knee))
        knee, hock = new_knee, new_hock
        if single:
            return
        aimed = unit(goal - hock) * np.linalg.norm(along, axis=1, keepdims=True)
        turn_part(body, foot, shortest_turn(along, aimed))
        joint = hock + aimed
        if np.linalg.norm(goal - joint, axis=1).max() < 1e-6 * (first + second).max():
            return


def turn_part(body: Body, bone: int, turn: Array) -> None:
    """Turns all bones of the part that begins with this bone."""
    for name in body.parts[body.part_of[bone]]:
        body.turns[:, body.rig.index[name]] = turn @ body.turns[:, body.rig.index[name]]
