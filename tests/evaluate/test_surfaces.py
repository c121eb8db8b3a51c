"""Points and silhouettes of posed surfaces."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data.images import View, camera_turn
from backend.evaluate.surfaces import SILHOUETTE, Surface, compare_surfaces, into_truth, silhouette, view_turn

FACES = np.array(
    [[0, 2, 3], [0, 3, 1], [4, 5, 7], [4, 7, 6], [0, 1, 5], [0, 5, 4], [2, 6, 7], [2, 7, 3], [0, 4, 6], [0, 6, 2], [1, 3, 7], [1, 7, 5]],
    np.int32,
)


def box(width: float, height: float, length: float) -> Surface:
    """Along x, y and z, about the origin."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return Surface((signs * (width, height, length) / 2).astype(np.float32), FACES)


def turned(surface: Surface, degrees: float) -> Surface:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return Surface((surface.vertices @ turn.T).astype(np.float32), surface.faces)


def test_a_view_is_the_renderers_own() -> None:
    for azimuth, elevation in [(0, 0), (90, 0), (200, 40)]:
        expected = camera_turn(View(np.radians(azimuth), np.radians(elevation), 0.0, 0.8, (0.0, 0.0)))
        assert view_turn(azimuth, elevation) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("azimuth", "elevation", "area"), [(0, 0, 1 * 2), (90, 0, 4 * 2), (180, 0, 1 * 2), (0, 90, 1 * 4)])
def test_a_silhouette_shows_the_side_it_is_taken_from(azimuth: float, elevation: float, area: float) -> None:
    cover = silhouette(box(1, 2, 4), view_turn(azimuth, elevation), np.zeros(3), 2.5)
    assert cover.sum() * (5 / SILHOUETTE) ** 2 == pytest.approx(area, rel=0.03)


def test_the_same_surface_elsewhere_and_larger_scores_full() -> None:
    truth = box(1, 2, 4)
    scores = compare_surfaces(Surface(3 * truth.vertices + np.float32(5), truth.faces), truth, 90, np.random.default_rng(0))
    assert scores["chamfer"] < 0.008  # two samples of one surface
    assert min(scores["iou_90"], scores["iou_180"], scores["iou_above"]) > 0.97
    assert scores["iou_sides"] == pytest.approx(np.mean([scores["iou_90"], scores["iou_180"], scores["iou_above"]]))


def test_a_turned_surface_loses_from_every_side() -> None:
    truth = box(1, 2, 4)
    scores = compare_surfaces(turned(truth, 90), truth, 90, np.random.default_rng(0))
    assert scores["chamfer"] > 0.05 and scores["iou_90"] < 0.75 and scores["iou_180"] < 0.75


def test_a_shape_that_is_right_only_in_the_photo_loses_from_the_side() -> None:
    truth, flat = box(1, 2, 4), box(1, 2, 1)  # seen from the front they are one
    scores = compare_surfaces(flat, truth, 0, np.random.default_rng(0))
    assert scores["iou_90"] < 0.6


def test_the_truths_frame_keeps_what_the_cameras_see() -> None:
    rng = np.random.default_rng(1)
    true_camera, camera = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)
    true_camera[:3, :3], true_camera[:3, 3] = view_turn(30, 10), (0.1, 0.2, 9)
    camera[:3, :3], camera[:3, 3] = view_turn(75, 0), (0, 0, 4)
    points = rng.normal(size=(5, 3)).astype(np.float32)
    there = into_truth(points, camera, true_camera)
    seen = points @ camera[:3, :3].T + camera[:3, 3]
    assert there @ true_camera[:3, :3].T + true_camera[:3, 3] == pytest.approx(seen, abs=1e-4)
    assert into_truth(points, true_camera, true_camera) == pytest.approx(points, abs=1e-4)
