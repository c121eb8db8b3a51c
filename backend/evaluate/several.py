"""Several pictures of one animal against one: what the others add.

Enters the folder that `backend.data.prepare` wrote, where each animal set aside has rounds of eight pictures, one from each octant, each in
a pose of its own. Of each round one picture is reconstructed alone, and then together with pictures of the same round from other sides;
both are scored by the truth of that picture (`animals`). Two rows a round, told apart by `photos`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.evaluate.animals import ROUND, SPLITS, Pictures, choose_pictures
from backend.evaluate.creature_scores import Row, Sheet
from backend.methods.request import Quality

SIDES = (4, 2, 6, 1, 3, 5, 7)
"""Octants from the first picture's on to those of the others, in the order in which they are added: the far side first."""
PHOTOS = 4
SHIFT = 3
"""Octants by which the first picture moves from round to round: each side is the first's in its turn."""


def rounds_of(pictures: Pictures, limit: int, splits: tuple[str, ...]) -> list[list[int]]:
    """The first picture of each round, and its others by `SIDES`. limit: rounds of each split."""
    found = []
    for split in splits:
        chosen = choose_pictures(pictures.truth["split"], split, limit * ROUND)
        for number, start in enumerate(range(0, len(chosen), ROUND)):
            first = SHIFT * number % ROUND
            found.append([int(chosen[start + (first + side) % ROUND]) for side in (0, *SIDES)])
    return found


def evaluate_several(
    folder: Path, quality: Quality, seed: int, limit: int, splits: tuple[str, ...] = SPLITS, photos: int = PHOTOS
) -> tuple[list[Row], Sheet]:
    """-> a row with one photo and a row with `photos` for each animal, and the contact sheet's rows."""
    pictures = Pictures(folder)
    rows: list[Row] = []
    sheet: Sheet = []
    for first, *others in rounds_of(pictures, limit, splits):
        for taken in ([], others[: photos - 1]):
            row, (caption, shown) = pictures.score(first, quality, seed, others=taken)
            rows.append({"photos": 1 + len(taken), **row})
            sheet.append((f"{1 + len(taken)} photos: {caption}", shown))
    return rows, sheet


def gains(rows: list[Row]) -> dict[str, float]:
    """What the further photos add to the mean of every number."""
    one, more = ([row for row in rows if (row["photos"] == 1) == alone] for alone in (True, False))
    columns = [k for k, v in one[0].items() if isinstance(v, int | float) and k not in ("photos", "octant")]
    found = {k: [np.mean([float(row[k]) for row in part if k in row]) for part in (one, more)] for k in columns}  # type: ignore[arg-type]
    return {k: float(after - before) for k, (before, after) in found.items()}
