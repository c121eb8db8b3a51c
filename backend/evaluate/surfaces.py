"""Posed surfaces side by side: points on them, and their silhouettes from sides that the photo doesn't show.

Enters the posed triangle meshes of a reconstruction and of the truth, each with its camera; both leave in one frame, the truth's object
frame, which the reconstruction reaches through the photo's camera. So a wrong rotation counts as it would in the camera frame, while up
is up, and the box is the animal's own. Scale and translation are free: one photo tells neither. The scores are means over the whole
surface: points are spread by area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from backend.evaluate.metrics import mask_iou, match_surfaces
from backend.render.cpu import rasterize
from backend.shape.sampling import sample_surface
from backend.types import FloatArray, IntArray

SAMPLES = 10_000
"""Points a surface: the mean distance between two samples of one surface is 0.004 of an animal's diagonal, which is as low as it gets."""

SIDES: dict[str, tuple[float, float]] = {"iou_90": (90.0, 0.0), "iou_180": (180.0, 0.0), "iou_above": (45.0, 55.0)}
"""Column -> degrees about the vertical from where the photo was taken, and above the ground."""

SILHOUETTE = 224
"""Pixels a side of those pictures."""
ROOM = 0.62
"""Half of such a picture over the truth's box diagonal."""


@dataclass(frozen=True)
class Surface:
    """vertices (v, 3), posed; faces (f, 3)."""

    vertices: FloatArray
    faces: IntArray


def into_truth(vertices: FloatArray, camera: FloatArray, true_camera: FloatArray) -> FloatArray:
    """A reconstruction's vertices (v, 3) -> the truth's object frame, by both object-to-camera transforms (4, 4)."""
    move = np.linalg.inv(true_camera.astype(np.float64)) @ camera.astype(np.float64)
    return np.asarray(vertices @ move[:3, :3].T + move[:3, 3], np.float32)


def view_turn(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """(3, 3) object frame -> OpenCV camera axes of a level camera. azimuth: degrees, 0 sees the face, 90 its left side."""
    a, e = np.radians(azimuth), np.radians(elevation)
    forward = -np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    right = np.array([np.cos(a), 0, -np.sin(a)])
    return np.stack([right, np.cross(forward, right), forward])


def silhouette(surface: Surface, turn: NDArray[np.float64], middle: NDArray[np.floating], half: float) -> NDArray[np.bool_]:
    """(s, s) what the surface covers in an orthographic picture that shows `half` units to each side of `middle`."""
    seen = (surface.vertices - middle) @ turn.T
    deep = max(float(np.abs(seen[:, 2]).max()), 1e-9) * 1.01
    clip = np.concatenate([seen[:, :2] / half, seen[:, 2:] / deep, np.ones((len(seen), 1))], 1).astype(np.float32)
    rast = rasterize(
        torch.from_numpy(clip)[None], torch.from_numpy(np.ascontiguousarray(surface.faces, np.int32)), (SILHOUETTE, SILHOUETTE)
    )
    return rast[0, ..., 3].numpy() > 0


def compare_surfaces(found: Surface, truth: Surface, azimuth: float, rng: np.random.Generator) -> dict[str, float]:
    """Both in the truth's object frame -> `chamfer` (over the truth's diagonal), the three columns of `SIDES`, and `iou_sides`, their mean.

    azimuth: degrees, where the photo was taken from (`view_turn`). The silhouettes are compared after the same scale and translation.
    """
    own, known = (sample_surface(surface.vertices, surface.faces, rng, SAMPLES) for surface in (found, truth))
    scale, shift, distance = match_surfaces(own, known)
    low, high = truth.vertices.min(0), truth.vertices.max(0)
    diagonal = float(np.linalg.norm(high - low))
    moved = Surface(np.asarray(scale * found.vertices + shift, np.float32), found.faces)
    scores = {"chamfer": distance / diagonal}
    for column, (around, above) in SIDES.items():
        turn = view_turn(azimuth + around, above)
        pictures = [silhouette(surface, turn, (low + high) / 2, ROOM * diagonal) for surface in (moved, truth)]
        scores[column] = mask_iou(pictures[0], pictures[1])
    scores["iou_sides"] = float(np.mean([scores[column] for column in SIDES]))
    return scores
