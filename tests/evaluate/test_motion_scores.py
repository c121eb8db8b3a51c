"""Scores of motions: the truth scores in full wherever it stands, and a known fault gives the number that it must."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.data.clip_truth import feet, leg_length
from backend.evaluate import motion_scores as scores
from backend.evaluate.frame_by_frame import in_the_world
from backend.evaluate.motion_scores import Similarity
from backend.rig.kinematics import pose_points
from backend.rig.rotations import axis_angle_to_matrix, euler_to_matrix
from backend.rig.template import load_quadruped
from tests.data.filmed import walk
from tests.rig.animals import rest_points

FPS, FRAMES, SPEED = 24.0, 36, 0.8
EXACT = 1e-6
INDEX = load_quadruped().point_index


def walking(swing: float = 0.35, speed: float = SPEED, stays: bool = False) -> np.ndarray:
    """(FRAMES, 42, 3): every thigh swings by `swing` radians to either side, front left with hind right; the others half a cycle later."""
    template = load_quadruped()
    phase = 2 * np.pi * np.arange(FRAMES) / 24
    angles = torch.zeros(FRAMES, len(template.bones), 3, dtype=torch.float64)
    for number, leg in enumerate(template.legs):
        turn = np.sin(phase + np.pi * (number in (1, 2)))
        if not stays:
            angles[:, leg.bones[0], 0] = torch.from_numpy(swing * turn)
            angles[:, leg.bones[1], 0] = torch.from_numpy(0.8 * swing * turn)
    angles[:, template.bone_index["neck.001"], 0] = torch.from_numpy(0.2 * np.sin(phase))
    points = pose_points(torch.from_numpy(rest_points())[None], euler_to_matrix(angles)).numpy()
    return points + (speed / FPS * np.arange(FRAMES))[:, None, None] * [0.0, 0.0, 1.0]


LEG = leg_length(rest_points())
ELSEWHERE = Similarity(2.5, axis_angle_to_matrix(np.array([0.0, 1.0, 0.0]), np.asarray(1.1)), np.array([4.0, -1.0, 7.0]))


def test_the_truth_scores_in_full_wherever_it_stands() -> None:
    truth = walking()
    aligned = scores.align(ELSEWHERE(truth), truth)
    assert scores.joint_error(aligned, truth, 1.0) < EXACT
    assert scores.acceleration_error(aligned, truth, FPS, 1.0) < 1e-3
    assert scores.bone_angle_error(aligned, truth) < 1e-3
    assert not scores.find_swaps(aligned, truth, LEG).any()
    assert scores.swing_scores(ELSEWHERE(truth), truth) == pytest.approx({"range": 1, "range_within": 1}, abs=EXACT)
    found, known = scores.find_contacts(ELSEWHERE(truth), FPS, 2.5), scores.find_contacts(truth, FPS, 1.0)
    assert np.array_equal(found, known) and scores.contact_f1(found, known) == 1


def test_joints_that_are_off_count_by_their_share() -> None:
    truth = walking()
    off = truth.copy()
    off[:, INDEX["muzzle"]] += [0.0, 0.3, 0.0]
    assert scores.joint_error(off, truth, 1.0) == pytest.approx(0.3 / 42)
    assert scores.joint_error(off, truth, 2.0) == pytest.approx(0.15 / 42)
    missing = truth.copy()
    missing[:, [INDEX[f"tail{k}"] for k in range(1, 5)]] = np.nan
    assert scores.joint_error(scores.align(missing, truth), truth, 1.0) < EXACT  # no tail: the others count


def test_an_animal_that_walks_on_the_spot_is_wrong_in_the_world() -> None:
    truth, spot = walking(), walking(speed=0.0)
    error = scores.joint_error(scores.align(spot, truth), truth, 1.0)
    way = SPEED * (FRAMES - 1) / FPS
    assert 0.15 * way < error < 0.3 * way  # a quarter of the way, were the animal a point; the one similarity stretches it a little


def test_a_wrong_way_is_no_wrong_pose() -> None:
    truth = walking()
    turns = axis_angle_to_matrix(np.tile([0.0, 1.0, 0.0], (FRAMES, 1)), np.linspace(0, 1, FRAMES))
    astray = truth @ turns.swapaxes(1, 2) + np.linspace(0, 3, FRAMES)[:, None, None] * [1.0, 0, 0]
    assert scores.joint_error(astray, truth, 1.0) > 0.5 and scores.pose_error(3 * astray, truth, 1.0) < EXACT
    outward = 0.02 * (-1.0) ** np.arange(FRAMES)[:, None] * turns[:, :, 0]
    for side, sign in (("L", 1), ("R", -1)):  # both outward, then both inward: neither a rigid motion nor the scale helps
        astray[:, INDEX[f"ear_tip.{side}"]] += sign * outward
    assert scores.pose_error(astray, truth, 1.0) == pytest.approx(2 * 0.02 / 42, rel=0.05)


def test_one_similarity_serves_the_whole_clip() -> None:
    truth = walking()
    growing = truth * np.linspace(0.9, 1.1, FRAMES)[:, None, None]
    assert scores.joint_error(scores.align(growing, truth), truth, 1.0) > 0.02


def test_a_stiff_animal_has_no_error_of_its_mean_pose_and_a_moving_one_its_own() -> None:
    rest, moves = rest_points(), np.arange(FRAMES) % 2 * 2.0 - 1
    turns = axis_angle_to_matrix(np.tile([0.0, 0.6, 0.8], (FRAMES, 1)), np.linspace(0, 2, FRAMES))
    assert scores.mean_pose_error(rest @ turns.swapaxes(1, 2) + np.arange(FRAMES)[:, None, None], 1.0) < EXACT
    flapping = np.tile(rest, (FRAMES, 1, 1))
    for side, sign in (("L", 1), ("R", -1)):  # both outward: no rigid motion helps
        flapping[:, INDEX[f"ear_tip.{side}"], 0] += 0.1 * sign * moves
    assert scores.mean_pose_error(flapping, 1.0) == pytest.approx(2 * 0.1 / 42, rel=1e-3)


def test_trembling_has_the_acceleration_of_its_step() -> None:
    truth, size = walking(), 0.004
    tremble = truth + size * (-1.0) ** np.arange(FRAMES)[:, None, None] * [1.0, 0, 0]
    assert scores.acceleration_error(tremble, truth, FPS, 1.0) == pytest.approx(4 * size * FPS**2)
    assert scores.acceleration_error(truth + [3.0, 1, 0], truth, FPS, 1.0) < EXACT  # a shift is no tremble
    assert scores.acceleration_error(scores.about_pelvis(tremble), scores.about_pelvis(truth), FPS, 1.0) < 1e-3  # the whole of it trembles
    gap = tremble.copy()
    gap[10] = np.nan
    assert scores.acceleration_error(gap, truth, FPS, 1.0) == pytest.approx(4 * size * FPS**2)


def test_bones_turned_by_an_angle_are_off_by_it() -> None:
    truth = walking()
    about = truth.mean(1, keepdims=True)
    turned = (truth - about) @ axis_angle_to_matrix(np.array([0.0, 0, 1]), np.asarray(0.1)).T + about
    assert scores.bone_angle_error(turned, truth) <= np.degrees(0.1) + EXACT
    assert scores.bone_angle_error(turned, truth) > np.degrees(0.05)


def test_a_foot_that_slides_is_told_by_how_far() -> None:
    points = walking(stays=True, speed=0.0)
    contacts = np.zeros((FRAMES, 4), bool)
    contacts[4:25, 0] = True  # 21 frames; 19 without its ends
    still = scores.foot_slide(points, contacts, LEG)
    assert still["slide"] == still["slide_most"] == still["slide_ends"] == pytest.approx(0, abs=EXACT)
    step = 0.01
    points[:, INDEX["front_tip.L"], 2] += step * np.arange(FRAMES)
    slid = scores.foot_slide(points, contacts, LEG)
    assert slid["slide"] == pytest.approx(step * 9 / LEG) and slid["slide_ends"] == pytest.approx(step * 10 / LEG)
    contacts[4:25, 3] = True  # a second foot, that stands
    assert scores.foot_slide(points, contacts, LEG)["slide"] == pytest.approx(step * 4.5 / LEG)
    assert scores.foot_slide(points, contacts, LEG)["slide_most"] == pytest.approx(step * 9 / LEG)
    points[:, INDEX["front_tip.L"], 1] += 0.5  # height is no slide
    assert scores.foot_slide(points, contacts, LEG)["slide_most"] == pytest.approx(step * 9 / LEG)


def test_legs_that_are_taken_for_each_other_are_found() -> None:
    truth = walking()
    apart = scores.find_swaps(crossed(truth, front=True, hind=True), truth, LEG)
    # Half a cycle apart, the legs differ but where they pass each other.
    assert apart.mean() > 0.8 and not apart[np.abs(np.sin(2 * np.pi * np.arange(FRAMES) / 24)) < 1e-6].any()
    for number, front in enumerate((True, False)):
        found = scores.find_swaps(crossed(truth, front, not front), truth, LEG)
        assert np.array_equal(found[:, number], apart[:, number]) and not found[:, 1 - number].any()
    briefly = truth.copy()
    briefly[5:9] = crossed(truth, True, False)[5:9]
    assert np.flatnonzero(scores.find_swaps(briefly, truth, LEG)[:, 0]).tolist() == [5, 6, 7, 8]


def crossed(points: np.ndarray, front: bool, hind: bool) -> np.ndarray:
    """The same animal, its left leg doing what the right one did, where it hangs: what a reader of silhouettes gets wrong."""
    out = points.copy()
    for wanted, joints in zip((front, hind), scores.CHAINS, strict=True):
        for side, other in ("LR", "RL"):
            own, theirs = ([INDEX[f"{joint}.{s}"] for joint in joints] for s in (side, other))
            if wanted:
                away = points[:, theirs] - points[:, theirs[:1]]
                out[:, own] = points[:, own[:1]] + away * [-1, 1, 1]
    return out


def test_half_a_swing_is_half_the_range() -> None:
    found = scores.swing_scores(walking(swing=0.175), walking(swing=0.35))
    assert found["range"] == pytest.approx(0.5, abs=0.02) and found["range_within"] == 0
    nearly = scores.swing_scores(walking(swing=0.3), walking(swing=0.35))
    assert 0.8 < nearly["range"] < 0.9 and nearly["range_within"] == 1
    assert np.isnan(scores.swing_scores(walking(), walking(stays=True))["range"])  # nothing truly swings


def test_contacts_are_read_from_how_feet_move() -> None:
    motion = walk()
    found = scores.find_contacts(motion.points.astype(float), FPS, 1.0)
    assert scores.contact_f1(found, motion.contacts) > 0.9
    assert scores.contact_f1(np.roll(found, 6, 0), motion.contacts) < 0.7  # a quarter of a cycle late
    assert scores.find_contacts(walking(stays=True, speed=0.0), FPS, 1.0).all()
    lifted = walking(stays=True, speed=0.0)
    lifted[10:20, INDEX["hind_tip.R"], 1] += 0.1
    off = scores.find_contacts(lifted, FPS, 1.0)
    assert np.flatnonzero(~off[:, 3]).tolist() == list(range(10, 20)) and off[:, :3].all()


def test_f1_of_contacts() -> None:
    truth, found = np.zeros((10, 4), bool), np.zeros((10, 4), bool)
    assert scores.contact_f1(found, truth) == 1
    truth[:4, 0] = True
    assert scores.contact_f1(found, truth) == 0
    found[2:8, 0] = True  # two of four found, four of six wrong
    assert scores.contact_f1(found, truth) == pytest.approx(2 * 2 / (6 + 4))


def test_frames_of_their_own_come_into_the_world_by_the_true_cameras_and_one_scale() -> None:
    truth = walking()
    cameras = np.tile(np.eye(4), (FRAMES, 1, 1))
    cameras[:, :3, :3] = axis_angle_to_matrix(np.tile([0.0, 1, 0], (FRAMES, 1)), np.linspace(0, 0.4, FRAMES))
    cameras[:, :3, 3] = [0.2, -0.5, 9.0]
    seen = truth @ cameras[:, :3, :3].swapaxes(1, 2) + cameras[:, None, :3, 3]
    own = seen / 3
    own[4] = np.nan
    placed = in_the_world(own, cameras, truth)
    assert np.isnan(placed[4]).all() and np.abs(np.delete(placed - truth, 4, 0)).max() < EXACT
    assert scores.acceleration_error(placed, truth, FPS, 1.0) < 1e-3
    nearer = own * (1 + 0.01 * (-1.0) ** np.arange(FRAMES))[:, None, None]  # every other frame one per cent nearer
    jitter = scores.acceleration_error(in_the_world(nearer, cameras, truth), truth, FPS, 1.0)
    assert jitter == pytest.approx(4 * 0.01 * 9 * FPS**2, rel=0.2)


def test_feet_come_in_the_order_of_the_legs() -> None:
    tips = feet(rest_points()[None])[0]
    assert (np.sign(tips[:, 0]) == [1, -1, 1, -1]).all() and (tips[:2, 2] > tips[2:, 2] + 0.5).all()
