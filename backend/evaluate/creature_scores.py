"""What every set scores a reconstruction by, from its file's content alone: overlay, joints in the picture, body axis, rig, time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.evaluate.creature_views import creature_pictures, exported, overlay_mask, posed_points, project
from backend.evaluate.metrics import box_side, heading_on_ground, mask_iou, pck_by_group
from backend.evaluate.rigs import check_asset, shortfalls
from backend.methods.request import Result
from backend.types import Asset, ByteArray

Row = dict[str, object]
Sheet = list[tuple[str, list[NDArray[np.uint8]]]]


@dataclass(frozen=True)
class Scored:
    """asset: as its file holds it; points: the template's, posed, object frame; row: scores; pictures: one row of the contact sheet."""

    asset: Asset
    points: dict[str, NDArray[np.float64]]
    row: Row
    pictures: list[ByteArray]


def score_creature(
    result: Result, photo: ByteArray, mask: NDArray[np.bool_], joints: dict[str, NDArray[np.floating]], seconds: float
) -> Scored:
    """Score what needs no third dimension. photo: (h, w, 3); mask: (h, w), the animal's; joints: template point -> true pixel (2,).

    Columns: iou (of the posed mesh through its camera), pck, pck_GROUP (hidden joints too; one that is missing is missed), seconds, the
    method's own scores, rig_whole and rig.
    """
    asset = exported(result.asset)
    cover, overlay = overlay_mask(asset, photo)
    points = posed_points(asset)
    names = list(joints)
    pixels = project(stack_points(points, names), asset.camera)
    missed = shortfalls(check_asset(asset))
    row: Row = {
        "iou": mask_iou(cover, mask),
        **pck_by_group(names, pixels, np.array([joints[name] for name in names], float), box_side(mask)),
        "seconds": round(seconds, 2),
        **{k: v for k, v in result.scores.items() if k != "iou"},
        "rig_whole": float(not missed),
        "rig": "; ".join(missed) or "whole",
    }
    return Scored(asset, points, row, creature_pictures(asset, photo, overlay))


def stack_points(points: dict[str, NDArray[np.float64]], names: list[str]) -> NDArray[np.float64]:
    """(n, 3) in the order of `names`; NaN for points that are absent."""
    absent = np.full(3, np.nan)
    return np.stack([points.get(name, absent) for name in names])


def body_axis(points: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """(3,) from the tail's base, or the pelvis of an animal without a tail, to the withers."""
    return points["withers"] - points.get("tail0", points["pelvis"])


def heading(points: dict[str, NDArray[np.float64]], camera: NDArray[np.floating], up: NDArray[np.floating] | None = None) -> float:
    """The body axis on the ground, degrees: 0 faces the photo's right, 90 the viewer. camera: (4, 4) object-to-camera.

    up: (3,) of the ground in the camera frame; by default the reconstruction's own.
    """
    return heading_on_ground(camera[:3, :3] @ body_axis(points), camera[:3, 1] if up is None else up)
