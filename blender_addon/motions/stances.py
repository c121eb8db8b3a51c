"""When feet stand and where: circular runs of contacts, and the shifts that keep a standing foot on its spot. numpy.

One cycle of t frames in Blender's frame, run in place: the animal faces -Y, so what stands moves toward +Y.
"""

from __future__ import annotations

import numpy as np

from ..scene.asset_file import Array


def runs(marks: Array) -> list[tuple[int, int]]:
    """(t,) circular marks -> (start, length) of every run; one that never ends starts at 0."""
    if marks.all():
        return [(0, len(marks))]
    starts = np.flatnonzero(marks & ~np.roll(marks, 1))
    return [(int(start), int(np.argmin(np.roll(marks, -start)))) for start in starts]


def resampled_contacts(contacts: Array, count: int) -> Array:
    """(t, k) -> (count, k), of the nearest frame."""
    return np.asarray(contacts[np.round(np.arange(count) * (len(contacts) / count)).astype(int) % len(contacts)])


def forward_step(tips: Array, contacts: Array) -> float:
    """Tips (t, k, 3) and contacts (t, k) -> how far the animal gets on in a frame, so that standing feet slide least."""
    steps = np.roll(tips[..., 1], -1, 0) - tips[..., 1]
    both = contacts & np.roll(contacts, -1, 0)
    return float(steps[both].mean()) if both.any() else 0.0


def shifts(tips: Array, contacts: Array, step: float, grounds: Array) -> Array:
    """Tips (t, k, 3), contacts (t, k), forward step a frame, heights of the ground under each tip (k,) -> (t, k, 3) to add to the tips.

    Through a stance a foot stays where it stood on the mean, on the ground; between two stances the shift goes smoothly over.
    """
    count = len(tips)
    moved = np.zeros_like(tips)
    for foot in range(tips.shape[1]):
        known = contacts[:, foot]
        for start, length in runs(known):
            frames = (start + np.arange(length)) % count
            spots = tips[frames, foot] - np.outer(np.arange(length) * step, (0, 1, 0))
            spots[:, 2] = tips[frames, foot, 2]
            middle = spots.mean(0)
            middle[2] = grounds[foot]
            moved[frames, foot] = middle - spots
        if known.any() and not known.all():
            for start, length in runs(~known):
                before, after = moved[start - 1, foot].copy(), moved[(start + length) % count, foot].copy()
                share = (np.arange(length) + 1) / (length + 1)
                eased = (share * share * (3 - 2 * share))[:, None]
                moved[(start + np.arange(length)) % count, foot] = before + eased * (after - before)
    return moved


def lifted(contacts: Array) -> Array:
    """(t, k) contacts -> (t, k): 0 while a foot stands, rising to 1 in the middle of its swing; 1 where it never stands."""
    count = len(contacts)
    high = np.zeros(contacts.shape)
    for foot in range(contacts.shape[1]):
        for start, length in runs(~contacts[:, foot]) if not contacts[:, foot].all() else ():
            share = (np.arange(length) + 1) / (length + 1)
            high[(start + np.arange(length)) % count, foot] = np.sin(np.pi * share) if length < count else 1.0
    return high
