"""The animal of a clip where nothing says where it is: in the first frame that shows one, and again after it was out of sight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from backend.errors import MenagerieError
from backend.observe.animal.look import look_for_animal
from backend.observe.crossing import choose
from backend.observe.following import LOOK_SURE, State, lose, start
from backend.observe.looks import Bools, box_of, copy_size, glance, look, make_copy, odds_of, part_of
from backend.observe.mask import (
    LARGEST_SHARE,
    LEVEL,
    RIVAL_SHARE,
    SMALLEST_SHARE,
    fit_edges,
    look_closely,
    look_for_subject,
    look_twice,
)
from backend.observe.refine import shrink
from backend.types import ByteArray, Mask

CUT_OFF = 0.6
"""What the area of an animal counts that the first frame doesn't show whole."""
ALIKE = 0.85
"""Likeness of colours from which an animal that comes into sight may be the one that went. Of two of the sample photos it is 0.6 in the
mean, and 0.91 at most."""
SIZES = 0.4, 2.5
"""Areas over its usual area that it may have then."""

Island = NDArray[np.int64]
"""(n, 2) row and column of each pixel."""


def find_first(rgb: ByteArray) -> tuple[Mask, bool, int]:
    """The animal of a frame in which nothing is known yet -> its mask (H, W), whether the decoder knows it, and how many stand out.

    Of several it is the largest, one that the frame cuts off counting less. rgb: (H, W, 3). Raises `no_animal`.
    """
    size = copy_size(rgb.shape[1], rgb.shape[0])
    small = np.asarray(shrink(rgb, *size), np.uint8)
    for known, see in ((True, look_closely), (False, look_for_subject)):
        islands = _find_islands(np.asarray(shrink(see(rgb), *size), np.float32))
        if not islands:
            continue
        at = _inner_point(islands[0], size)
        try:
            coarse = look_twice(rgb, size, see, see, at=at)
        except MenagerieError as refusal:
            if refusal.code != "no_animal":
                raise
            continue
        kept = _island_at(coarse, at)
        if kept.any():
            others = sum(len(other) >= RIVAL_SHARE * len(islands[0]) for other in islands[1:])
            return fit_edges(coarse, kept, small, rgb), known, 1 + others
    raise MenagerieError("no_animal", "No animal stands out in the frame.")


def find_again(state: State, rgb: ByteArray) -> tuple[Mask, State]:
    """Look for the animal in a frame after it went out of sight -> as `follow`: a thing of its colours and about its size is it."""
    small, grey = make_copy(rgb)
    see = look_for_animal if state.known else glance
    found = np.asarray(shrink(np.ascontiguousarray(see(rgb)), grey.shape[1], grey.shape[0]), np.float32)
    stranger = False
    for island in _find_islands(found):
        inside = np.zeros(grey.shape, bool)
        inside[island[:, 0], island[:, 1]] = True
        if not SIZES[0] <= len(island) / state.size.area <= SIZES[1] or state.colours.likeness(small, inside) < ALIKE:
            stranger |= not _is_cut_off(island, grey.shape)  # of an animal that is coming in there isn't enough to tell
            continue
        mask = _find_within(state, rgb, small, inside)
        if mask is not None:
            return mask, start(rgb, mask, state.known, state)
    return np.zeros(rgb.shape[:2], np.float32), lose(state, grey, np.zeros_like(grey), stranger)


def _find_within(state: State, rgb: ByteArray, small: ByteArray, inside: Bools) -> Mask | None:
    """The mask (H, W) of what a first look found. small: (h, w, 3), the copy; inside: (h, w)."""
    box = box_of(inside)
    part = part_of(box)
    coarse, kept = np.zeros(inside.shape, np.float32), np.zeros(inside.shape, bool)
    odds = odds_of(look(rgb, box, inside.shape, state.known)[0], LOOK_SURE)
    coarse[part], kept[part] = expit(odds), choose(odds, inside[part].astype(np.float32))
    return fit_edges(coarse, kept, small, rgb) if kept.sum() >= SIZES[0] * state.size.area else None


def _find_islands(found: Mask) -> list[Island]:
    """Those that are large enough for an animal, the largest first."""
    if (found > LEVEL).mean() > LARGEST_SHARE:
        return []
    labels, count = ndimage.label(found > LEVEL, structure=np.ones((3, 3), int))
    islands = [np.argwhere(labels == number) for number in range(1, count + 1)]
    large = [island for island in islands if len(island) >= SMALLEST_SHARE * found.size]
    return sorted(large, key=lambda island: len(island) * (CUT_OFF if _is_cut_off(island, found.shape) else 1.0), reverse=True)


def _is_cut_off(island: Island, shape: tuple[int, ...]) -> bool:
    """Whether it goes on beyond the frame's sides or top."""
    rows, columns = island[:, 0], island[:, 1]
    return bool(rows.min() == 0 or columns.min() == 0 or columns.max() == shape[1] - 1)


def _inner_point(island: Island, size: tuple[int, int]) -> tuple[float, float]:
    """The pixel of an island deepest inside it, as shares of the picture."""
    inside = np.zeros((size[1] + 2, size[0] + 2), bool)
    inside[island[:, 0] + 1, island[:, 1] + 1] = True
    row, column = np.unravel_index(int(ndimage.distance_transform_edt(inside).argmax()), inside.shape)
    return (float(column) - 0.5) / size[0], (float(row) - 0.5) / size[1]


def _island_at(coarse: Mask, at: tuple[float, float]) -> Bools:
    """The island nearest to a point."""
    labels, count = ndimage.label(coarse > LEVEL, structure=np.ones((3, 3), int))
    if not count:
        return np.zeros(coarse.shape, bool)
    _, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    row, column = int(at[1] * coarse.shape[0]), int(at[0] * coarse.shape[1])
    return np.asarray(labels == labels[nearest[0][row, column], nearest[1][row, column]])
