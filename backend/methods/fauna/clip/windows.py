"""A long clip in overlapping windows: as much memory as one of them takes, however long the clip.

Enters: a rough track of all frames, and what makes one window's smooth. Leaves: the smooth track. A window begins in the last one's end and
keeps its first frames where they are; what it came to is stored, so that an interrupted clip goes on at the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.methods.fauna.clip.stored import load_arrays, store_arrays
from backend.methods.fauna.clip.track import Track

WINDOW, OVERLAP = 96, 24
"""Frames."""
HELD = 20.0
"""Weight of squared radians, axes and object units from what the last window left."""
FIELDS = ("rotation", "translation", "angles", "rest")

Solve = Callable[[slice, Track, Track | None], Track]
"""A window's frames, its rough track, and the last window's of its first frames, which are to be kept."""


def windows(count: int) -> list[slice]:
    """Of so many frames, each OVERLAP frames into the last; a clip hardly longer than a window is one."""
    if count <= WINDOW + OVERLAP:
        return [slice(0, count)]
    starts = range(0, count - OVERLAP, WINDOW - OVERLAP)
    return [slice(start, min(start + WINDOW, count)) for start in starts if start == 0 or count - start > OVERLAP]


def by_windows(track: Track, solve: Solve, folder: Path, name: str, what: str) -> Track:
    """One window after another. name: of the files in `folder`; what: says what else the result depends on."""
    parts = windows(len(track.angles))
    if len(parts) == 1:
        return solve(parts[0], track, None)
    done: Track | None = None
    for part in parts:
        rough = track[part]
        held = None if done is None else done[slice(part.start, None)]
        path, key = folder / f"{name}-{part.start:05d}.npz", digest(what, rough, held)
        solved = load(path, key)
        if solved is None:
            solved = solve(part, rough, held)
            store(path, solved, key)
        if done is None:
            done = solved
        else:
            kept = part.start + OVERLAP // 2
            rotation, translation, angles = (
                torch.cat([getattr(done, field)[:kept], getattr(solved, field)[OVERLAP // 2 :]]) for field in FIELDS[:3]
            )
            done = Track(rotation, translation, angles, solved.rest)
    assert done is not None
    return done


def kept_near(held: Track | None, angles: Tensor, view: Tensor, place: Tensor) -> Tensor:
    """() of a window's angles (t, n, 3), view (t, 3, 3) and place (t, 3), of which the first frames are to be kept."""
    if held is None:
        return torch.zeros(())
    count = len(held.angles)
    gaps = (angles[:count] - held.angles, view[:count] - held.rotation, place[:count] - held.translation)
    return HELD * torch.stack([gap.square().sum() for gap in gaps]).sum()


def digest(what: str, *tracks: Track | None) -> str:
    """Of everything that a window's result depends on."""
    mark = hashlib.sha256(what.encode())
    for track in tracks:
        for field in FIELDS:
            mark.update(b"" if track is None else getattr(track, field).contiguous().numpy().tobytes())
    return mark.hexdigest()


def store(path: Path, track: Track, key: str) -> None:
    """Whole or not at all."""
    store_arrays(path, {"key": np.array(key), **{field: getattr(track, field).numpy() for field in FIELDS}})


def load(path: Path, key: str) -> Track | None:
    """What `store` wrote under this key; None where it is something else, damaged or not there."""
    arrays = load_arrays(path, {"key", *FIELDS})
    if arrays is None or str(arrays["key"]) != key:
        return None
    return Track(*(torch.from_numpy(arrays[field]) for field in FIELDS))
