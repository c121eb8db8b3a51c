"""The stretch of a clip that one motion is made of: the longest in which the animal is seen.

Enters a clip and the track of its animal; leaves the same of the stretch, counted from 0, and what the person should know in seconds of the
clip. A gap in which the animal was lost for a moment and found again is bridged: it belongs to the stretch, unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backend.errors import MenagerieError
from backend.types import Clip, FloatArray, Image, Mask

BRIDGED_SECONDS = 1.0
"""The longest gap that is bridged."""
FEWEST_FRAMES = 2
LOOK_AGAIN = "Choose a stretch in which one animal is clearly seen, or give masks of it."

Flags = NDArray[np.bool_]


class Track(Protocol):
    """What is known of the animal: `observe.tracking.Track`. visible: (t,); read_mask: k -> (h, w) in [0, 1]; background: (t, 3, 3)
    homographies from the first frame's background to each frame's, or None; warnings: sentences."""

    @property
    def visible(self) -> Flags: ...
    @property
    def read_mask(self) -> Callable[[int], Mask]: ...
    @property
    def background(self) -> FloatArray | None: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Stretch:
    """clip, visible, mask, background: as of `Track`, counted from the stretch's first frame; warnings: sentences."""

    clip: Clip
    visible: Flags
    mask: Callable[[int], Mask]
    background: FloatArray | None
    warnings: tuple[str, ...]


def longest_stretch(clip: Clip, track: Track) -> Stretch:
    """Raises `no_animal` where the animal is seen in fewer than two frames."""
    visible = np.asarray(track.visible, bool)
    runs = bridge(visible_runs(visible), round(BRIDGED_SECONDS * clip.fps))
    seen = [int(visible[first:end].sum()) for first, end in runs]
    if not runs or max(seen) < FEWEST_FRAMES:
        raise MenagerieError("no_animal", "No animal was found in the clip.", LOOK_AGAIN)
    first, end = runs[int(np.argmax(seen))]  # of two as long, the earlier
    moments = clip.times, 1 / clip.fps
    said = [f"The animal is out of sight from {spell(*moments, *gap)}; how it moves there is guessed." for gap in gaps(visible, first, end)]
    if len(runs) > 1:
        places = " and from ".join(spell(*moments, *run) for run in runs)
        said.append(f"The animal is seen from {places}; the longest stretch, from {spell(*moments, first, end)}, was used.")
    elif (first, end) != (0, len(visible)):
        said.append(f"The animal is seen from {spell(*moments, first, end)} only; the motion is of that.")
    background = None if track.background is None else track.background[first:end] @ np.linalg.inv(track.background[first])
    return Stretch(
        part_of(clip, first, end), visible[first:end], lambda k: track.read_mask(first + k),
        None if background is None else np.asarray(background, np.float32), tuple(said),
    )  # fmt: skip


def part_of(clip: Clip, first: int, end: int) -> Clip:
    """The frames from `first` up to `end`."""

    def read(k: int) -> Image:
        if not 0 <= k < end - first:
            raise IndexError(f"the clip has no frame {k}")
        return clip.read(first + k)

    return replace(clip, times=clip.times[first:end], numbers=clip.numbers[first:end], read=read)


def visible_runs(visible: Flags) -> list[tuple[int, int]]:
    """(first, end) of each run of frames with the animal in it."""
    steps = np.diff(np.concatenate([[0], visible.astype(np.int8), [0]]))
    return list(zip(np.nonzero(steps == 1)[0].tolist(), np.nonzero(steps == -1)[0].tolist(), strict=True))


def gaps(visible: Flags, first: int, end: int) -> list[tuple[int, int]]:
    """The same of the frames without it, within a stretch."""
    return [(first + a, first + b) for a, b in visible_runs(~visible[first:end])]


def bridge(runs: list[tuple[int, int]], longest: int) -> list[tuple[int, int]]:
    """Runs with at most `longest` frames between them become one."""
    joined: list[tuple[int, int]] = []
    for first, end in runs:
        if joined and first - joined[-1][1] <= longest:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((first, end))
    return joined


def spell(times: NDArray[np.float64], step: float, first: int, end: int) -> str:
    """The seconds of a run of frames."""
    return f"{times[first]:.2f} to {times[end - 1] + step:.2f} seconds"
