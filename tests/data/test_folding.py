"""Animals laid down: legs fold as a quadruped's do, whatever the animal, and nothing is torn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.data import folding, variety
from backend.data.folding import random_fold
from backend.methods.fauna.training.chances import leg_reach
from backend.rig.rotations import matrix_to_euler, quaternion_to_matrix
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from tests.rig.animals import rest_points

BUILDS = ("horse", "column", "low")


def folded(points: np.ndarray, seed: int) -> np.ndarray:
    rotations, placement = solve_pose(points, points[None])
    frames = variety.posed_frames(points, rotations, placement)[0]
    turns = random_fold(points, np.random.default_rng(seed))
    return variety.stretch_points(variety.stretch_matrices(variety.identity(), frames, points, turns), points)


def only(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "KINDS", {kind: 1.0})


def slope(points: np.ndarray) -> float:
    at = load_quadruped().point_index
    along = points[at["withers"]] - points[at["pelvis"]]
    return float(np.degrees(np.arctan2(along[1], np.hypot(along[0], along[2]))))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", list(folding.KINDS))
def test_no_bone_changes_its_length(build: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only(kind, monkeypatch)
    template, points = load_quadruped(), rest_points(build)
    bones = [b for b in range(len(template.bones)) if template.head_points[b] >= 0]
    heads, tails = template.head_points[bones], template.tail_points[bones]
    for seed in range(5):
        moved = folded(points, seed)
        before, after = (np.linalg.norm(p[tails] - p[heads], axis=1) for p in (points, moved))
        assert np.allclose(after, before, rtol=1e-4)


@pytest.mark.parametrize("build", BUILDS)
def test_one_that_lies_has_its_belly_near_its_feet(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only("lie", monkeypatch)
    points, at = rest_points(build), load_quadruped().point_index
    for seed in range(12):
        moved = folded(points, seed)
        assert leg_reach(moved[None])[0] < 0.92 * leg_reach(points[None])[0]
        ahead = moved[at["withers"]] - moved[at["pelvis"]]
        for side in (".L", ".R"):
            assert (moved[at["elbow" + side]] - moved[at["shoulder" + side]]) @ ahead < 0  # elbows back,
            assert (moved[at["knee" + side]] - moved[at["hip" + side]]) @ ahead > 0  # knees ahead
            assert moved[at["hind_tip" + side], 1] > points[at["hind_tip" + side], 1]  # the pelvis stays: feet come up to it


@pytest.mark.parametrize("build", BUILDS)
def test_one_that_sits_has_its_forelegs_under_a_raised_chest(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only("sit", monkeypatch)
    points, at = rest_points(build), load_quadruped().point_index
    for seed in range(12):
        moved = folded(points, seed)
        assert folding.SLOPES["sit"][0] - 1 < slope(moved) < folding.SLOPES["sit"][1] + 1
        for side in (".L", ".R"):
            below = moved[at["wrist" + side]] - moved[at["elbow" + side]]
            assert -below[1] > 0.85 * np.linalg.norm(below)


@pytest.mark.parametrize("build", BUILDS)
def test_one_that_bows_stands_on_its_hind_legs_alone(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only("bow", monkeypatch)
    points, at = rest_points(build), load_quadruped().point_index
    for seed in range(12):
        moved = folded(points, seed)
        assert folding.SLOPES["bow"][0] - 1 < slope(moved) < folding.SLOPES["bow"][1] + 1
        for side in (".L", ".R"):
            fore, hind = (np.abs(moved[at[low + side]] - moved[at[high + side]]) for high, low in (("elbow", "wrist"), ("hip", "hock")))
            assert fore[1] < 0.7 * np.linalg.norm(fore)  # nearer to the ground than to upright
            assert hind[1] > 0.7 * np.linalg.norm(hind)


def test_a_crouch_lies_between_standing_and_lying(monkeypatch: pytest.MonkeyPatch) -> None:
    points = rest_points("horse")
    reach = {}
    for kind in ("crouch", "lie"):
        only(kind, monkeypatch)
        reach[kind] = np.mean([leg_reach(folded(points, seed)[None])[0] for seed in range(20)])
    assert reach["lie"] < reach["crouch"] < leg_reach(points[None])[0]


def test_hinges_seldom_bend_further_than_the_rig_allows() -> None:
    template, points = load_quadruped(), rest_points("horse")
    posed = np.stack([folded(points, seed) for seed in range(40)])
    angles = matrix_to_euler(quaternion_to_matrix(torch.from_numpy(solve_pose(points, posed)[0]))).numpy()[..., 0]
    hinges = [b for b, bone in enumerate(template.bones) if bone.hinge]
    low, high = template.limits[hinges, 0, 0], template.limits[hinges, 0, 1]
    slack = np.radians(15)
    assert ((angles[:, hinges] > low - slack) & (angles[:, hinges] < high + slack)).mean() > 0.9


def test_the_seed_decides() -> None:
    points = rest_points("horse")
    assert np.array_equal(folded(points, 3), folded(points, 3))
    assert not np.array_equal(folded(points, 3), folded(points, 4))
