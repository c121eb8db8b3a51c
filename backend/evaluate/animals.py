"""0 A.D. animals set aside for validation: their prepared pictures, reconstructed and scored against the renderer's truth.

Enters the folder that `backend.data.prepare` wrote; its pictures of split "val" are species that training never saw, seen
from evenly spread directions. One row a picture, with its octant: the direction that it was made for (`octant_of`), so that each
holds equally many.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from backend.data.prepare import prepare
from backend.evaluate.creature_views import overlay_mask, posed_points, side_views
from backend.evaluate.metrics import aligned_joint_error, angle_between, heading_of, mask_iou, pck
from backend.evaluate.photos import Row, Sheet, project_points
from backend.evaluate.rigs import check_asset, shortfalls
from backend.methods.fauna import method as fauna
from backend.methods.request import Quality, Request
from backend.rig.template import load_quadruped
from backend.types import Image, no_progress

FOCAL_HALF_WIDTHS = 1 / np.tan(np.radians(12.5))


def make_pictures(source: Path, folder: Path, count: int, seed: int) -> None:
    """Render `count` pictures of the animals set aside, eight directions each time round, from 0 A.D.'s archive."""
    prepare(source, folder, images=0, variants=0, seed=seed, validation=count)


def octant_of(azimuth: float) -> int:
    """Which eighth of all directions a picture was made for: 0 faces the picture's right, 2 the viewer, 4 the left, 6 away.

    azimuth: radians, of `truth.npz` (0 sees the face, +90 degrees the animal's left). The heading as seen would not do: from
    above, or rolled, it leans toward the picture's sides.
    """
    return (2 + round(float(np.degrees(azimuth)) / 45)) % 8


def evaluate_animals(folder: Path, quality: Quality, ablate: str, seed: int, limit: int) -> tuple[list[Row], Sheet]:
    """-> one row of scores a picture, and the contact sheet's rows. limit: pictures, in eights, spread over the animals."""
    truth = np.load(folder / "truth.npz")
    shapes = np.load(folder / "shapes.npz")
    pictures, masks = np.load(folder / "images_rgb.npy", mmap_mode="r"), np.load(folder / "images_mask.npy", mmap_mode="r")
    index = np.flatnonzero(truth["split"] == "val")
    rounds = index[: len(index) // 8 * 8].reshape(-1, 8)  # one animal from eight directions a row
    index = rounds[np.linspace(0, len(rounds) - 1, min(max(1, limit // 8), len(rounds))).astype(int)].ravel()
    names = load_quadruped().points
    rows: list[Row] = []
    sheet: Sheet = []
    for i in index:
        rgb, mask = np.array(pictures[i]), masks[i].astype(np.float32) / 255
        size = rgb.shape[0]
        focal = float(FOCAL_HALF_WIDTHS * size / 2)
        started = time.perf_counter()
        result = fauna.run(Request(Image(rgb, focal_px=focal), mask, quality, seed), no_progress, ablate=ablate)
        seconds = time.perf_counter() - started
        asset = result.asset
        cover, overlay = overlay_mask(asset, rgb)
        pose = truth["object_to_camera"][i]
        seen = truth["points"][i] @ pose[:3, :3].T + pose[:3, 3]
        pixels = focal * seen[:, :2] / seen[:, 2:] + size / 2
        found = project_points(asset)
        box = np.argwhere(mask > 0.5)
        side = float((box.max(0) - box.min(0)).max())
        solid = posed_points(asset)
        heading, own = heading_of(asset.camera.object_to_camera[:3, 2]), heading_of(pose[:3, 2])
        row: Row = {
            "species": str(shapes["species"][truth["shape"][i]]), "octant": octant_of(truth["azimuth"][i]),
            "iou": mask_iou(cover, mask > 0.5), "pck": pck(np.stack([found[n] for n in names]), pixels, side),
            "heading_error": angle_between(heading, own),
            "joints_3d": aligned_joint_error(np.stack([solid[n] for n in names]), truth["points"][i]), "seconds": round(seconds, 2),
            **{k: v for k, v in result.scores.items() if k != "iou"},
        }  # fmt: skip
        missed = shortfalls(check_asset(asset))
        row |= {"rig_whole": float(not missed), "rig": "; ".join(missed) or "whole"}
        rows.append(row)
        caption = f"{row['species']} octant {row['octant']} iou {row['iou']:.2f} pck {row['pck']:.2f}"
        sheet.append((caption, [rgb, overlay, *side_views(asset)]))
    return rows, sheet
