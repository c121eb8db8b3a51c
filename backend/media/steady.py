"""Which frames of a clip are kept: a range of seconds at a steady rate.

Enter the times of all frames, in seconds from the first; leave their numbers and the rate. A clip whose frames stand on a steady grid keeps
them as they are; one with a variable rate, or one that is asked for another rate, gives the nearest frame by time at each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.errors import MenagerieError
from backend.media.frame_store import MOST_FRAMES
from backend.types import IntArray

Times = NDArray[np.float64]

USUAL_RATES = (10.0, 12.0, 12.5, 15.0, 20.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 48.0, 50.0, 60000 / 1001, 60.0, 100.0, 120.0)
"""A measured rate that could be one of these is it: files that count in milliseconds know no 24 frames a second."""
ON_GRID = 0.3
"""Share of a frame's length by which a frame may stand beside a steady grid."""
ROUNDING = 0.0011
"""Seconds by which a time may be rounded."""
NEAR_RATE = 0.01
"""Share by which the usual rate may differ from the commonest length of a varying clip's frames."""
LONGEST_RANGE = 600.0
"""Seconds."""
EDGE = 1e-4
"""Seconds: a frame at the range's very start is in it, one at its end is not."""


@dataclass(frozen=True)
class Choice:
    """numbers: (t,) of the frames kept, never falling; fps: their rate; warnings: sentences."""

    numbers: IntArray
    fps: float
    warnings: tuple[str, ...] = ()


def source_rate(times: Times, named: float | None) -> tuple[float, bool]:
    """-> frames a second, and whether the frames stand on a steady grid. times: (n >= 2,); named: the rate that the file names."""
    spans, gaps = np.arange(len(times)), np.diff(times)
    length = float(times[-1] - times[0])
    if length > 0:
        step = length / (len(times) - 1)
        if np.abs(times - times[0] - spans * step).max() <= max(ON_GRID * step, ROUNDING):
            usual = [rate for rate in ((named,) if named else ()) + USUAL_RATES if abs((len(times) - 1) / rate - length) <= ROUNDING]
            return (usual[0] if named and usual and usual[0] == named else _nearest(usual, 1 / step)), True
    middle = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.1
    return _nearest([rate for rate in USUAL_RATES if abs(rate * middle - 1) <= NEAR_RATE], 1 / middle), False


def _nearest(rates: list[float], measured: float) -> float:
    return min(rates, key=lambda rate: abs(rate - measured), default=measured)


def choose_frames(
    times: Times, length: float, *, start: float = 0.0, end: float | None = None, fps: float | None = None, stride: int = 1,
    named: float | None = None,
) -> Choice:  # fmt: skip
    """The frames from `start` up to `end` (seconds) at `fps`, at most the clip's own rate, and of these each `stride`-th.

    times: (n,) seconds, rising; length: seconds of the whole clip. Raises `clip_too_short` for fewer than two frames, `clip_too_long`.
    """
    last = length if end is None else min(end, length)
    if len(times) < 2:
        raise MenagerieError("clip_too_short", "The clip has one frame only.")
    rate, steady = source_rate(times, named)
    warnings: list[str] = []
    if fps is not None and fps > rate * (1 + 1e-3):
        warnings.append(f"The clip has {rate:.5g} frames a second; {fps:.5g} were asked for, and none were made up.")
        fps = None
    if not steady:
        warnings.append(f"The clip's frame rate varies; its frames are taken at a steady {fps or rate:.5g} a second.")
    if last - start > LONGEST_RANGE:
        most = f"{LONGEST_RANGE:.0f} can be worked on at a time"
        raise MenagerieError("clip_too_long", f"The stretch has {last - start:.0f} seconds; {most}.")
    if steady and (fps is None or abs(fps / rate - 1) <= 1e-3):
        numbers = np.nonzero((times >= start - EDGE) & (times < last - EDGE))[0].astype(np.int64)
    else:
        rate = fps or rate
        first = max(start, float(times[0]))
        steps = first + np.arange(max(0, int(np.ceil((last - first) * rate - EDGE)))) / rate
        numbers = nearest_frames(times, steps)
    numbers = numbers[::stride]
    if len(numbers) < 2:
        raise MenagerieError("clip_too_short", f"The stretch has fewer than two frames; the clip is {length:.2f} seconds long.")
    if len(numbers) > MOST_FRAMES:
        raise MenagerieError("clip_too_long", f"The stretch has {len(numbers)} frames; {MOST_FRAMES} can be worked on at a time.")
    return Choice(np.asarray(numbers, np.int32), rate / stride, tuple(warnings))


def nearest_frames(times: Times, steps: Times) -> NDArray[np.int64]:
    """(s,) numbers of the frames that are nearest to each step; of two as near, the earlier."""
    after = np.clip(np.searchsorted(times, steps), 1, len(times) - 1)
    nearest: NDArray[np.int64] = np.where(times[after] - steps < steps - times[after - 1] - 1e-6, after, after - 1)
    return nearest
