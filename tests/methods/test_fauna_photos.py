"""The twelve photos, reconstructed with the bundled weights: each gives a whole, valid creature that faces the right way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.evaluate.creature_views import exported, overlay_mask, posed_points, project
from backend.evaluate.metrics import angle_between, box_side, heading_of, mask_iou
from backend.evaluate.rigs import LEAST, MOST, TRUE, check_asset, shortfalls
from backend.media.photo import read_photo
from backend.methods.fauna import method as fauna
from backend.methods.request import Request, Result
from backend.observe.mask import find_mask
from backend.shape.checks import measure
from backend.types import no_progress

PHOTOS = Path(__file__).resolve().parents[1] / "photos"
TRUTH = json.loads((PHOTOS / "truth.json").read_text("utf-8"))["photos"]
FINE = ("horse.png", "dog.png")
FACING_DEGREES = 45.0
WRONG_HEADINGS = 1
"""Of twelve photos, as the issue of quality allows."""
NEARLY = {"crossing": 0.01, "bend_flipped": 0.003, "bend_volume": 0.12, "bones_outside": 1}
"""How far the one photo of twelve that may miss a check, on a machine that rounds otherwise, may miss it."""
MISSING = 1


def reconstruct(name: str, quality: str = "fast", seed: int = 0) -> tuple[Result, np.ndarray, np.ndarray]:
    image = read_photo(PHOTOS / name)
    mask = find_mask(image)
    result = fauna.run(Request(image, mask, quality, seed), no_progress)  # type: ignore[arg-type]
    return result, mask, image.rgb


@pytest.fixture(scope="module")
def fast() -> dict[str, tuple[Result, np.ndarray, np.ndarray]]:
    return {name: reconstruct(name) for name in TRUTH}


def test_every_mesh_is_closed_whole_and_mirrored(fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    for name, (result, _, _) in fast.items():
        mesh = result.asset.mesh
        found = measure(mesh.vertices, mesh.faces, mesh.mirror)
        assert found.components == 1 and found.closed and found.genus == 0, name
        assert mesh.mirror is not None
        twin = mesh.vertices[mesh.mirror] * np.array([-1, 1, 1], np.float32)
        assert np.array_equal(twin, mesh.vertices) or np.abs(twin - mesh.vertices).max() < 1e-6, name


def test_every_rig_bends_and_every_mesh_is_clean(fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    found = {name: check_asset(result.asset) for name, (result, _, _) in fast.items()}
    for name, row in found.items():
        assert all(row[key] for key in TRUE), (name, row)
        assert all(row[key] >= limit for key, limit in LEAST.items()), (name, row)
        assert all(row[key] <= NEARLY.get(key, limit) for key, limit in MOST.items()), (name, row)
        assert 5000 <= row["triangles"] <= 10000, name
    missing = {name: shortfalls(row) for name, row in found.items() if shortfalls(row)}
    assert len(missing) <= MISSING, missing


def test_skins_are_normalised_and_every_creature_stands_on_the_ground(fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    for name, (result, _, _) in fast.items():
        asset = result.asset
        assert np.allclose(asset.skin.weights.sum(1), 1, atol=1e-5), name
        assert abs(float(asset.mesh.vertices[:, 1].min())) < 1e-5, name
        assert np.allclose(asset.skeleton.heads[0], 0), name


def test_animals_face_the_right_way(fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    wrong = [
        name
        for name, (result, _, _) in fast.items()
        if angle_between(heading_of(result.asset.camera.object_to_camera[:3, 2]), TRUTH[name]["heading"]) > FACING_DEGREES
    ]
    assert len(wrong) <= WRONG_HEADINGS, wrong


def test_same_seed_gives_the_same_creature(fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    again, _, _ = reconstruct("cow.png")
    first = fast["cow.png"][0].asset
    assert np.array_equal(again.asset.mesh.vertices, first.mesh.vertices)
    assert np.array_equal(again.asset.texture.base_color, first.texture.base_color)
    assert np.array_equal(again.asset.photo_pose.rotations, first.photo_pose.rotations)


@pytest.mark.parametrize("name", FINE)
def test_fine_explains_the_silhouette_better_than_fast(name: str, fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    result, mask, photo = reconstruct(name, "fine")
    cover, _ = overlay_mask(result.asset, photo)
    before, _ = overlay_mask(fast[name][0].asset, photo)
    iou = mask_iou(cover, mask > 0.5)
    assert iou > mask_iou(before, mask > 0.5) and iou > 0.8
    found = check_asset(result.asset)
    assert all(found[key] for key in TRUE) and all(found[key] <= NEARLY.get(key, limit) for key, limit in MOST.items()), found
    assert result.scores["deformation_gain"] < 0.08 and result.scores["deformation_rms"] <= 0.02  # the lesser part


def test_other_hypothesis_faces_the_other_way(fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    image = read_photo(PHOTOS / "horse.png")
    flipped = fauna.run(Request(image, find_mask(image), flip_heading=True), no_progress)
    ahead = fast["horse.png"][0].asset.camera.object_to_camera[:3, 2]
    behind = flipped.asset.camera.object_to_camera[:3, 2]
    assert float(ahead @ behind) < 0


def test_legs_that_stand_apart_are_not_taken_for_one(fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    result, mask, _ = fast["elephant.png"]
    asset = exported(result.asset)
    points = posed_points(asset)
    feet = project(np.stack([points["front_tip.L"], points["front_tip.R"]]), asset.camera)
    assert np.linalg.norm(feet[0] - feet[1]) > 0.08 * box_side(mask > 0.5)  # in the photo 0.16


def test_a_tail_carried_over_the_back_is_raised(fast: dict[str, tuple[Result, np.ndarray, np.ndarray]]) -> None:
    result, _, _ = fast["dog.png"]
    asset = exported(result.asset)
    points = posed_points(asset)
    base, middle, tip, withers = project(np.stack([points[name] for name in ("tail0", "tail2", "tail4", "withers")]), asset.camera)
    assert middle[1] < base[1] and tip[1] < withers[1]  # photo pixels: y points down
