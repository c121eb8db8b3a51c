"""The validation set: each direction's row holds as many pictures as any other, splits stand apart, a perfect result scores full."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backend.data.images import View, place_camera, random_view
from backend.errors import MenagerieError
from backend.evaluate import animals
from backend.evaluate.animals import FOCAL_HALF_WIDTHS, Pictures, choose_pictures, evaluate_animals, octant_of
from backend.evaluate.command import by_octant, by_split, main, summarise
from backend.evaluate.creature_views import overlay_mask, posed_points, posed_surface
from backend.evaluate.metrics import heading_of
from backend.evaluate.several import evaluate_several, gains, rounds_of
from backend.evaluate.surfaces import view_turn
from backend.methods.request import Request
from backend.rig.template import load_quadruped
from backend.shape.sampling import sample_surface
from backend.types import Asset, Camera
from tests.asset.creature import make_creature

SIDE = 96
SPLITS = ["val"] * 8 + ["family"] * 8 + ["train"]


@pytest.fixture(scope="module")
def creature() -> Asset:
    return make_creature(1500, 64)


@pytest.fixture(scope="module")
def assets(creature: Asset) -> list[Asset]:
    """The creature as seen from eight directions, twice, all from somewhat above: the truth of every picture."""
    vertices, rng = posed_surface(creature).vertices, np.random.default_rng(0)
    views = [View(np.radians(45 * (i % 8) + rng.uniform(-22, 22)), np.radians(30), 0.0, 0.8, (0.0, 0.0)) for i in range(len(SPLITS))]
    focal = float(FOCAL_HALF_WIDTHS * SIDE / 2)
    return [replace(creature, camera=Camera(SIDE, SIDE, focal, place_camera(vertices, view, SIDE))) for view in views]


@pytest.fixture
def folder(tmp_path: Path, assets: list[Asset]) -> Path:
    """What `data.prepare` and `posed_truth` would write of that animal."""
    points = np.stack([posed_points(assets[0])[name] for name in load_quadruped().points]).astype(np.float32)
    surface, count = posed_surface(assets[0]), len(assets)
    poses = np.stack([asset.camera.object_to_camera for asset in assets])
    photo = np.full((SIDE, SIDE, 3), 60, np.uint8)
    covers = [overlay_mask(asset, photo)[0] for asset in assets]
    np.savez(
        tmp_path / "truth.npz", split=np.array(SPLITS), shape=np.zeros(count, np.int32), object_to_camera=poses,
        azimuth=np.arctan2(poses[:, 2, 0], poses[:, 2, 2]) + np.pi, points=np.tile(points, (count, 1, 1)),
    )  # fmt: skip
    np.savez(
        tmp_path / "shapes.npz", species=np.array(["creature", "other"]), split=np.array(["val", "train"]), points=np.stack([points] * 2)
    )
    np.save(tmp_path / "images_rgb.npy", np.tile(photo, (count, 1, 1, 1)))
    np.save(tmp_path / "images_mask.npy", np.stack(covers).astype(np.uint8) * 255)
    np.savez(
        tmp_path / "posed.npz", picture=np.arange(16), vertices=np.tile(surface.vertices, (16, 1)), faces=np.tile(surface.faces, (16, 1)),
        vertex_ends=np.arange(1, 17) * len(surface.vertices), face_ends=np.arange(1, 17) * len(surface.faces),
    )  # fmt: skip
    return tmp_path


def answer(monkeypatch: pytest.MonkeyPatch, assets: list[Asset]) -> None:
    """Let the method give these, one after another."""
    left = iter(assets)
    monkeypatch.setattr(animals.fauna, "run", lambda request, progress, ablate: SimpleNamespace(asset=next(left), scores={}))


def test_a_perfect_reconstruction_scores_full(folder: Path, assets: list[Asset], monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, assets)
    rows, sheet = evaluate_animals(folder, "fast", "", 0, 8)
    assert [row["split"] for row in rows] == SPLITS[:16] and len(sheet) == 16 and all(len(pictures) == 6 for _, pictures in sheet)
    for row in rows:
        assert row["iou"] == 1 and row["pck"] == 1 and row["pck_tail"] == 1
        assert row["axis_error"] < 0.1 and row["joints_3d"] < 1e-4 and row["mean_skeleton"] < 1e-4  # the same rest points
        assert row["chamfer"] < 0.008 and row["iou_sides"] > 0.95
    for part in by_split(rows).values():
        assert [(row["octant"], row["count"]) for row in by_octant(part)] == [(octant, 1) for octant in range(8)]
        assert summarise(part)["axis_within_45"] == 1


def test_an_animal_turned_about_counts_as_turned(folder: Path, assets: list[Asset], monkeypatch: pytest.MonkeyPatch) -> None:
    turn = np.eye(4, dtype=np.float32)
    turn[:3, :3] = view_turn(180, 0).T @ view_turn(60, 0)  # 120 degrees about the vertical
    away = [replace(a, camera=replace(a.camera, object_to_camera=a.camera.object_to_camera @ turn)) for a in assets]
    answer(monkeypatch, away)
    rows, _ = evaluate_animals(folder, "fast", "", 0, 8, ("val",))
    for row in rows:
        assert row["axis_error"] == pytest.approx(120, abs=0.1)
        assert row["joints_3d"] < 1e-4  # a similarity turns them back
        assert row["chamfer"] > 0.03 and row["iou_sides"] < 0.8 and row["pck"] < 0.6
    assert summarise(rows)["axis_within_45"] == 0


def test_without_posed_meshes_the_columns_are_absent_and_it_is_said(
    folder: Path, assets: list[Asset], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "posed.npz").unlink()
    answer(monkeypatch, assets)
    out = folder / "out"
    assert main(["fauna", "--set", "zero-ad-val", "--data", str(folder), "--limit", "8", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "no posed.npz: no chamfer and no sides" in said and "chamfer 0" not in said
    assert "val  mean" in said and "family  mean" in said and "val  octant 3" in said
    report = json.loads((out / "zero-ad-val-fast.json").read_text())
    assert report["val"]["count"] == report["family"]["count"] == 8 and len(report["rows"]) == 16
    assert "chamfer" not in report["val"] and (out / "zero-ad-val-fast.png").exists()


def test_an_empty_folder_and_no_source_is_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as refusal:
        main(["fauna", "--set", "zero-ad-val", "--data", str(tmp_path)])
    assert refusal.value.code == "bad_request"


def test_pictures_are_chosen_in_whole_rounds_the_animals_in_turn() -> None:
    splits = np.array(["train"] * 3 + ["val"] * 40 + ["family"] * 16)
    assert choose_pictures(splits, "val", 8).tolist() == list(range(3, 11))
    assert choose_pictures(splits, "val", 16).tolist() == list(range(3, 19))
    assert choose_pictures(splits, "val", 23).tolist() == list(range(3, 19))
    assert choose_pictures(splits, "family", 1000).tolist() == list(range(43, 59))
    assert choose_pictures(splits[:43], "family", 8).tolist() == []


def test_an_octant_is_the_heading_that_a_level_camera_sees() -> None:
    rng = np.random.default_rng(0)
    for octant in range(8):
        view = random_view(rng, np.radians(45 * octant), 0.0)
        heading = heading_of(view_turn(np.degrees(view.azimuth), 0.0)[:, 2])
        assert octant_of(view.azimuth) == round(heading / 45) % 8


def test_a_creature_at_rest_is_scored_by_its_shape_alone(folder: Path, creature: Asset) -> None:
    still = replace(creature.photo_pose, rotations=np.tile(np.float32([1, 0, 0, 0]), (len(creature.skeleton.names), 1)))
    at_rest = replace(creature, photo_pose=still)
    points = np.stack([posed_points(at_rest)[name] for name in load_quadruped().points]).astype(np.float32)
    rng = np.random.default_rng(0)
    surface = sample_surface(creature.mesh.vertices, creature.mesh.faces, rng, 4000).astype(np.float32)
    shapes = {**np.load(folder / "shapes.npz")}
    np.savez(folder / "shapes.npz", **{**shapes, "points": np.stack([points] * 2), "surface": np.stack([surface * 3] * 2)})
    row = Pictures(folder).score_shape(creature, 0, rng)
    assert float(row["rest_joints"]) < 1e-4 and float(row["rest_chamfer"]) < 0.012, "whatever its pose and size"  # type: ignore[arg-type]
    long = replace(creature, mesh=replace(creature.mesh, vertices=creature.mesh.vertices * np.float32([1, 1, 1.5])))
    assert Pictures(folder).score_shape(long, 0, rng)["rest_chamfer"] > 0.02  # type: ignore[operator]


def test_several_pictures_of_an_animal_are_scored_beside_one(folder: Path, assets: list[Asset], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(request: Request, progress: object, ablate: str) -> SimpleNamespace:
        asked.append(len(request.others))
        return SimpleNamespace(asset=assets[0], scores={})

    monkeypatch.setattr(animals.fauna, "run", run)
    rows, sheet = evaluate_several(folder, "fast", 0, 1)
    assert asked == [0, 3, 0, 3] and len(sheet) == 4 and [row["photos"] for row in rows] == [1, 4, 1, 4]
    assert [row["split"] for row in rows] == ["val", "val", "family", "family"]
    first, second = rounds_of(Pictures(folder), 1, ("val", "family"))
    assert sorted(first) == list(range(8)) and sorted(second) == list(range(8, 16)), "a round is one animal"
    rows = [{"photos": 1, "chamfer": 0.04}, {"photos": 4, "chamfer": 0.03}, {"photos": 1, "chamfer": 0.02}, {"photos": 4, "chamfer": 0.02}]
    assert gains(rows) == {"chamfer": pytest.approx(-0.005)}
