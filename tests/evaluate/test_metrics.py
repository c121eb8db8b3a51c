"""Each score on truths made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from backend.evaluate import metrics
from backend.evaluate.joint_groups import COLOURS, GROUPS, groups_by_point
from backend.evaluate.metrics import (
    aligned_joint_error,
    angle_between,
    box_side,
    chamfer_over_diagonal,
    heading_of,
    heading_on_ground,
    mask_iou,
    match_surfaces,
    pck,
    pck_by_group,
)
from backend.evaluate.surfaces import view_turn
from backend.rig.template import load_quadruped

EXACT = 1e-6


def corners(size: tuple[float, float, float]) -> np.ndarray:
    """The eight corners of a box about the origin."""
    return np.array(size) * (np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3) - 0.5)


def cloud(count: int = 400) -> np.ndarray:
    """A long lump without symmetry."""
    rng = np.random.default_rng(3)
    return rng.normal(size=(count, 3)) * (1.0, 0.4, 0.2) + np.linspace(0, 1, count)[:, None] * (0, 0.5, 0)


def turn_about_up(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def test_the_groups_hold_every_point_of_the_template_once() -> None:
    assert list(groups_by_point()) == list(load_quadruped().points)
    bases = [base for group in GROUPS.values() for base in group]
    assert len(bases) == len(set(bases)) and set(COLOURS) == set(GROUPS)
    assert {point for point, group in groups_by_point().items() if group == "tail"} == {f"tail{i}" for i in range(5)}


def test_iou_of_two_masks_and_of_none() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert mask_iou(a, b) == 1
    a[:2], b[1:3] = True, True
    assert mask_iou(a, b) == pytest.approx(4 / 12)


def test_the_boxs_longer_side_counts_both_border_pixels() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:8, 2:12] = True
    assert box_side(mask) == 10


def test_pck_counts_what_lies_within_a_tenth_and_misses_what_is_absent() -> None:
    truth = np.zeros((4, 2))
    found = np.array([[9.9, 0], [0, 10.1], [6, 7], [np.nan, np.nan]])
    assert pck(found, truth, 100) == 0.5


def test_pck_by_group_holds_the_named_groups_only() -> None:
    names = ["muzzle", "chin", "tail0", "hip.L"]
    truth = np.zeros((4, 2))
    found = np.array([[0, 0], [50, 0], [0, 0], [99, 0]])
    assert pck_by_group(names, found, truth, 100) == {"pck": 0.5, "pck_head": 0.5, "pck_tail": 1.0, "pck_upper_legs": 0.0}


@pytest.mark.parametrize(("a", "b", "apart"), [(350, 10, 20), (10, 350, 20), (0, 180, 180), (90, 45, 45)])
def test_headings_differ_the_shorter_way_round(a: float, b: float, apart: float) -> None:
    assert angle_between(a, b) == apart


@pytest.mark.parametrize("elevation", [0.0, 30.0, 60.0])
@pytest.mark.parametrize("azimuth", [0.0, 40.0, 90.0, 200.0])
def test_the_heading_on_the_ground_does_not_change_with_the_cameras_height(azimuth: float, elevation: float) -> None:
    turn = view_turn(azimuth, elevation)
    found = heading_on_ground(turn @ [0, 0, 1], turn @ [0, 1, 0])
    assert found == pytest.approx(heading_of(view_turn(azimuth, 0) @ [0, 0, 1]), abs=1e-6)
    assert found == pytest.approx((90 + azimuth) % 360, abs=1e-6)


def test_a_rising_back_has_the_heading_of_its_shadow() -> None:
    turn = view_turn(30, 20)
    assert heading_on_ground(turn @ [0, 0.8, 1], turn @ [0, 1, 0]) == pytest.approx(120)


def test_a_camera_that_looks_straight_down_knows_no_heading() -> None:
    assert np.isnan(heading_on_ground(np.array([1.0, 0, 0]), np.array([0.0, 0, -1])))


def test_a_surface_is_found_again_whatever_its_scale_and_place() -> None:
    target = cloud()
    scale, shift, distance = match_surfaces((target - [3, -2, 8]) / 2.5, target)
    assert scale == pytest.approx(2.5) and shift == pytest.approx([3, -2, 8]) and distance < EXACT


def test_scale_and_place_are_found_where_one_end_is_swollen() -> None:
    # Equal centroids and sizes would be wrong here: a third of the points sits on a lump that the truth lacks.
    truth = cloud(3000)
    lump = truth[np.argsort(truth[:, 0])[:1000]] + np.random.default_rng(0).normal(0, 0.05, (1000, 3))
    scale, _, distance = match_surfaces(np.concatenate([truth, lump]) * 0.1, truth)
    assert scale == pytest.approx(10, rel=0.05)
    assert distance < 0.02


def test_chamfer_of_a_bar_and_its_bent_middle() -> None:
    # One of three points stands 3 off. Where the bars lie on each other the mean is (0 + 3 + 0) / 3 each way, over a diagonal of 10.
    truth = np.array([[-5.0, 0, 0], [0, 0, 0], [5, 0, 0]])
    found = np.array([[-5.0, 0, 0], [0, 3, 0], [5, 0, 0]])
    assert chamfer_over_diagonal(found, truth) == pytest.approx(0.1, rel=0.01)


def test_no_other_scale_and_place_is_nearer() -> None:
    # A lump against one with a limb that stands off: every scale and shift of a fine grid is tried.
    truth = cloud(300)
    found = truth.copy()
    found[:60, 2] += 1.0
    distance = match_surfaces(0.3 * found + 2, truth)[2]
    tree = cKDTree(truth)
    tried = []
    for scale in np.linspace(0.8, 1.1, 13):
        for x, z in np.stack(np.meshgrid(np.linspace(-0.2, 0.2, 9), np.linspace(-0.3, 0.1, 9)), -1).reshape(-1, 2):
            moved = scale * found + [x, 0, z]
            tried.append((tree.query(moved)[0].mean() + cKDTree(moved).query(truth)[0].mean()) / 2)
    assert distance <= min(tried) * 1.02


def test_chamfer_counts_a_wrong_rotation_and_not_scale_or_place() -> None:
    truth = cloud(2000)
    assert chamfer_over_diagonal(truth * 3 + 7, truth) < EXACT
    errors = [chamfer_over_diagonal(truth @ turn_about_up(angle).T, truth) for angle in (0, 10, 45, 90)]
    assert errors[0] < EXACT and errors == sorted(errors) and errors[-1] > 0.04


def test_a_surface_may_not_be_shrunk_to_a_dot() -> None:
    far = np.concatenate([corners((1, 1, 1)), corners((1, 1, 1)) * 0.01])
    scale, _, _ = match_surfaces(far @ turn_about_up(45).T, corners((0.01, 20, 0.01)))
    equal = np.linalg.norm(corners((0.01, 20, 0.01)), axis=1).mean()
    assert scale > metrics.SCALE_RANGE[0] * 0.5 * equal


def test_joints_match_after_any_similarity_and_are_counted_over_the_diagonal() -> None:
    truth = cloud(42)
    moved = 0.2 * truth @ turn_about_up(130).T + [4, 5, 6]
    assert aligned_joint_error(moved, truth) < EXACT
    wrong = moved.copy()
    wrong[7] += [0.05, 0, 0]
    error = aligned_joint_error(wrong, truth)
    assert error > 1e-3
    assert aligned_joint_error(wrong, 10 * truth) == pytest.approx(error)  # a share of the animal, not a length
    diagonal = np.linalg.norm(np.ptp(truth, axis=0))
    assert aligned_joint_error(wrong, truth, 2 * diagonal) == pytest.approx(error / 2)


def test_a_mirrored_skeleton_is_no_match() -> None:
    truth = cloud(42)
    assert aligned_joint_error(truth * (-1, 1, 1), truth) > 0.02


def test_joint_error_by_hand() -> None:
    # A cross whose upright stands 1 too long at both ends: scale s = (1*1*2 + 2*1*2) / (1*1*2 + 2*2*2) = 0.6 by least squares.
    truth = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    found = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 2, 0], [0, -2, 0]])
    assert aligned_joint_error(found, truth) == pytest.approx(((1 - 0.6) + (1.2 - 1)) / 2 / np.hypot(2, 2))


def test_absent_joints_are_left_out_of_the_joint_error_but_not_of_the_diagonal() -> None:
    truth = cloud(42)
    found = truth.copy()
    found[3] = np.nan
    assert aligned_joint_error(found, truth) < EXACT
