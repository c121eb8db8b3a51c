"""What a clip says of its gait: where it loops, how fast the animal travels, which foot stands when.

Enters: posed points or feet over one cycle, object frame (+Y up, heading +Z), any unit of length; the clip runs in place, as a
game's clips do. Leaves: an exact loop, the speed that lets feet that stand stay where they are, and contacts. A cycle of t frames
is circular: frame t is frame 0 again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Array = NDArray[np.float64]

LARGEST_GAP = 3
"""Exporters leave out the frame that equals the first, and some one or two before it: frames from the last to the first at most."""
LOW = 0.04
"""A foot whose tip is less than this above its ground may stand, body lengths."""
BACKWARD = 0.3
"""Share of the speed at which a foot that stands must move backward, at least: what rolls over its tip moves slowly."""
AS_THE_GROUND = 0.4
"""Share of the speed by which a tip's may differ from it and still be the ground's."""
STILL = 0.12
"""Speed below which a foot of an animal that travels nowhere stands, body lengths a second."""
SHORTEST_STANCE, LONGEST_BREAK = 0.08, 0.06
"""Shares of a cycle: shorter contacts are none, shorter breaks of one neither."""
ROUNDS = 6
"""Speed and contacts are found in turn; they settle sooner."""


def close_loop(points: Array, frames: int) -> tuple[Array, float]:
    """(n, p, 3) points of a clip -> (frames, p, 3) of one exact cycle, and how many of the clip's frames a cycle takes.

    The frames that the file leaves out between its last and its first are filled by a periodic cubic spline, which also
    resamples. Raises ValueError on fewer than four frames.
    """
    if len(points) < 4:
        raise ValueError(f"a loop needs four frames or more, not {len(points)}")
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(1)
    seam = float(np.linalg.norm(points[0] - points[-1], axis=-1).mean())
    beside = max(float((steps[0] + steps[-1]) / 2), 1e-9)
    gap = int(np.clip(round(seam / beside), 1, LARGEST_GAP))
    period = float(len(points) - 1 + gap)
    times = np.append(np.arange(len(points), dtype=np.float64), period)
    curve = CubicSpline(times, np.concatenate([points, points[:1]]), bc_type="periodic")
    return np.asarray(curve(np.arange(frames) * (period / frames))), period


def find_gait(tips: Array, knuckles: Array, rest_heights: Array, seconds: float) -> tuple[float, NDArray[np.bool_]]:
    """tips, knuckles (t, k, 3) of k feet over one cycle of `seconds`, rest_heights (k,) of the tips -> forward speed, contacts (t, k).

    A foot stands while its tip is low and its knuckle moves backward, and while it rolls over a tip that moves as the ground does;
    the speed is the mean of the knuckles'.
    """
    height = tips[..., 1] - rest_heights
    backward, dragged = backward_speed(knuckles, seconds), backward_speed(tips, seconds)  # (t, k)
    low = height < level(height, backward > 0) + LOW
    speed = float(backward[low & (backward > 0)].mean()) if (low & (backward > 0)).any() else 0.0
    contacts = low
    for _ in range(ROUNDS):
        firm = low & (backward > BACKWARD * speed)
        if not firm.any():
            break
        speed = float(backward[firm].mean())
        contacts = whole_runs(firm | (low & (np.abs(dragged - speed) < AS_THE_GROUND * speed)))
    return speed, contacts


def backward_speed(points: Array, seconds: float) -> Array:
    """(t, k, 3) over one cycle -> (t, k) toward -Z, lengths a second."""
    return np.asarray((np.roll(points[..., 2], 1, 0) - np.roll(points[..., 2], -1, 0)) * (len(points) / seconds / 2))


def find_stands(tips: Array, rest_heights: Array, seconds: float) -> NDArray[np.bool_]:
    """Contacts (t, k) of feet of an animal that stays where it is: low and still. Arguments as in `find_gait`."""
    rate = len(tips) / seconds
    height = tips[..., 1] - rest_heights
    moved = np.linalg.norm(np.roll(tips, -1, 0) - np.roll(tips, 1, 0), axis=-1) * (rate / 2)
    return whole_runs((height < level(height, moved < STILL) + LOW) & (moved < STILL))


def level(heights: Array, may_stand: NDArray[np.bool_]) -> Array:
    """(k,) the height that each foot's tip (t, k) has on the ground: a clip's ground is not quite its rest pose's."""
    masked = np.where(may_stand, heights, np.nan)
    return np.array([np.nanmedian(column) if use.any() else column.min() for column, use in zip(masked.T, may_stand.T, strict=True)])


def whole_runs(marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(t, k) circular marks without short breaks and short runs."""
    count = len(marks)
    filled = ~without_short(~marks, int(LONGEST_BREAK * count))
    return without_short(filled, int(SHORTEST_STANCE * count))


def without_short(marks: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    """(t, k) circular marks whose runs of up to `longest` frames are taken out."""
    kept = marks.copy()
    for foot in range(marks.shape[1]):
        for start, length in runs(marks[:, foot]):
            if length <= longest:
                kept[(start + np.arange(length)) % len(marks), foot] = False
    return kept


def runs(marks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(t,) circular marks -> (start, length) of every run; one that never ends starts at 0."""
    if marks.all():
        return [(0, len(marks))]
    starts = np.flatnonzero(marks & ~np.roll(marks, 1))
    unbroken = [int(np.argmin(np.roll(marks, -start))) for start in starts]
    return [(int(start), length) for start, length in zip(starts, unbroken, strict=True)]


def stance_shifts(tips: Array, contacts: NDArray[np.bool_], speed: float, seconds: float) -> Array:
    """(t, k, 3) to add to each tip, so that through a stance it runs straight back at `speed` where on the mean it stood.

    x and z alone; heights are the caller's. In a swing the shift goes smoothly from one stance's end to the next one's start.
    """
    count = len(tips)
    shifts = np.zeros_like(tips)
    for foot in range(tips.shape[1]):
        stances = runs(contacts[:, foot])
        known = np.zeros(count, bool)
        for start, length in stances:
            frames = (start + np.arange(length)) % count
            times = np.arange(length) * (seconds / count)
            ground = tips[frames, foot] + np.stack([0 * times, 0 * times, speed * times], -1)  # where it stands on the ground
            place = ground.mean(0)
            shifts[frames, foot] = place - ground
            known[frames] = True
        if stances and not known.all():
            ease(shifts[:, foot], known)
    shifts[..., 1] = 0
    return shifts


def ease(values: Array, known: NDArray[np.bool_]) -> None:
    """Fill (t, 3) circular values between the known ones by a smooth step, in place."""
    count = len(values)
    for start, length in runs(~known):
        before, after = values[start - 1].copy(), values[(start + length) % count].copy()
        share = (np.arange(length) + 1) / (length + 1)
        step = (share * share * (3 - 2 * share))[:, None]
        values[(start + np.arange(length)) % count] = before + step * (after - before)
