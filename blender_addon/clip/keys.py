"""Few keys that hold a motion: a value a frame enters, for each bone its keys with values and slopes leave.

As Ramer, Douglas and Peucker thin a line, with the curve that Blender draws in place of their straight one: between two keys a cubic of
the keys' slopes, exactly Blender's own where handles lie at a third of the way. Keys are set where a bone is farthest from the motion,
and values and slopes of all its keys fitted anew (least squares), until every bone is within the angle; then further keys go to the bones
that are to blame where a foot is farther from its place than allowed, and while it stands half of that. numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..retarget.contacts import Feet, find_gait
from ..retarget.laps import Lap
from ..retarget.rig import Rig, pose_clip
from ..retarget.rotations import Array
from .timing import hermite, slopes_of

STANDING_SHARE = 0.5
"""Of the tolerance of places: how far a foot may leave its place while it stands."""
BLAME = 0.7
"""Share of the worst bone's part in a foot's error from which on a bone gets a key as well."""
FIRM = 1e4
"""Weight of what a window has at its ends: the first frame is the photo's pose, and the next window goes on from the last."""
WINDOW = 96
"""Frames, about, of a window. A key stands at its ends."""
EASE = 0.05
"""Weight of the motion's own slopes beside its values."""
FOOT_STEMS = ("toe", "front_toe")
LEG_BONES = 4
NOTHING = 1e-5
"""Of the armature's units, and radians: below it nothing is off."""


@dataclass(frozen=True)
class Tolerance:
    """angle: radians by which a bone may be turned away from the motion; place: by how much the root and a foot's tip may be off,
    in the armature's units."""

    angle: float
    place: float


@dataclass(frozen=True, eq=False)
class Moves:
    """A motion a frame at even times. rotations (t, b, 4) wxyz in rest axes, signs continuous; locations (t, 3) of the first bone in
    armature space; fps; closed: it goes on for ever, the last frame the first again (but for where the root has got to)."""

    rotations: Array
    locations: Array
    fps: float
    closed: bool = False


@dataclass(frozen=True, eq=False)
class Track:
    """Keys of one bone's rotation or place: frames (k,), counted from 0; values (k, c); slopes (k, c) a frame."""

    frames: Array
    values: Array
    slopes: Array


@dataclass(frozen=True, eq=False)
class Keys:
    """turns: a track of quaternions for each bone; places: the root's, in armature space."""

    turns: list[Track]
    places: Track

    @property
    def count(self) -> int:
        """Of all keys: one of a bone counts once, whatever its channels."""
        return sum(len(track.frames) for track in self.turns) + len(self.places.frames)


@dataclass(eq=False)
class Channel:
    """Values (t, c) a frame, the frames that have keys, and the curve (t, c) through them: fitted window by window, so that the time it
    takes grows with the motion's length and not with its cube."""

    values: Array
    closed: bool
    marks: Array = field(init=False)
    curve: Array = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.values)
        self.still = count == 1 or float(np.ptp(self.values, axis=0).max()) <= NOTHING
        self.steps = slopes_of(self.values)
        if self.closed and count > 2:
            self.steps[[0, -1]] = (self.steps[:1] + self.steps[-1:]) / 2
        number = 1 if self.closed or self.still else max(1, round((count - 1) / WINDOW))
        self.edges = np.round(np.linspace(0, count - 1, number + 1)).astype(int)
        self.marks = np.zeros(count, bool)
        self.marks[0 if self.still else self.edges] = True
        self.curve = np.repeat(self.values[:1], count, 0)
        self.along = np.zeros_like(self.values)
        if not self.still:
            self.fit(range(number))

    def mark(self, frames: Sequence[int]) -> None:
        """Set keys at these frames, and fit all of their windows."""
        self.marks[frames] = True
        ends = np.searchsorted(self.edges[1:-1], frames, "right").tolist()
        self.fit(sorted(set(ends)))

    @property
    def track(self) -> Track:
        keys = np.flatnonzero(self.marks)
        return Track(keys, self.curve[keys], self.along[keys])

    def fit(self, windows: Iterable[int]) -> None:
        """Values and slopes of the marked frames that come nearest to all frames."""
        for window in windows:
            first, last = self.edges[window : window + 2]
            keys = np.flatnonzero(self.marks[first : last + 1])
            span = slice(first, last + 1)
            self.curve[span], self.along[first + keys] = fitted(self.values[span], self.steps[span], keys, self.closed)


def fitted(values: Array, steps: Array, keys: Array, closed: bool) -> tuple[Array, Array]:
    """The cubics with these keys (k,) that come nearest to values (t, c): (t, c) of them and (k, c) slopes. At the first and the last frame
    they have the values and, but for a closed motion, the slopes (t, c) that are given."""
    count, gain = len(values), np.zeros((1, values.shape[1]))
    basis = hermite_basis(count, keys)
    if closed:  # the last key is the first one, farther along by what a cycle gains
        gain = (values[-1:] - values[:1]) / (count - 1)
        basis = folded(basis, len(keys))
    wanted, slopes = values - np.arange(count)[:, None] * gain, (steps - gain)[keys]
    unknown = basis.shape[1] // 2
    weights = np.ones(count)
    weights[[0, -1]] = FIRM
    ease = np.full(unknown, EASE)
    if not closed:
        ease[[0, -1]] = FIRM
    square = basis.T @ (weights[:, None] * basis)
    square[np.arange(unknown, 2 * unknown), np.arange(unknown, 2 * unknown)] += ease
    side = basis.T @ (weights[:, None] * wanted)
    side[unknown:] += ease[:, None] * slopes[:unknown]
    solved = np.linalg.solve(square, side)
    along = solved[unknown:]
    if closed:
        along = np.concatenate([along, along[:1]])
    return basis @ solved + np.arange(count)[:, None] * gain, along + gain


def hermite_basis(count: int, keys: Array) -> Array:
    """(count, 2 k): what each key's value, and each key's slope a frame, adds to every frame."""
    frames = np.arange(count)
    stretch = np.clip(np.searchsorted(keys, frames, "right") - 1, 0, len(keys) - 2)
    first = keys[stretch]
    width = keys[stretch + 1] - first
    share = (frames - first) / width
    basis = np.zeros((count, 2 * len(keys)))
    one = np.ones(count)
    basis[frames, stretch] = hermite(one, 0 * one, 0 * one, 0 * one, share)
    basis[frames, stretch + 1] = hermite(0 * one, one, 0 * one, 0 * one, share)
    basis[frames, len(keys) + stretch] = width * hermite(0 * one, 0 * one, one, 0 * one, share)
    basis[frames, len(keys) + stretch + 1] = width * hermite(0 * one, 0 * one, 0 * one, one, share)
    return basis


def folded(basis: Array, count: int) -> Array:
    """The basis of `count` keys of which the last is the first again."""
    basis = basis.copy()
    basis[:, [0, count]] += basis[:, [count - 1, 2 * count - 1]]
    return np.delete(basis, [count - 1, 2 * count - 1], 1)


def turned_by(first: Array, second: Array) -> Array:
    """Quaternions (..., 4), of any length and near each other -> (...,) radians from one to the other."""
    a = first / np.linalg.norm(first, axis=-1, keepdims=True)
    b = second / np.linalg.norm(second, axis=-1, keepdims=True)
    chord = np.minimum(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    return 4 * np.arcsin(np.minimum(chord / 2, 1))


def away_by(first: Array, second: Array) -> Array:
    """(..., 3) -> (...,) distances."""
    return np.linalg.norm(first - second, axis=-1)


def thin(channel: Channel, allowed: float, off: Callable[[Array, Array], Array]) -> None:
    """Mark frames until none is off by more than `allowed`. off: how far two values differ."""
    while not channel.still:
        late = peaks(off(channel.curve, channel.values) - max(allowed, NOTHING), channel.marks)
        if not late:
            return
        channel.mark(late)


def peaks(over: Array, marks: Array | None = None) -> list[int]:
    """(t,) -> the highest frame of every stretch over 0; of frames that are marked already the nearest that is not."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], over > 0, [False]]).astype(np.int8)))
    found = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        worst = int(start + over[start:end].argmax())
        if marks is not None and marks[worst]:
            free = np.flatnonzero(~marks)
            if not len(free):
                continue
            worst = int(free[np.abs(free - worst).argmin()])
        found.append(worst)
    return found


def reduce_keys(rig: Rig, moves: Moves, tolerance: Tolerance) -> Keys:
    """The keys that hold the motion within the tolerance."""
    turns = [Channel(moves.rotations[:, bone].astype(np.float64), moves.closed) for bone in range(len(rig.names))]
    places = Channel(moves.locations.astype(np.float64), moves.closed)
    for channel in turns:
        thin(channel, tolerance.angle, turned_by)
    thin(places, tolerance.place * STANDING_SHARE, away_by)
    feet = feet_of(rig)
    if feet and len(moves.rotations) > 2:
        hold_feet(rig, moves, tolerance, feet, turns, places)
    return Keys([channel.track for channel in turns], places.track)


def every_key(moves: Moves) -> Keys:
    """A key a frame; of what never changes one."""
    channels = [*(moves.rotations[:, bone] for bone in range(moves.rotations.shape[1])), moves.locations]
    tracks = []
    for values in channels:
        still = not np.ptp(values, axis=0).any()
        frames = np.arange(1 if still else len(values))
        tracks.append(Track(frames, values[frames], slopes_of(values)[frames]))
    return Keys(tracks[:-1], tracks[-1])


def feet_of(rig: Rig) -> list[int]:
    """The bones whose tips stand on the ground."""
    return [bone for bone, name in enumerate(rig.names) if name.partition(".")[0] in FOOT_STEMS]


def hold_feet(rig: Rig, moves: Moves, tolerance: Tolerance, feet: list[int], turns: list[Channel], places: Channel) -> None:
    """Mark further keys until every foot is where the motion has it, the nearer while it stands."""
    wanted, meant = tips_of(rig, moves.rotations, moves.locations, feet)
    allowed = np.where(standing(rig, moves, wanted, meant[:, feet], feet), tolerance.place * STANDING_SHARE, tolerance.place) + NOTHING
    chains = [[foot, *rig.ancestors(foot)] for foot in feet]
    for _ in range(len(moves.rotations) * len(turns)):  # every round sets a key at least
        drawn = np.stack([channel.curve for channel in turns], 1)
        tips, joints = tips_of(rig, drawn, places.curve, feet)
        late = [(foot, frame) for foot in range(len(feet)) for frame in peaks(away_by(tips[:, foot], wanted[:, foot]) - allowed[:, foot])]
        if not late:
            return
        lost, strayed = turned_by(drawn, moves.rotations), away_by(places.curve, moves.locations)
        fresh: dict[Channel, list[int]] = {}
        for foot, frame in late:
            blamed = [(lost[frame, bone] * float(away_by(joints[frame, bone], wanted[frame, foot])), turns[bone]) for bone in chains[foot]]
            blamed.append((float(strayed[frame]), places))
            able = [(part, channel) for part, channel in blamed if not channel.still and not channel.marks.all()]
            most = max((part for part, _ in able), default=0.0)
            for part, channel in able:
                if part >= BLAME * most:
                    fresh.setdefault(channel, []).extend(peaks(np.arange(len(strayed)) == frame, channel.marks))
        if not fresh:
            return
        for channel, frames in fresh.items():
            channel.mark(frames)


def tips_of(rig: Rig, rotations: Array, locations: Array, feet: list[int]) -> tuple[Array, Array]:
    """-> (t, n, 3) tips of these bones and (t, b, 3) joints of all, armature space."""
    poses = pose_clip(rig, "", 1.0, rotations, locations).poses
    assert rig.tails is not None
    lengths = np.linalg.norm(rig.tails[feet] - rig.heads[feet], axis=1)
    ends = poses[:, feet]
    return ends[..., :3, 3] + ends[..., :3, 1] * lengths[:, None], poses[:, :, :3, 3]


def leg_length(rig: Rig, feet: list[int]) -> float:
    """Mean height of the legs' first joints, four bones up with the foot's own, over the tips."""
    assert rig.tails is not None
    hips = [([foot, *rig.ancestors(foot)] + [0] * LEG_BONES)[LEG_BONES - 1] for foot in feet]
    return max(float(np.mean((rig.heads[hips] - rig.tails[feet]) @ rig.up)), NOTHING)


def standing(rig: Rig, moves: Moves, tips: Array, knuckles: Array, feet: list[int]) -> Array:
    """(t, n) which feet stand when. tips, knuckles (t, n, 3)."""
    assert rig.tails is not None
    if len(tips) < 2:
        return np.ones(tips.shape[:2], bool)
    seconds = np.arange(len(tips)) / moves.fps
    body = (moves.locations[-1] - moves.locations[0]) / seconds[-1]
    legs = Feet(tips, knuckles, rig.tails[feet] @ rig.up, body, np.zeros(3), rig.up, leg_length(rig, feet))
    return find_gait(legs, Lap(seconds), ground=np.zeros(3))[1]
