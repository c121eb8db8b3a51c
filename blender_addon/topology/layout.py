"""Puts the two sides of a hide into the texture: the left side left, the right its mirror about u = 1/2, spines towards the middle.

Enters: the left half's islands laid flat (`unwrap`). Leaves: UVs per corner for both halves, origin lower left. The large island takes
the most room; small ones go where it leaves some, at the same scale. numpy only.
"""

from __future__ import annotations

import numpy as np

from .surface import Array

MARGIN = 0.008
"""Room about each island, of the texture's width."""
CELLS = 256
"""The grid on which room for the small islands is sought, over the texture's side."""
SHRINK = 0.95


def lay_out(uvs: Array, islands: Array) -> Array:
    """uvs: (q, 4, 2) of the left half, each island's lower left corner at the origin; islands: (q,) numbers, 0 the large one.
    -> (2q, 4, 2) in the unit square, as `halves.join_halves` orders quads and corners."""
    width, height = uvs[islands == 0].reshape(-1, 2).max(axis=0)
    scale = min((0.5 - 1.5 * MARGIN) / width, (1 - 2 * MARGIN) / height)
    left = None
    while left is None:
        left = place_islands(uvs * scale, islands)
        scale *= SHRINK
    right = (left * [-1, 1] + [1, 0])[:, [0, 3, 2, 1]]
    return np.concatenate([left, right])


def place_islands(uvs: Array, islands: Array) -> Array | None:
    """The left half's UVs, or None where an island finds no room at this scale."""
    placed = uvs.copy()
    large = islands == 0
    width, height = uvs[large].reshape(-1, 2).max(axis=0)
    placed[large] += [0.5 - MARGIN / 2 - width, (1 - height) / 2]
    taken = np.zeros((CELLS, CELLS // 2), bool)
    mark(taken, placed[large])
    for number in range(1, islands.max() + 1):
        chosen = islands == number
        corner = find_room(taken, uvs[chosen].reshape(-1, 2).max(axis=0))
        if corner is None:
            return None
        placed[chosen] += corner
        mark(taken, placed[chosen])
    return placed


def mark(taken: Array, uvs: Array) -> None:
    """In place: the cells that quads, (q, 4, 2), touch."""
    low = np.clip(np.floor(uvs.min(axis=1) * CELLS).astype(int), 0, None)
    high = np.floor(uvs.max(axis=1) * CELLS).astype(int) + 1
    for (left, bottom), (right, top) in zip(low.tolist(), high.tolist(), strict=True):
        taken[bottom:top, left:right] = True


def find_room(taken: Array, size: Array) -> Array | None:
    """(2,) lower left corner of the highest, then leftmost place where `size` and the margin about it fit; None where they don't."""
    columns, rows = (np.ceil((size + 2 * MARGIN) * CELLS)).astype(int)
    if rows > taken.shape[0] or columns > taken.shape[1]:
        return None
    total = np.pad(taken.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns] + total[:-rows, :-columns]
    free = np.argwhere(inside == 0)
    if not len(free):
        return None
    row, column = free[np.lexsort((free[:, 1], -free[:, 0]))[0]]
    return np.array([column, row]) / CELLS + MARGIN
