"""Who is who in the box of an animal that is followed: its islands, parts of it that come out from behind something, other animals.

All arrays are (h, w) of the box. An island is connected over corners.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from scipy import ndimage

from backend.observe.looks import RIM, Bools
from backend.observe.mask import LEVEL
from backend.types import FloatArray, Mask

PART = 0.3
"""Share of an island that was the animal's, from which it is."""
PART_SHARE, OTHER_SHARE = 0.015, 0.08
"""Of the animal's area: a new thing of less is no part that comes out from behind something, and no other animal."""
OWN_COLOURS = 0.3
"""Mean odds of its colours from which what comes into sight near the animal is a part of it."""
APART = 2.0
"""Pixels a frame by which two animals must move apart for their motion to tell them apart."""
GROWTH = 0.08
"""Of the animal's length: how far from where the flow carries it a part of it may come up in one frame."""


def reachable(carried: Bools, length: float) -> Bools:
    """Where the animal can have got to within a frame, beside where the flow says that it went."""
    reach = 2 * int(GROWTH * length) + 5
    return np.asarray(cv2.dilate(carried.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 0)


def choose(odds: FloatArray, carried: Mask) -> Bools:
    """Of islands of what is likely those that are this animal: what was it, where the last mask was carried to."""
    labels, count = ndimage.label(odds > 0, structure=np.ones((3, 3), int))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    known = np.bincount(labels.ravel(), weights=(carried > LEVEL).ravel(), minlength=count + 1)
    known[0] = 0
    mine = (known >= PART * sizes) & (known > 0)
    mine[int(known.argmax())] |= known.max() > 0
    return np.asarray(mine[labels])


def _islands(rest: Bools) -> Iterator[tuple[tuple[slice, slice], Bools]]:
    """Where each island is, and which of the pixels there are its."""
    labels, _ = ndimage.label(rest, structure=np.ones((3, 3), int))
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        yield place, labels[place] == number


def _beyond(animal: Bools, chosen: Bools) -> Bools:
    return animal & ~ndimage.binary_dilation(chosen, iterations=RIM)


def _enters(place: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
    """Whether an island reaches the edge of the box."""
    rows, columns = place
    return rows.start == 0 or columns.start == 0 or rows.stop == shape[0] or columns.stop == shape[1]


def tell_by_motion(moved: FloatArray, mine: Bools, others: Bools) -> FloatArray:
    """(h, w) in [-1, 1]: positive where a pixel moves as this animal, negative where as the others; 0 where both move alike.

    moved: (h, w, 2) flow; mine, others: where they are.
    """
    if not mine.any() or not others.any():
        return np.zeros(mine.shape, np.float32)
    own, other = np.median(moved[mine], 0), np.median(moved[others], 0)
    apart = float(np.linalg.norm(own - other))
    if apart < APART:
        return np.zeros(mine.shape, np.float32)
    nearer = np.linalg.norm(moved - other, axis=-1) - np.linalg.norm(moved - own, axis=-1)
    return np.asarray(np.clip(nearer / apart, -1, 1), np.float32)


def regain(rest: Bools, chosen: Bools, others: Bools, colours: FloatArray, usual: float) -> Bools:
    """What comes out from behind something and is this animal's: of its colours, and first seen within the box.

    rest: what else was seen; colours: odds that a pixel's colour is the animal's; usual: its area.
    """
    regained = np.zeros_like(chosen)
    for place, island in _islands(_beyond(rest, chosen)):
        if not _enters(place, rest.shape) and island.sum() >= PART_SHARE * usual and not (others[place] & island).any():
            regained[place] |= island & bool(colours[place][island].mean() >= OWN_COLOURS)
    return regained


def find_rivals(animal: Bools, chosen: Bools, others: Bools, usual: float) -> Bools:
    """What else is an animal: new ones, which come in over the edge of the box, and more of those that are known."""
    rivals = np.zeros_like(chosen)
    for place, island in _islands(_beyond(animal, chosen)):
        size = island.sum()
        new = size >= OTHER_SHARE * usual and _enters(place, animal.shape)
        if new or (others[place] & island).sum() >= PART * size:
            rivals[place] |= island
    return rivals


def drop_scraps(others: Bools, chosen: Bools, usual: float) -> Bools:
    """Other animals without what has stuck to this one after they parted: small islands that touch it are its own."""
    kept = others.copy()
    touching = ndimage.binary_dilation(chosen, iterations=2 * RIM)
    for place, island in _islands(others):
        if island.sum() < OTHER_SHARE * usual and (touching[place] & island).any():
            kept[place] &= ~island
    return kept
