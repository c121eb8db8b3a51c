"""When feet stand in one cycle: circular runs of contacts, and contacts at another rate. numpy."""

from __future__ import annotations

import numpy as np

from ..retarget.laps import Lap
from ..scene.asset_file import Array


def runs(marks: Array) -> list[tuple[int, int]]:
    """(t,) circular marks -> (start, length) of every run; one that never ends starts at 0."""
    return Lap(np.arange(len(marks), dtype=float), float(len(marks))).runs(marks)


def resampled_contacts(contacts: Array, count: int) -> Array:
    """(t, k) -> (count, k), of the nearest frame."""
    return np.asarray(contacts[np.round(np.arange(count) * (len(contacts) / count)).astype(int) % len(contacts)])
