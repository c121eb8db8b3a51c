"""What a person's corrections are worth: the photos in tests/photos, reconstructed as they are, then again with the joints that truth.json
shows to have been read wrong pinned to where they are.

Distances over the side of the animal's box. Photos of which nothing was read wrong are left out.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.evaluate.creature_scores import Row, Scored, Sheet, score_creature, stack_points
from backend.evaluate.creature_views import project
from backend.evaluate.metrics import box_side
from backend.evaluate.photos import POINTS
from backend.media.photo import read_photo
from backend.methods.fauna import method as fauna
from backend.methods.request import Quality, Request
from backend.observe.mask import find_mask
from backend.service.overlay import visible_photo
from backend.types import no_progress

WRONG = 0.05
"""Beyond which a joint would be dragged."""

Pixels = dict[str, NDArray[np.floating]]


def evaluate_pins(folder: Path, quality: Quality, seed: int, limit: int = 0) -> tuple[list[Row], Sheet, dict[str, float]]:
    """-> one row a photo, two rows of the contact sheet a photo (without pins and with them), and what is to be said of all pins."""
    truth = json.loads((folder / "truth.json").read_text("utf-8"))["photos"]
    rows: list[Row] = []
    sheet: Sheet = []
    every: list[float] = []
    for name, facts in list(truth.items())[: limit or None]:
        image = read_photo(folder / name)
        mask = find_mask(image)
        joints: Pixels = {POINTS[key]: np.array(facts[key], float) for key in POINTS if facts.get(key) is not None}

        def score(pins: Pixels, image=image, mask=mask, joints=joints) -> Scored:  # type: ignore[no-untyped-def]
            places = {joint: (float(at[0]), float(at[1])) for joint, at in pins.items()}
            result = fauna.run(Request(image, mask, quality, seed, pins=places), no_progress)
            return score_creature(result, visible_photo(image), mask > 0.5, joints, 0.0)

        plain, side = score({}), box_side(mask > 0.5)
        before = misses(plain, joints, side)
        pins = {joint: joints[joint] for joint, miss in before.items() if not miss <= WRONG}  # one that is missing is wrong, too
        if not pins:
            continue
        pinned = score(pins)
        after = misses(pinned, joints, side)
        rest = [joint for joint in joints if joint not in pins]
        row: Row = {
            "photo": name, "pinned": len(pins), "pins_before": max(before[joint] for joint in pins),
            "pins_median": float(np.median([after[joint] for joint in pins])), "pins_worst": max(after[joint] for joint in pins),
            "rest_before": float(np.mean([before[joint] for joint in rest])), "rest": float(np.mean([after[joint] for joint in rest])),
            "iou_before": plain.row["iou"], "iou": pinned.row["iou"], "rig_whole": pinned.row["rig_whole"],
        }  # fmt: skip
        rows.append(row)
        every += [after[joint] for joint in pins]
        sheet += [(f"{name} as it is", plain.pictures), (f"{name} with {len(pins)} pins", pinned.pictures)]
    about = {"pins": float(len(every)), "median": float(np.median(every)), "worst": max(every)} if every else {}
    return rows, sheet, about


def misses(scored: Scored, joints: Pixels, side: float) -> dict[str, float]:
    """How far each joint lies from where it is seen, over the box's side; NaN for one that the creature lacks."""
    pixels = project(stack_points(scored.points, list(joints)), scored.asset.camera)
    return {name: float(np.linalg.norm(at - joints[name]) / side) for name, at in zip(joints, pixels, strict=True)}
