"""The twelve photos in tests/photos: overlay IoU, heading against truth.json, time; with a contact sheet.

The photos carry alpha, which is their mask. truth.json was written down by looking, before any reconstruction.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.evaluate.creature_views import overlay_mask, posed_points, side_views
from backend.evaluate.metrics import angle_between, heading_of, mask_iou, pck
from backend.evaluate.rigs import check_asset, shortfalls
from backend.media.photo import read_photo
from backend.methods.fauna import method as fauna
from backend.methods.request import Quality, Request
from backend.observe.mask import find_mask
from backend.service.overlay import visible_photo
from backend.types import Asset, no_progress

Row = dict[str, object]
Sheet = list[tuple[str, list[NDArray[np.uint8]]]]

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
        asset = result.asset
        picture = visible_photo(image)
        cover, overlay = overlay_mask(asset, picture)
        forward = asset.camera.object_to_camera[:3, 2]  # the object's +Z
        heading = heading_of(forward)
        found = project_points(asset)
        box = np.argwhere(mask > 0.5)
        side = float((box.max(0) - box.min(0)).max())
        known = [(found[POINTS[key]], facts[key]) for key in POINTS if facts.get(key) is not None]
        missed = shortfalls(check_asset(asset))
        row: Row = {
            "photo": name, "iou": mask_iou(cover, mask > 0.5), "heading_error": angle_between(heading, facts["heading"]),
            "pck": pck(np.array([a for a, _ in known]), np.array([b for _, b in known], float), side), "seconds": round(seconds, 2),
            **{k: v for k, v in result.scores.items() if k != "iou"}, "rig_whole": float(not missed), "rig": "; ".join(missed) or "whole",
        }  # fmt: skip
        rows.append(row)
        caption = f"{name} {quality} iou {row['iou']:.2f} heading {row['heading_error']:.0f} off pck {row['pck']:.2f}"
        sheet.append((caption, [picture, overlay, *side_views(asset)]))
    return rows, sheet


def project_points(asset: Asset) -> dict[str, NDArray]:
    """The posed template points in the photo's pixels, by name."""
    points = posed_points(asset)
    camera = asset.camera
    names = list(points)
    world = np.stack([points[n] for n in names])
    seen = world @ camera.object_to_camera[:3, :3].T + camera.object_to_camera[:3, 3]
    pixels = camera.focal_px * seen[:, :2] / seen[:, 2:] + np.array([camera.width, camera.height]) / 2
    return dict(zip(names, pixels, strict=True))
