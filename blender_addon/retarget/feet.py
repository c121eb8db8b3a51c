"""Feet that stand stay where they stand: contacts are given, the legs of a body in motion are turned so that it is so.

A standing foot keeps its spot on the ground; between two contacts the correction passes smoothly from one to the other, so that no step
jumps. A foot whose tip is known rolls over it with its sole turned as the motion has it, as far as no heel gets into the ground; of any
other the last joint is held, and the toe keeps its direction. Where the target keeps its own way to stand, its body rises and falls
as its own legs ask, the ground runs as fast as these legs walk, and its joints may be held otherwise all the time if that leaves
them more of their swing. In the other's stance legs are corrected and nothing else; the body sinks where a leg is too short, in either.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import legs
from .body import Body
from .contacts import flat, stride
from .laps import Lap, eased
from .limbs import postured
from .rotations import Array, to_matrices, unit
from .soles import STRETCH, STRETCH_AS_SEEN, Foot, Ground, on_the_way, plant, wanted_step
from .swing import LEAST_SWING, fitted, swings_of

SINK = 0.12
"""Leg lengths that the body may rise or sink so that its feet reach the ground."""
SOFT = 0.08
"""Share of a stride over which the body comes down before a leg is too short."""
LIFT = 0.04
"""How high above its ground a foot is in the middle of a swing, at least, in leg lengths."""
BOB = 3.0
"""Swings of the body a stride, up to about which it rises and falls for its own legs' sake."""
FASTEST = 2.0
"""How many times faster or slower than the source's the ground may run."""
TIGHTNESS = 3
"""How much more a leg counts for the ground's speed the wider it must swing."""
MOST_UNEVEN = 12.0
"""How many times readier the readiest joint of a leg may give way than another."""
EDGE = 0.25
"""Share of a step in the air over which a foot goes as the source's, at either end."""
NUDGE = 1.5
"""Of what a leg lacks of its spot, by which the spot comes to meet it, or the body goes down."""
MOST_PITCH = np.radians(8.0)
"""By how much the body may be turned about its left, so that front and hind feet stand on one ground."""
POSTURES, REACHING = 7, 3
"""Rounds in all, and those of them at the end in which no posture changes any more, only spots that are out of reach."""


def hold(body: Body, feet: list[Foot], ground: Ground, lap: Lap, leg_length: float) -> Array:
    """Turns the legs' bones of a settled body and raises or lowers it, so that standing feet stand. -> the ground's velocity (3,)."""
    count, up, usual = lap.count, ground.up, float(np.linalg.norm(ground.velocity))
    bases = [foot.limb.base(body, count) for foot in feet]
    postures = [postured(foot.limb, np.zeros(len(foot.limb.bones))) * ground.own for foot in feet]
    given = [posed(foot, posture, lap) for foot, posture in zip(feet, postures, strict=True)]
    rise, asked = np.zeros(count), []
    if ground.own:
        pitch(body, feet, held_points(feet, bases, given), ground)
        bases = [foot.limb.base(body, count) for foot in feet]
        rise = on_ground(held_points(feet, bases, given), ground, lap, leg_length)
        asked = [np.maximum(swings_of(foot.limb, base, lap.cut(foot.limb.given), up), LEAST_SWING)
                 for foot, base in zip(feet, bases, strict=True)]  # fmt: skip
        feet = [foot.with_ease(ask[:-1]) for foot, ask in zip(feet, asked, strict=True)]
    bases = [(turn, heads + rise[:, None] * up) for turn, heads in bases]
    tight, nudges, deeper = np.ones(len(feet)), np.zeros((count, len(feet), 3)), np.zeros(count)
    for left in reversed(range(POSTURES if ground.own else 1)):
        points = held_points(feet, bases, given)
        if ground.own:
            ground = replace(ground, velocity=own_speed(points, ground, lap, tight))
        goals = held(points, ground, lap, leg_length, nudges)
        steps = [wanted_step(foot, body, bases[k], given[k], goals[:, k], ground, lap, k) for k, foot in enumerate(feet)]
        sunk = within_reach(feet, bases, [step[0] for step in steps], ground, lap) + deeper
        sunk = sunk if ground.own else np.minimum(sunk, SINK * leg_length)
        lower = [(turn, heads - sunk[:, None] * up) for turn, heads in bases]
        found = [plant(foot, body, lower[k], given[k], *steps[k], ground, leg_length) for k, foot in enumerate(feet)]
        stood = [angles[ground.stands[:, k]] for k, angles in enumerate(found)]
        if left > REACHING:
            shares = [swings_of(foot.limb, (base[0][st], base[1][st]), after, up) / ask if len(after) else np.ones_like(ask)
                      for foot, base, after, ask, st in zip(feet, lower, stood, asked, ground.stands.T, strict=True)]  # fmt: skip
            postures = [better_posture(posture, foot, before[ground.stands[:, k]], stood[k])
                        for k, (posture, foot, before) in enumerate(zip(postures, feet, given, strict=True))]  # fmt: skip
            given = [posed(foot, posture, lap) for foot, posture in zip(feet, postures, strict=True)]
            feet = [evened(foot, share) for foot, share in zip(feet, shares, strict=True)]
            tight = np.array([max(share[:-2].max(), 0.5) for share in shares]) ** TIGHTNESS
        elif left:
            lacks = np.where(ground.stands[..., None], goals - held_points(feet, lower, found), 0.0)
            if np.abs(lacks).max() < legs.MISSED * leg_length:
                break
            nudges = nudges + missed(lacks, ground, lap, leg_length)
            deeper = deeper + lap.widest(NUDGE * np.maximum(-(lacks @ up).min(1), 0), SOFT * stride(ground.stands, lap))
    rise = rise - sunk
    if ground.own:
        pace = float(np.linalg.norm(ground.velocity)) / usual if usual > 0 else 1.0
        found = [swung(foot, body, lower[k], given[k], found[k], goals[:, k], asked[k], ground, pace, lap, leg_length, k)
                 for k, foot in enumerate(feet)]  # fmt: skip
    body.place = body.place + lap.whole(rise)[:, None] * up
    body.settle()
    for foot, angles in zip(feet, found, strict=True):
        foot.limb.put(body, lap.whole(angles))
    body.settle()
    return ground.velocity


def posed(foot: Foot, posture: Array, lap: Lap) -> Array:
    """Angles (count, n, 3) that the motion asks for, in a posture (n,), within limits."""
    angles = lap.cut(foot.limb.given).copy()
    angles[..., 0] += posture
    return legs.clamped(angles, foot.limb.leg.limits)


def held_points(feet: list[Foot], bases: list[tuple[Array, Array]], angles: list[Array]) -> Array:
    """(count, k, 3) what stands on the ground."""
    return np.stack([foot.held_point(base, turned) for foot, base, turned in zip(feet, bases, angles, strict=True)], 1)


def swung(
    foot: Foot, body: Body, base: tuple[Array, Array], given: Array, found: Array, goal: Array, asked: Array, ground: Ground, pace: float,
    lap: Lap, leg_length: float, k: int,
) -> Array:  # fmt: skip
    """Angles (count, n, 3) of a leg that stands as found, and in the air swings as wide as asked for (n + 1,)."""
    stands, up = ground.stands[:, k], ground.up
    if not stands.any() or stands.all():
        return found
    change = (found - given).reshape(lap.count, -1)
    angles = given + lap.filled(change, stands, np.zeros(change.shape[1])).reshape(given.shape)
    through = steps_through(~stands, lap)
    lowest = ground.floor + ground.heights[:, k] + LIFT * leg_length * np.sin(np.pi * through)
    free = ~stands * 1.0
    if ground.seen is not None:
        points, free = as_seen(foot.held_point(base, angles), goal, ground, pace, lap, k)
        angles = on_the_way(foot, body, base, angles, np.where(stands[:, None], goal, points), ground, leg_length)
    kept = np.full((lap.count, given.shape[1] + 1), -np.inf)
    kept[:, -1] = lowest
    angles = fitted(foot.limb, base, angles, asked, through, free, kept, up, leg_length)
    points = foot.held_point(base, angles)
    points = points + np.maximum(lowest - points @ up, 0)[:, None] * up * free[:, None]
    return on_the_way(foot, body, base, angles, np.where(stands[:, None], goal, points), ground, leg_length)


def steps_through(air: Array, lap: Lap) -> Array:
    """(count,) frames in the air -> 0..1 through each step, 0 on the ground."""
    through = np.zeros(lap.count)
    for start, length in lap.runs(air):
        through[lap.frames(start, length)] = (np.arange(length) + 1) / (length + 1)
    return through


def as_seen(points: Array, goal: Array, ground: Ground, pace: float, lap: Lap, k: int) -> tuple[Array, Array]:
    """-> (count, 3) where a foot is, in the air just after and just before it stands moved to where the source's is then, so that it
    leaves the ground and comes to it in the same frame; (count,) how free it still is, 1 in mid-air, 0 on the ground. goal (count, 3): its
    spots; pace: how much wider its steps are than those seen."""
    assert ground.seen is not None and ground.seen_round is not None
    up, seen, moved, free = ground.up, ground.seen[:, k], points.copy(), np.zeros(lap.count)
    for start, length in lap.runs(~ground.stands[:, k]):
        frames, times = lap.frames(start, length), lap.times(start, length)
        share = (np.arange(length) + 1) / (length + 1)
        ends = []
        if lap.round or start > 0:
            ends.append((start - 1, share))
        if lap.round or start + length < lap.count:
            ends.append((start + length, 1 - share))
        path, rounds = points[frames], lap.rounds(start, length)
        free[frames] = 1.0
        for edge, away in ends:
            at, off = edge % lap.count, (times - lap.times(edge, 1)[0])[:, None]
            turns = (rounds - edge // lap.count)[:, None]
            since = flat(seen[frames] - seen[at] + turns * ground.seen_round, up) * pace
            spot = goal[at] + since + off * ground.velocity - turns * ground.advance
            spot = spot + (ground.floor + ground.heights[at, k] + seen[frames] @ up - spot @ up)[:, None] * up
            weight = (1 - eased(away / EDGE))[:, None]
            path = path * (1 - weight) + spot * weight
            free[frames] *= 1 - weight[:, 0]
        moved[frames] = path
    return moved, free


def pitch(body: Body, feet: list[Foot], points: Array, ground: Ground) -> None:
    """Turns the whole body a little about its left, so that its front feet (count, k, 3) and its hind feet stand on one ground."""
    above = points @ ground.up - ground.floor - ground.heights
    hind = np.array([foot.name.startswith("hind") for foot in feet])
    sets = [np.flatnonzero(which) for which in (~hind, hind)]
    if not all(len(which) and ground.stands[:, which].any() for which in sets):
        return
    heights = [float(above[:, which][ground.stands[:, which]].mean()) for which in sets]
    hung = [body.heads[:, [feet[k].limb.bones[0] for k in which]].mean((0, 1)) for which in sets]
    forward = flat(hung[0] - hung[1], ground.up)
    length = float(np.linalg.norm(forward))
    if length < 1e-6:
        return
    angle = np.clip(np.arctan2(heights[0] - heights[1], length), -MOST_PITCH, MOST_PITCH)
    left = np.cross(ground.up, forward / length)
    turn = to_matrices(np.append(np.cos(angle / 2), np.sin(angle / 2) * left))
    body.turns[:, body.carried] = turn @ body.turns[:, body.carried]
    body.settle()


def on_ground(points: Array, ground: Ground, lap: Lap, leg_length: float) -> Array:
    """(count,) how far the body rises, smoothly over a stride, so that the feet (count, k, 3) that stand are on the ground on the mean.

    These legs are not the source's: bent alike they reach differently far down at each end of a stance, and a knee that had to make
    up for it, near straight as it is, would bend far more than the source's.
    """
    above = points @ ground.up - ground.floor - ground.heights
    if not ground.stands.any():
        return np.full(lap.count, -float(above.min(1).mean()) if lap.count else 0.0)
    standing = ground.stands.sum(1)
    mean = float(above[ground.stands].mean())
    lack = np.where(standing > 0, (above * ground.stands).sum(1) - mean * standing, 0)
    sigma = stride(ground.stands, lap) / (2 * np.pi * BOB)
    return -(mean + lap.smooth(lack, sigma) / np.maximum(lap.smooth(standing.astype(float), sigma), 0.5))


def evened(foot: Foot, shares: Array) -> Foot:
    """The foot whose leg gives way less where its swing has grown, and more where it has room: shares (n + 1,) of what is asked for."""
    ease = foot.limb.leg.ease * np.clip(1 / np.maximum(shares[:-1], 1e-3), 0.5, 1.6)
    return foot.with_ease(np.maximum(ease, ease.max() / MOST_UNEVEN))


def own_speed(points: Array, ground: Ground, lap: Lap, tight: Array) -> Array:
    """(3,) velocity of the ground on which the standing feet (count, k, 3) slide least, each as it counts (k,); what doesn't run at all
    stays."""
    if not ground.velocity.any():
        return ground.velocity
    way = unit(ground.velocity)
    following = np.roll(ground.stands, -1, 0)
    both = ground.stands & following
    if not lap.round:
        both[-1] = False
    if not both.any():
        return ground.velocity
    ahead = np.roll(points, -1, 0) - points
    times = np.append(np.diff(lap.seconds), (lap.period or np.inf) - (lap.seconds[-1] - lap.seconds[0]))
    weights = both * tight
    fast = float(((ahead @ way) / times[:, None] * weights).sum() / weights.sum())
    usual = float(np.linalg.norm(ground.velocity))
    return way * np.clip(fast, usual / FASTEST, usual * FASTEST)


def missed(lacks: Array, ground: Ground, lap: Lap, leg_length: float) -> Array:
    """(count, k, 3) by which spots are to be moved that a leg cannot reach, from what it lacked of them: a contact has one spot."""
    nudges = np.zeros_like(lacks)
    for k, stands in enumerate(ground.stands.T):
        for start, length in lap.runs(stands):
            frames = lap.frames(start, length)
            far = np.linalg.norm(lacks[frames, k], axis=1)
            if far.max() > legs.MISSED * leg_length:
                nudges[frames, k] = -NUDGE * flat(lacks[frames[far.argmax()], k], ground.up)
    return nudges


def held(points: Array, ground: Ground, lap: Lap, leg_length: float, nudges: Array) -> Array:
    """(count, k, 3) where the feet shall be: through a contact where they stood on the mean, moved by nudges (count, k, 3), on their
    height; in between led over."""
    advance = ground.advance - (lap.period or 0.0) * ground.velocity
    path = points - (lap.seconds[:, None] * ground.velocity)[:, None]
    goals = points.copy()
    for k, stands in enumerate(ground.stands.T):
        shifts = np.zeros((lap.count, 3))
        for start, length in lap.runs(stands):
            frames = lap.frames(start, length)
            places = path[frames, k] + lap.rounds(start, length)[:, None] * advance
            middle = places.mean(0) + nudges[frames[0], k]
            middle = middle + (ground.floor + ground.heights[frames, k].mean() - middle @ ground.up) * ground.up
            shifts[frames] = middle - places
        goals[:, k] += lap.filled(shifts, stands, np.zeros(3))
    lowest = np.full(ground.stands.shape, ground.floor)
    if ground.own:
        lowest = lowest + ground.heights + LIFT * leg_length * lifted(ground.stands, lap)
    return goals + np.maximum(lowest - goals @ ground.up, 0)[..., None] * ground.up


def lifted(stands: Array, lap: Lap) -> Array:
    """(count, k) contacts -> (count, k): 0 while a foot stands, rising to 1 in the middle of its swing; 1 where it never stands."""
    high = np.zeros(stands.shape)
    for k, foot in enumerate(stands.T):
        for start, length in lap.runs(~foot):
            share = (np.arange(length) + 1) / (length + 1)
            high[lap.frames(start, length), k] = np.sin(np.pi * share) if length < lap.count else 1.0
    return high


def within_reach(feet: list[Foot], bases: list[tuple[Array, Array]], goals: list[Array], ground: Ground, lap: Lap) -> Array:
    """(count,) how far the body comes down so that every leg that stands reaches its spot; smooth over the stride."""
    need = np.zeros(lap.count)
    stretch = STRETCH if ground.own else STRETCH_AS_SEEN
    for k, (foot, (_, head)) in enumerate(zip(feet, bases, strict=True)):
        away = head - goals[k]
        rise, across = away @ ground.up, np.linalg.norm(flat(away, ground.up), axis=1)
        lack = rise - np.sqrt(np.maximum((stretch * foot.limb.segments.sum()) ** 2 - across**2, 0))
        need = np.maximum(need, np.where(ground.stands[:, k], lack, 0))
    return lap.widest(need, SOFT * stride(ground.stands, lap)) if need.any() else need


def better_posture(posture: Array, foot: Foot, given: Array, found: Array) -> Array:
    """(n,) the posture with what the leg's hinges had to be turned by on the mean while it stood: angles (t, n, 3)."""
    if not len(found):
        return posture
    turned = (found - given)[..., 0].mean(0)
    turned[-1] = 0  # a sole's turn is its own
    return postured(foot.limb, posture + turned)
