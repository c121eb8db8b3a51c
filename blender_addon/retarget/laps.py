"""How a clip's frames follow each other: once, or round and round.

A clip goes round where its last frame is the first again, or where the frame after its last one would be: exporters of games leave
that frame out, and one or two before it. What is done over time (speeds, runs, smoothing, filling) then knows no ends. Arrays of
`count` frames, those that differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rotations import Array

LOOP_ANGLE = np.radians(4.0)
"""Mean difference of the first and the last frame's turns at which they may be one."""
SAME_FRAME = 0.1
"""Of the mean difference of neighbouring frames, below which two frames are one."""
LARGEST_GAP = 3
"""Frames from the last to the first at most, where the first is left out at the end."""
FEWEST = 8
"""Frames of a clip that may go round without saying so by its last."""
THERE_AND_BACK = 1.4
"""How much further from the first frame than the last one is the clip must get, to be one that has come back."""
EASE_SECONDS = 0.25
"""How long a correction takes to fade where a clip that doesn't go round begins or ends."""


@dataclass(frozen=True, eq=False)
class Lap:
    """seconds (count,): of each frame; period: after which the first comes again, None where it doesn't; closed: the clip's last frame,
    not among these, is the first again."""

    seconds: Array
    period: float | None = None
    closed: bool = False

    @property
    def count(self) -> int:
        """Frames that differ."""
        return len(self.seconds)

    @property
    def round(self) -> bool:
        """Whether it begins again."""
        return self.period is not None

    @property
    def step(self) -> float:
        """Seconds from frame to frame."""
        return float(np.median(np.diff(self.seconds))) if self.count > 1 else 1.0

    def cut(self, values: Array) -> Array:
        """(t, ...) of the clip -> (count, ...)."""
        return values[: self.count]

    def whole(self, values: Array) -> Array:
        """(count, ...) -> (t, ...) of the clip."""
        return np.concatenate([values, values[:1]]) if self.closed else values

    def speeds(self, points: Array, advance: Array) -> Array:
        """(count, k, 3) -> lengths a second. advance (3,): how much further the clip is with every round."""
        if self.count < 2:
            return points * 0.0
        if self.period is None:
            return np.asarray(np.gradient(points, self.seconds, axis=0))
        around = np.concatenate([points[-1:] - advance, points, points[:1] + advance])
        times = np.concatenate([[self.seconds[-1] - self.period], self.seconds, [self.seconds[0] + self.period]])
        return (around[2:] - around[:-2]) / (times[2:] - times[:-2]).reshape(-1, *[1] * (points.ndim - 1))

    def runs(self, flags: Array) -> list[tuple[int, int]]:
        """(count,) bool -> (start, length) of every stretch of True; one that never ends starts at 0, one over the seam is one."""
        if flags.all():
            return [(0, len(flags))] if len(flags) else []
        before = np.roll(flags, 1)
        if not self.round:
            before[0] = False
        lengths = [int(np.argmin(np.append(np.roll(flags, -start)[: None if self.round else len(flags) - start], False)))
                   for start in np.flatnonzero(flags & ~before)]  # fmt: skip
        return list(zip(np.flatnonzero(flags & ~before).tolist(), lengths, strict=True))

    def frames(self, start: int, length: int) -> Array:
        """(length,) of a run."""
        return (start + np.arange(length)) % self.count

    def rounds(self, start: int, length: int) -> Array:
        """(length,) how often the clip has begun anew in each frame of a run."""
        return (start + np.arange(length)) // self.count

    def times(self, start: int, length: int) -> Array:
        """(length,) seconds of each frame of a run, going on over the seam."""
        return self.seconds[self.frames(start, length)] + self.rounds(start, length) * (self.period or 0.0)

    def smooth(self, values: Array, sigma: float) -> Array:
        """(count,) weighted over time by a bell of sigma seconds."""
        half = int(np.clip(np.ceil(3 * sigma / self.step), 1, 4 * self.count))
        bell = np.exp(-0.5 * (np.arange(-half, half + 1) * self.step / max(sigma, 1e-9)) ** 2)
        return np.convolve(self.around(values, half), bell / bell.sum(), "valid")

    def widest(self, values: Array, width: float) -> Array:
        """(count,) -> the largest within `width` seconds of each frame, smoothed so that it is nowhere less than the value itself."""
        half = int(np.clip(round(width / self.step), 1, 4 * self.count))
        highest = np.lib.stride_tricks.sliding_window_view(self.around(values, 2 * half), 2 * half + 1).max(1)
        bell = np.hanning(2 * half + 3)[1:-1]
        return np.convolve(highest, bell / bell.sum(), "valid")

    def around(self, values: Array, width: int) -> Array:
        """(count,) with `width` frames more on both sides."""
        return np.pad(values, width, mode="wrap" if self.round else "edge")

    def filled(self, values: Array, known: Array, none: Array) -> Array:
        """(count, k) where known (count,), between those eased from the one to the next, before the first and after the last faded to
        `none` (k,), or round and round."""
        out = np.tile(none, (self.count, 1)).astype(float)
        stretches = self.runs(known)
        if not stretches:
            return out
        for start, length in stretches:
            frames = self.frames(start, length)
            out[frames] = values[frames]
        for start, length in self.runs(~known):
            frames = self.frames(start, length)
            times = self.times(start, length)
            if self.round or (start > 0 and start + length < self.count):
                first, last = frames[0] - 1, (frames[-1] + 1) % self.count
                begin = self.times(start - 1, 1)[0] if start else self.seconds[-1] - (self.period or 0.0)
                end = self.times(start + length, 1)[0]
                share = eased((times - begin) / (end - begin))[:, None]
                out[frames] = out[first] * (1 - share) + out[last] * share
            elif start == 0:
                share = eased((self.seconds[length] - times) / EASE_SECONDS)[:, None]
                out[frames] = out[length] * (1 - share) + none * share
            else:
                share = eased((times - self.seconds[start - 1]) / EASE_SECONDS)[:, None]
                out[frames] = out[start - 1] * (1 - share) + none * share
        return out


def find_lap(turns: Array, seconds: Array, travels: bool, loop: bool | None) -> Lap:
    """turns (t, b, 3, 3) of the source; travels: its body gets somewhere; loop: the last frame is the first again, None to find out."""
    once = Lap(seconds)
    if loop is False or len(turns) < 4:
        return once
    closed = Lap(seconds[:-1], float(seconds[-1] - seconds[0]), True)
    if loop:
        return closed
    seam = angles(turns[:1], turns[-1:])[0]
    steps = angles(turns[1:], turns[:-1])
    if seam < LOOP_ANGLE and seam < SAME_FRAME * steps.mean():
        return closed
    beside = (steps[0] + steps[-1]) / 2
    away = angles(turns[:1], turns).max()
    if travels or len(turns) < FEWEST or seam > (LARGEST_GAP + 0.5) * beside or away < THERE_AND_BACK * seam:
        return once
    gap = max(round(float(seam / beside)), 1)
    return Lap(seconds, float(seconds[-1] - seconds[0] + gap * np.median(np.diff(seconds))))


def angles(first: Array, second: Array) -> Array:
    """(t, b, 3, 3) twice -> (t,) mean angle between the bones' turns."""
    cosine = (np.einsum("tbij,tbij->tb", np.broadcast_to(first, second.shape) if len(first) == 1 else first, second) - 1) / 2
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)).mean(1))


def eased(share: Array) -> Array:
    """0..1 -> 0..1 with no speed at either end."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)
