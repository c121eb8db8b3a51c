"""The loop in a motion: a motion a frame enters, one closed cycle of it leaves.

The period is where the joints' angles are most like themselves again (autocorrelation; legs count most, and left ones never stand for
right ones, so that half a stride, where the sides have changed places, is no period). Of all stretches about so long the one whose ends
are most alike in pose and speed is cut out, to the fraction of a frame, and closed: toward its end it goes over into what came before its
beginning. The root's travel stays as an offset a cycle; what it turned aside or climbed is taken out. numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..retarget.rig import Rig
from ..retarget.rotations import Array, continuous, to_matrices, to_quaternions, transposed
from .keys import Moves, feet_of, leg_length
from .timing import resampled, resampled_turns, slopes_of

SHORTEST_SECONDS = 0.2
ALIKE = 0.6
"""Correlation with itself from which a motion repeats."""
FIRST_OF = 0.92
"""Share of the highest correlation with which the shortest period is taken: two cycles are as alike as one."""
OVERLAP = 0.25
"""Of a period that must be seen twice."""
ABOUT = 0.15
"""Share by which the stretch may be longer or shorter than the period."""
LEGS, OTHERS = 1.0, 0.3
"""Weights of bones."""
STILL = np.radians(0.5)
"""Root mean square over all bones together below which nothing moves."""
SPEED = 0.1
"""Seconds by which speeds weigh beside angles."""
BLEND = 0.25
"""Share of the cycle that goes over into what came before it."""


@dataclass(frozen=True, eq=False)
class Loop:
    """moves: one cycle, whose last frame is the first again; start: where it begins in the motion, frames; alike: the correlation of the
    motion with itself a period later; gap: radians, the most that a bone was off at the seam before it was closed."""

    moves: Moves
    start: int
    alike: float
    gap: float


def find_loop(rig: Rig, moves: Moves) -> Loop | None:
    """One closed cycle of the motion, None where nothing in it repeats."""
    path = Path.of(rig, moves)
    traits = traits_of(rig, moves, path)
    period, alike = find_period(traits, moves.fps)
    if not period:
        return None
    start, length = best_stretch(traits, period)
    return close(rig, moves, path, start, length, alike)


@dataclass(frozen=True, eq=False)
class Path:
    """The root's motion: headings (t,) radians about the up axis; tilts (t, 3, 3), its turns without them; places (t, 3)."""

    headings: Array
    tilts: Array
    places: Array

    @classmethod
    def of(cls, rig: Rig, moves: Moves) -> Path:
        axes = rig.axes[0]
        turns = axes @ to_matrices(moves.rotations[:, 0]) @ axes.T
        w, _, _, z = np.moveaxis(continuous(to_quaternions(turns)), -1, 0)
        headings = np.unwrap(2 * np.arctan2(z, w))
        return cls(headings, transposed(about_up(headings)) @ turns, moves.locations.astype(np.float64))

    def steps(self) -> tuple[Array, Array]:
        """(t - 1, 2) ahead and aside and (t - 1,) turned from each frame to the next, seen from the animal."""
        level = np.diff(self.places[:, :2], axis=0)
        c, s = np.cos(self.headings[:-1]), np.sin(self.headings[:-1])
        return np.stack([c * level[:, 0] + s * level[:, 1], c * level[:, 1] - s * level[:, 0]], -1), np.diff(self.headings)


def about_up(angles: Array) -> Array:
    """(t,) -> (t, 3, 3) turns about Z."""
    turns = np.tile(np.eye(3), (len(angles), 1, 1))
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angles)
    turns[:, 1, 0], turns[:, 0, 1] = np.sin(angles), -np.sin(angles)
    return turns


def turn_vectors(quaternions: Array) -> Array:
    """(..., 4) unit wxyz -> (..., 3) axis times angle, of the shorter way round."""
    q = np.where(quaternions[..., :1] < 0, -quaternions, quaternions)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    return q[..., 1:] * np.where(sine > 1e-9, 2 * np.arctan2(sine, q[..., :1]) / np.maximum(sine, 1e-9), 2.0)


def turned_back(first: Array, second: Array) -> Array:
    """Quaternions (..., 4): what turns the first into the second, in the first's axes."""
    conjugate = first * np.array([1.0, -1.0, -1.0, -1.0])
    return product(conjugate, second)


def product(a: Array, b: Array) -> Array:
    """Quaternion products (..., 4)."""
    w, v = a[..., :1], a[..., 1:]
    x, u = b[..., :1], b[..., 1:]
    return np.concatenate([w * x - (v * u).sum(-1, keepdims=True), w * u + x * v + np.cross(v, u)], -1)


def traits_of(rig: Rig, moves: Moves, path: Path) -> Array:
    """(t, d) by which frames are compared: each bone's turn from its mean, the root's tilt and height; and all of their speeds."""
    rotations = moves.rotations.astype(np.float64)
    means = np.linalg.eigh(np.einsum("tbi,tbj->bij", rotations, rotations))[1][..., -1]
    angles = turn_vectors(turned_back(np.broadcast_to(means, rotations.shape), rotations))
    feet = feet_of(rig)
    legs = {bone for foot in feet for bone in [foot, *rig.ancestors(foot)][:4]}
    weights = np.array([LEGS if bone in legs or not feet else OTHERS for bone in range(len(rig.names))])
    weights[0] = 0
    size = leg_length(rig, feet) if feet else 1.0
    root = np.concatenate([turn_vectors(to_quaternions(path.tilts)), path.places[:, 2:] / size], 1)
    traits = np.concatenate([(angles * weights[:, None]).reshape(len(angles), -1), OTHERS * root], 1)
    return np.concatenate([traits - traits.mean(0), slopes_of(traits) * (moves.fps * SPEED)], 1)


def find_period(traits: Array, fps: float) -> tuple[int, float]:
    """-> frames of the period and the motion's correlation with itself so much later; 0 where nothing repeats."""
    count = len(traits)
    longest = int((count - 1) / (1 + OVERLAP))
    shortest = max(3, int(np.ceil(SHORTEST_SECONDS * fps)))
    moving = float(np.sqrt((traits**2).sum(1).mean()))
    if longest <= shortest or moving < STILL:
        return 0, 0.0
    squares = np.concatenate([[0.0], np.cumsum((traits**2).sum(1))])
    lags = np.arange(longest + 2)
    alike = np.zeros(len(lags))
    for lag in lags[lags < count]:
        scale = np.sqrt(squares[count - lag] * (squares[-1] - squares[lag]))
        alike[lag] = float((traits[: count - lag] * traits[lag:]).sum()) / scale if scale > 0 else 0.0
    inner = np.arange(shortest, longest + 1)
    tops = inner[(alike[inner] >= alike[inner - 1]) & (alike[inner] >= alike[inner + 1]) & (alike[inner] >= ALIKE)]
    if not len(tops):
        return 0, 0.0
    period = int(tops[alike[tops] >= FIRST_OF * alike[tops].max()][0])
    return period, float(alike[period])


def best_stretch(traits: Array, period: int) -> tuple[int, float]:
    """-> the frame at which the stretch begins whose ends are most alike, and its length in frames."""
    count = len(traits)
    spare = max(1, round(ABOUT * period))
    lengths = [length for length in range(max(3, period - spare), period + spare + 1) if length <= count - 1]
    off = {length: ((traits[length:] - traits[: count - length]) ** 2).sum(1) for length in lengths}
    room = round(BLEND * period)
    best, start, length = np.inf, 0, period
    for tried, costs in off.items():
        late = costs if len(costs) <= room else costs[room:]  # with frames before it to go over into, if there are any
        at = int(late.argmin())
        if late[at] < best:
            best, start, length = float(late[at]), at + len(costs) - len(late), tried
    around = [off[other][start] if other in off and start < len(off[other]) else np.inf for other in (length - 1, length, length + 1)]
    if np.isfinite(around).all() and around[0] + around[2] > 2 * around[1]:
        return start, length + 0.5 * (around[0] - around[2]) / (around[0] + around[2] - 2 * around[1])
    return start, float(length)


def close(rig: Rig, moves: Moves, path: Path, start: int, length: float, alike: float) -> Loop:
    """The stretch as a closed cycle of a whole number of frames."""
    count = max(3, round(length))
    pace = length / count
    before = min(round(BLEND * count), int(start / pace))
    at = np.minimum(start + np.arange(-before, count + 1) * pace, len(moves.rotations) - 1)
    turns = resampled_turns(moves.rotations, at)
    tilts = resampled_turns(to_quaternions(path.tilts), at)
    seam = turned_back(turns[before], turns[-1])
    seam[0] = turned_back(tilts[before], tilts[-1])
    gap = float(np.linalg.norm(turn_vectors(seam), axis=-1).max())
    stepped = Path(resampled(path.headings, at), tilts, resampled(path.places, at))
    steps, turned = stepped.steps()
    turns, tilts = (joined(values, count, before) for values in (turns, tilts))
    heights = joined(stepped.places[:, 2:], count, before, turning=False)[:, 0]
    steps, turned = (joined_steps(values, count, before) for values in (steps, turned[:, None]))
    headings = stepped.headings[before] + np.append(0, np.cumsum(turned[:, 0] - turned.mean()))
    c, s = np.cos(headings[:-1]), np.sin(headings[:-1])
    level = np.stack([c * steps[:, 0] - s * steps[:, 1], s * steps[:, 0] + c * steps[:, 1]], -1)
    places = np.zeros((count + 1, 3))
    places[:, :2] = stepped.places[before, :2] + np.concatenate([np.zeros((1, 2)), np.cumsum(level, 0)])
    places[:, 2] = heights
    axes = rig.axes[0]
    turns[:, 0] = to_quaternions(axes.T @ about_up(headings) @ to_matrices(tilts) @ axes)
    turns = continuous(turns)
    # Half a turn in all would end on the other sign: the same rotation, but curves would not close.
    turns[-1] = turns[0]
    return Loop(Moves(turns, places, moves.fps, closed=True), start, alike, gap)


def share_of(count: int, before: int) -> Array:
    """(count + 1,) how much of a frame is that of a cycle earlier: 0, rising to 1 at the end."""
    rise = before if before else max(2, round(BLEND * count))
    share = np.clip((np.arange(count + 1) - (count - rise)) / rise, 0, 1)
    return share * share * (3 - 2 * share)


def joined(values: Array, count: int, before: int, turning: bool = True) -> Array:
    """(before + count + 1, ..., c) -> (count + 1, ..., c) whose last is the first. turning: quaternions.

    Where nothing came before, what is missing at the seam is spread over the end."""
    share = share_of(count, before).reshape(-1, *[1] * (values.ndim - 1))
    cycle = values[before:]
    if before:
        earlier = np.concatenate([cycle[: count - before], values[: before + 1]])
    else:
        earlier = moved_on(cycle, turning)
    if not turning:
        return (1 - share) * cycle + share * earlier
    earlier = np.where((earlier * cycle).sum(-1, keepdims=True) < 0, -earlier, earlier)
    mixed = (1 - share) * cycle + share * earlier
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)


def moved_on(cycle: Array, turning: bool) -> Array:
    """Every frame moved by what turns the last one into the first."""
    if not turning:
        return cycle + (cycle[:1] - cycle[-1:])
    return product(cycle, np.broadcast_to(turned_back(cycle[-1], cycle[0]), cycle.shape))


def joined_steps(values: Array, count: int, before: int) -> Array:
    """(before + count, c) steps from frame to frame -> (count, c)."""
    cycle = values[before:]
    if not before:
        return cycle
    share = share_of(count, before)
    middle = ((share[1:] + share[:-1]) / 2)[:, None]
    earlier = np.concatenate([cycle[: count - before], values[:before]])
    return (1 - middle) * cycle + middle * earlier
