"""Legs that reach: bones turned so that the last one's tip, or its head, comes to its place, over all frames at once. numpy, no Blender.

A bone turns by angles about its own rest axes, R = Rx Ry Rz, of which X is its bend axis: each is a hinge about X, the upper bone
may also lean aside, about Z. Of all turns that reach, those nearest to the given ones are found, each angle counted against how far
it swings, so that no joint loses or gains much of its swing; by damped Gauss-Newton steps (Buss 2004) on the way back from there,
angles held within limits after every step. A leg that is all but straight doesn't know which way to give: where it fails to reach,
it starts anew a little more folded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rotations import Array, from_angles

ROUNDS = 12
LAST_ROUNDS = 6
"""Without the pull back to the given angles: what damping has left over."""
DAMPING = 3e-5
"""Of the squared leg length."""
MISSED = 1e-3
"""Leg lengths from its goal at which a leg has not reached it."""
REACHED = 1e-5
"""Leg lengths from its goal at which nothing more is to be done."""
SETTLED = 2e-4
"""Radians a round, below which a leg has come to rest."""
FOLDS = tuple(np.radians([10.0, 25.0, 45.0]))
"""Started anew with these, radians."""
MOST_CHANGE = np.radians(30.0)
"""By which no joint is turned away from what is given, unless the leg doesn't reach otherwise."""
LARGEST_STEP = 0.25
"""Radians a round."""
LEAN = 0.5
"""How readily the upper bone leans aside, against the mean of the hinges."""


@dataclass(frozen=True)
class Leg:
    """n bones. rests ([t,] n, 3, 3): rotation of each bone's rest frame in that of the bone above; offsets ([t,] n, 3): its head there;
    tip (3,): the last bone's tail in its own frame; limits (n, 3, 2) radians, infinite where there is none; fold (n,): the way that each
    bone turns about X when the leg folds, 0 for those that don't; ease (n,): how readily each turns about X."""

    rests: Array
    offsets: Array
    tip: Array
    limits: Array
    fold: Array
    ease: Array

    @property
    def length(self) -> float:
        """From the leg's first joint to its tip, stretched."""
        return float(np.linalg.norm(self.offsets[..., 1:, :], axis=-1).sum(-1).max() + np.linalg.norm(self.tip))

    def of(self, frames: Array) -> Leg:
        """The leg in some of the frames."""
        rests = self.rests[frames] if self.rests.ndim == 4 else self.rests
        return Leg(rests, self.offsets[frames] if self.offsets.ndim == 3 else self.offsets, self.tip, self.limits, self.fold, self.ease)


def stand(leg: Leg, base: tuple[Array, Array], angles: Array) -> tuple[list[Array], list[Array], Array]:
    """Base frame (t, 3, 3) and (t, 3), angles (t, n, 3) -> rotations of the n bones, their heads, and the tip (t, 3)."""
    turn, place = base
    turned, heads = [], []
    local = from_angles(angles)
    for bone in range(angles.shape[1]):
        place = place + (turn @ leg.offsets[..., bone, :, None])[..., 0]
        turn = turn @ leg.rests[..., bone, :, :] @ local[:, bone]
        turned.append(turn)
        heads.append(place)
    return turned, heads, place + turn @ leg.tip


def reach(leg: Leg, base: tuple[Array, Array], angles: Array, targets: Array, bones: int) -> Array:
    """Angles (t, n, 3) with which the end of the first `bones` bones is at the targets (t, 3), as near to the given ones as may be."""
    near = np.stack([angles - MOST_CHANGE, angles + MOST_CHANGE], -1)
    found = descend(leg, base, angles, angles, targets, bones, near)
    for fold in (0.0, *FOLDS):
        missed = distance(leg, base, found, targets, bones)
        bad = np.flatnonzero(missed > MISSED * leg.length)
        if not len(bad):
            break
        some, there, goals = leg.of(bad), (base[0][bad], base[1][bad]), targets[bad]
        folded = angles[bad]
        folded[..., 0] += fold * leg.fold
        again = descend(some, there, folded, angles[bad], goals, bones)
        better = distance(some, there, again, goals, bones) < missed[bad]
        found[bad[better]] = again[better]
    return found


def distance(leg: Leg, base: tuple[Array, Array], angles: Array, targets: Array, bones: int) -> Array:
    """(t,) from the end of the first `bones` bones to the targets (t, 3)."""
    _, heads, tip = stand(leg, base, angles)
    return np.asarray(np.linalg.norm((tip if bones == angles.shape[1] else heads[bones]) - targets, axis=1))


def descend(
    leg: Leg, base: tuple[Array, Array], start: Array, given: Array, targets: Array, bones: int, near: Array | None = None
) -> Array:
    """As `reach`, from the start (t, n, 3) alone; given (t, n, 3): what to stay near to; near (t, n, 3, 2): limits besides the leg's."""
    angles, given = clamped(start, leg.limits), clamped(given, leg.limits)
    free = [(0, 0), (0, 2), *((bone, 0) for bone in range(1, bones))]
    rows, columns = [bone for bone, _ in free], [axis for _, axis in free]
    ease = np.insert(leg.ease[:bones], 1, LEAN * leg.ease[:bones].mean())
    ease = np.tile(ease / ease.mean(), (len(angles), 1)) ** 2  # (t, f)
    low, high = leg.limits[rows, columns, 0], leg.limits[rows, columns, 1]
    if near is not None:
        low, high = np.clip(near[:, rows, columns, 0], low, high), np.clip(near[:, rows, columns, 1], low, high)
    for round_ in range(ROUNDS + LAST_ROUNDS):
        turned, heads, tip = stand(leg, base, angles)
        end = tip if bones == angles.shape[1] else heads[bones]
        lack = targets - end
        if round_ >= ROUNDS and np.abs(lack).max() < REACHED * leg.length:
            break
        arms = np.empty((len(angles), 3, len(free)))
        for column, (bone, axis) in enumerate(free):
            if axis:
                way = turned[bone][..., axis]
            else:
                way = ((base[0] if bone == 0 else turned[bone - 1]) @ leg.rests[..., bone, :, :])[..., 0]
            arms[..., column] = crossed(way, end - heads[bone])
        back = np.where(ease > 0, given[:, rows, columns] - angles[:, rows, columns], 0.0) if round_ < ROUNDS else np.zeros_like(ease)
        eased = arms * ease[:, None]
        square = eased @ np.swapaxes(arms, -1, -2) + DAMPING * leg.length**2 * np.eye(3)
        left = lack - np.einsum("tan,tn->ta", arms, back)
        change = back + np.einsum("tan,ta->tn", eased, np.linalg.solve(square, left[..., None])[..., 0])
        change *= np.minimum(1, LARGEST_STEP / np.maximum(np.abs(change).max(1, keepdims=True), 1e-12))
        wanted = angles[:, rows, columns] + change
        angles[:, rows, columns] = np.clip(wanted, low, high)
        ease = np.where((wanted < low) | (wanted > high), 0.0, ease)  # at its limit: the others make up for it
        if round_ < ROUNDS and np.abs(change).max() < SETTLED and np.abs(lack).max() < REACHED * leg.length:
            break
    return angles


def crossed(first: Array, second: Array) -> Array:
    """(t, 3) twice -> (t, 3) their cross products, several times faster than numpy's own for few frames."""
    (a, b, c), (x, y, z) = first.T, second.T
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], 1)


def clamped(angles: Array, limits: Array) -> Array:
    """(t, ..., 3) within limits (..., 3, 2)."""
    return np.clip(angles, limits[..., 0], limits[..., 1])
