"""The twelve photos in tests/photos: overlay IoU, joints, body axis against truth.json, time; with a contact sheet.

The photos carry alpha, which is their mask. truth.json was written down by looking at the photos alone, as its note says.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from backend.evaluate.creature_scores import Row, Sheet, heading, score_creature
from backend.evaluate.metrics import angle_between
from backend.media.photo import read_photo
from backend.methods.fauna import method as fauna
from backend.methods.request import Quality, Request
from backend.observe.mask import find_mask
from backend.service.overlay import visible_photo
from backend.types import no_progress

POINTS = {
    "muzzle": "muzzle", "withers": "withers", "tail_base": "tail0", "front_tip_L": "front_tip.L", "front_tip_R": "front_tip.R",
    "hind_tip_L": "hind_tip.L", "hind_tip_R": "hind_tip.R",
}  # fmt: skip
"""truth.json's names -> the template's points."""


def evaluate_photos(folder: Path, quality: Quality, ablate: str, seed: int, limit: int = 0) -> tuple[list[Row], Sheet]:
    """-> one row of scores a photo, and the contact sheet's rows. limit: the first so many photos; 0: all."""
    truth = json.loads((folder / "truth.json").read_text("utf-8"))["photos"]
    rows: list[Row] = []
    sheet: Sheet = []
    for name, facts in list(truth.items())[: limit or None]:
        image = read_photo(folder / name)
        started = time.perf_counter()
        mask = find_mask(image)
        result = fauna.run(Request(image, mask, quality, seed), no_progress, ablate=ablate)
        seconds = time.perf_counter() - started
        joints = {POINTS[key]: np.array(facts[key], float) for key in POINTS if facts.get(key) is not None}
        scored = score_creature(result, visible_photo(image), mask > 0.5, joints, seconds)
        found = heading(scored.points, scored.asset.camera.object_to_camera)
        row: Row = {"photo": name, "axis_error": angle_between(found, facts["heading"]), **scored.row}
        rows.append(row)
        caption = f"{name} {quality} iou {row['iou']:.2f} axis {row['axis_error']:.0f} off pck {row['pck']:.2f}"
        sheet.append((caption, scored.pictures))
    return rows, sheet
