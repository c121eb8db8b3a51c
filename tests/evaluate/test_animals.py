"""Directions of the validation pictures: each row of the table holds as many of them as any other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backend.data.images import View, camera_turn, random_view
from backend.evaluate import animals
from backend.evaluate.animals import evaluate_animals, octant_of
from backend.evaluate.command import by_octant
from backend.evaluate.metrics import heading_of
from backend.rig.template import load_quadruped

ROUNDS, SIDE = 6, 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of one animal as `data.prepare` aims those that are set aside, all seen from above: only their truth matters here."""
    rng = np.random.default_rng(0)
    count, points = 8 * ROUNDS, rng.normal(size=(len(load_quadruped().points), 3)).astype(np.float32)
    azimuth = [np.radians(45 * (image % 8) + rng.uniform(-22.5, 22.5)) for image in range(count)]
    poses = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    poses[:, :3, :3] = [camera_turn(View(a, np.radians(40), 0.0, 0.8, (0.0, 0.0))) for a in azimuth]
    poses[:, 2, 3] = 20
    np.savez(
        tmp_path / "truth.npz", split=np.full(count, "val"), shape=np.zeros(count, np.int32), azimuth=np.asarray(azimuth, np.float32),
        object_to_camera=poses, points=np.tile(points, (count, 1, 1)),
    )  # fmt: skip
    np.savez(tmp_path / "shapes.npz", species=np.array(["wolf"]))
    np.save(tmp_path / "images_rgb.npy", np.zeros((count, SIDE, SIDE, 3), np.uint8))
    mask = np.zeros((count, SIDE, SIDE), np.uint8)
    mask[:, 4:12, 4:12] = 255
    np.save(tmp_path / "images_mask.npy", mask)
    return tmp_path


def test_every_directions_row_holds_equally_many_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = SimpleNamespace(camera=SimpleNamespace(object_to_camera=np.eye(4)))
    found = {name: np.array([number, number % 5, number % 7], float) for number, name in enumerate(load_quadruped().points)}
    monkeypatch.setattr(animals.fauna, "run", lambda request, progress, ablate: SimpleNamespace(asset=asset, scores={}))
    monkeypatch.setattr(animals, "overlay_mask", lambda asset, rgb: (rgb[..., 0] > 0, rgb))
    monkeypatch.setattr(animals, "project_points", lambda asset: {name: point[:2] for name, point in found.items()})
    monkeypatch.setattr(animals, "posed_points", lambda asset: found)
    monkeypatch.setattr(animals, "side_views", lambda asset: [])
    monkeypatch.setattr(animals, "check_asset", lambda asset: {})
    monkeypatch.setattr(animals, "shortfalls", lambda row: [])
    rows, _ = evaluate_animals(folder, "fast", "", 0, 8 * ROUNDS)
    assert [(row["octant"], row["count"]) for row in by_octant(rows)] == [(octant, ROUNDS) for octant in range(8)]


def test_an_octant_is_the_heading_that_a_level_camera_sees() -> None:
    rng = np.random.default_rng(0)
    for octant in range(8):
        view = random_view(rng, np.radians(45 * octant), 0.0)
        heading = heading_of(camera_turn(view)[:, 2])
        assert octant_of(view.azimuth) == round(heading / 45) % 8
