"""What stands still: feet in contact, the camera, and the term that holds feet where they stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.methods.fauna.clip.feet import Feet, foot_indices
from backend.methods.fauna.clip.world import Standing, World, about, find_world, upward
from backend.rig.rotations import axis_angle_to_matrix
from backend.rig.template import load_quadruped

TEMPLATE = load_quadruped()
FRAMES, FPS, LEG = 40, 20.0, 1.2
STRIDE, STANCE = 20, 0.62
"""Frames of a step of all four feet, and share of it for which each stands."""
SPEED = 1.5
"""Object units a second."""
STARTS = (0.0, 0.5, 0.75, 0.25)
"""When in the stride each foot is put down."""
FAIR = 0.85
"""F1 of the contacts, as the issue of clips asks."""
TRAVEL = 0.1
"""Share of its way by which the camera's may be missed."""
DOWN = axis_angle_to_matrix(np.array([1.0, 0.0, 0.0]), np.asarray(np.pi + 0.2))
CAMERA = DOWN @ axis_angle_to_matrix(np.array([0.0, 1.0, 0.0]), np.asarray(1.1))
"""World to camera: it looks down a little and sees the animal from its side."""
DOWN_STRAIGHT = axis_angle_to_matrix(np.array([1.0, 0.0, 0.0]), np.asarray(np.pi))
AWAY = np.array([0.2, 0.4, 12.0])
UP = CAMERA[:, 1]


def walk() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World, Y up, +Z ahead: tips (t, 4, 3), body (t, 3), which stand (t, 4)."""
    step = SPEED * STRIDE / FPS  # of the body, a stride
    tips, stands = np.zeros((FRAMES, 4, 3)), np.zeros((FRAMES, 4), bool)
    for foot, begun in enumerate(STARTS):
        strides = np.arange(FRAMES) / STRIDE - begun
        number, part = np.floor(strides), strides % 1
        stands[:, foot] = part < STANCE
        swing = np.clip((part - STANCE) / (1 - STANCE), 0, 1)
        ahead = 0.9 if foot % 2 == 0 else -0.6
        tips[:, foot, 2] = (number + begun + STANCE / 2) * step + step * (3 * swing**2 - 2 * swing**3) + ahead
        tips[:, foot, 1] = 0.25 * np.sin(np.pi * swing)
        tips[:, foot, 0] = 0.25 if foot < 2 else -0.25
    body = np.stack([np.zeros(FRAMES), 1.5 + 0.03 * np.sin(4 * np.pi * np.arange(FRAMES) / STRIDE), step * np.arange(FRAMES) / STRIDE], 1)
    return tips, body, stands


def filmed(goes: float, noise: float = 0.0) -> tuple[Feet, np.ndarray]:
    """Feet before a camera that goes along with so much of the animal's way, and which of them stand."""
    tips, body, stands = walk()
    gone = goes * body * [0, 0, 1]
    dice = np.random.default_rng(7)
    seen = (tips - gone[:, None]) @ CAMERA.T + AWAY
    ahead = np.tile(CAMERA[:, 2], (FRAMES, 1))
    missed = np.zeros((FRAMES - 1, 4, 3))
    return Feet(seen + noise * dice.normal(size=seen.shape), (body - gone) @ CAMERA.T + AWAY, ahead, LEG, missed), stands


def f1(found: np.ndarray, known: np.ndarray) -> float:
    return float(2 * (found & known).sum() / (found.sum() + known.sum()))


@pytest.mark.parametrize(
    ("rolled", "least", "most"), [(0.0, 0.0, 0.1), (4.0, 0.0, 1.0), (-4.0, 0.0, 1.0), (25.0, 20.0, 25.1), (90.0, 89.0, 90.1)]
)
def test_a_camera_is_taken_to_be_level_unless_it_clearly_is_not(rolled: float, least: float, most: float) -> None:
    view = axis_angle_to_matrix(np.array([0.0, 0.0, 1.0]), np.asarray(np.radians(rolled))) @ CAMERA
    up = upward(torch.from_numpy(view[None]).float())
    assert least <= abs(np.degrees(np.arctan2(up[0], -up[1]))) <= most
    assert np.arcsin(up[2]) == pytest.approx(np.arcsin(CAMERA[2, 1]), abs=0.02), "how far it looks down is as it was seen"
    assert np.linalg.norm(up) == pytest.approx(1)


@pytest.mark.parametrize("goes", [0.0, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_feet_stand_when_they_stand_and_the_camera_goes_when_it_goes(goes: float, noise: float) -> None:
    feet, stands = filmed(goes, noise)
    assert 0.3 < stands.mean() < 0.8
    world = find_world(feet, UP, FPS, "auto")
    assert world.moving == (goes > 0)
    assert f1(world.contacts, stands) >= FAIR
    travelled = np.linalg.norm(walk()[1][-1] - walk()[1][0])
    off = np.linalg.norm(world.path[-1] - goes * CAMERA @ (walk()[1][-1] - walk()[1][0]))
    assert off < TRAVEL * travelled
    ground = float(AWAY @ UP)
    np.testing.assert_allclose(world.height, ground, atol=0.05 * LEG)


def test_an_animal_that_stands_moves_no_camera() -> None:
    feet, _ = filmed(0.0)
    still = replace(feet, tips=np.repeat(feet.tips[:1], FRAMES, 0), body=np.repeat(feet.body[:1], FRAMES, 0))
    world = find_world(still, UP, FPS, "auto")
    assert not world.moving
    grounded = still.tips[0] @ UP < AWAY @ UP + 0.01
    assert grounded.sum() >= 2 and world.contacts[:, grounded].all()


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("pan", [1.0, -1.0])
def test_a_camera_that_turns_after_an_animal_is_found_without_a_background(noise: float, pan: float) -> None:
    feet, stands = filmed(0.0, noise)
    middle, travel = feet.body.mean(0), feet.body - feet.body[0]
    sight = middle - (middle @ UP) * UP
    swept = np.linalg.norm(travel[-1]) / np.linalg.norm(sight) * np.sign(travel[-1] @ np.cross(UP, sight))
    angles = pan * swept * np.arange(FRAMES) / (FRAMES - 1)
    seen = feet.turned(np.swapaxes(about(UP, angles), 1, 2))
    world = find_world(seen, UP, FPS, "moving")
    if pan > 0:
        np.testing.assert_allclose(world.steady, about(UP, angles), atol=0.1 * abs(swept))
        assert np.linalg.norm(world.path[-1]) < 0.3 * np.linalg.norm(travel[-1])
        assert f1(world.contacts, stands) >= FAIR
    else:  # no camera turns away from what it films
        np.testing.assert_array_equal(world.steady, np.tile(np.eye(3), (FRAMES, 1, 1)))
    known = find_world(seen, UP, FPS, "moving", steadied=True)
    np.testing.assert_array_equal(known.steady, np.tile(np.eye(3), (FRAMES, 1, 1)))


def test_a_camera_that_sways_in_a_hand_leaves_feet_where_they_stand() -> None:
    feet, stands = filmed(1.0, 0.01)
    sway = 0.35 * np.sin(2 * np.pi * 0.9 * np.arange(FRAMES) / FPS)
    seen = feet.lowered(-sway, UP)
    world = find_world(seen, UP, FPS, "auto")
    assert world.moving and f1(world.contacts, stands) >= FAIR
    heights = (seen.tips + world.path[:, None]) @ UP - world.height[:, None]
    assert np.abs(heights[stands]).mean() < 0.04 * LEG
    assert f1(find_world(seen, UP, FPS, "auto", steadied=True).contacts, stands) < f1(world.contacts, stands)


def test_steps_that_feet_are_told_to_miss_lengthen_the_way() -> None:
    feet, _ = filmed(1.0)
    travelled = float(np.linalg.norm(walk()[1][-1] - walk()[1][0]))
    from_body = feet.tips - feet.body[:, None]
    middle = from_body.mean(0)
    short = replace(feet, tips=feet.body[:, None] + middle + 0.8 * (from_body - middle))
    told = replace(short, missed=0.2 * np.diff(from_body, axis=0))
    whole, less, again = (find_world(each, UP, FPS, "moving") for each in (feet, short, told))
    ways = [float(np.linalg.norm(found.way[-1])) for found in (whole, less, again)]
    assert ways[1] < 0.85 * ways[0] and ways[2] == pytest.approx(ways[0], rel=0.02)
    assert abs(ways[0] - travelled) < TRAVEL * travelled


def test_a_way_that_is_known_is_kept() -> None:
    feet, stands = filmed(1.0, 0.01)
    known = (walk()[1] * [0, 0, 1.1]) @ CAMERA.T
    world = find_world(feet, UP, FPS, "moving", known=known)
    np.testing.assert_allclose(world.way, known - (known @ UP)[:, None] * UP, atol=1e-12)
    assert f1(world.contacts, stands) >= FAIR


def test_what_was_said_of_the_camera_is_obeyed() -> None:
    going, _ = filmed(1.0)
    still = find_world(going, UP, FPS, "still")
    assert not still.moving and np.abs(still.path).max() == 0
    standing, _ = filmed(0.0)
    assert find_world(standing, UP, FPS, "moving").moving


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_of_one_and_two_frames_have_a_ground(frames: int) -> None:
    feet, _ = filmed(0.0)
    some = Feet(feet.tips[:frames], feet.body[:frames], feet.ahead[:frames], LEG, feet.missed[: frames - 1])
    world = find_world(some, UP, FPS, "auto")
    assert not world.moving and world.contacts.shape == (frames, 4) and np.isfinite(world.height).all()


def energy_of(tips: np.ndarray, body: np.ndarray, goes: float = 0.0) -> float:
    """What `Standing`, told of the walk as it is, says of such feet and body, world axes."""
    _, true_body, stands = walk()
    gone = goes * true_body * [0, 0, 1]
    count = len(tips)
    path, way = gone @ CAMERA.T, (true_body * [0, 0, 1]) @ CAMERA.T
    world = World(UP, np.full(count, float(AWAY @ UP)), np.tile(np.eye(3), (count, 1, 1)), path, way, stands, goes > 0)
    points = torch.zeros(count, len(TEMPLATE.points), 3)
    points[:, foot_indices(TEMPLATE)[0]] = torch.from_numpy(tips - body[:, None]).float()
    view = torch.from_numpy(CAMERA).float().expand(count, 3, 3)
    place = torch.from_numpy((body - gone) @ CAMERA.T + AWAY).float()
    return float(Standing(world, TEMPLATE, FPS)(points, view, place))


@pytest.mark.parametrize("goes", [0.0, 1.0])
def test_the_true_motion_costs_nothing_and_faults_do(goes: float) -> None:
    tips, body, stands = walk()
    assert energy_of(tips, body, goes) < 1e-6
    sliding = tips + 0.02 * np.arange(FRAMES)[:, None, None] * [0, 0, 1] * stands[..., None]
    assert energy_of(sliding, body, goes) > 1
    assert energy_of(tips - [0, 0.1, 0], body, goes) > 1  # below the ground
    assert energy_of(tips + 0.1 * stands[..., None] * [0, 1, 0], body, goes) > 0.5  # standing on nothing
    assert energy_of(tips, body + 0.1 * np.arange(FRAMES)[:, None] * [1, 0, 0], goes) > 1  # to its side


def test_a_body_that_wavers_costs_more_than_one_that_turns() -> None:
    """Per radian: who truly turns is let go."""
    count = 40
    world = World(
        np.array([0.0, -1, 0]), np.zeros(count), np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)), np.zeros((count, 3)),
        np.zeros((count, 4), bool), False,
    )  # fmt: skip
    term = Standing(world, TEMPLATE, FPS)
    still = torch.zeros(count, len(TEMPLATE.points), 3)

    def cost(degrees: np.ndarray) -> float:
        view = about(np.array([0.0, 1, 0]), np.radians(degrees)) @ DOWN_STRAIGHT
        return float(term(still, torch.from_numpy(view).float(), torch.zeros(count, 3)))

    frames = np.arange(count)
    straight, wavers, turns = cost(0 * frames), cost(5 * np.sin(frames / 6)), cost(90 * frames / count)
    assert straight == pytest.approx(0, abs=1e-6) and wavers > 0
    assert turns / 90**2 < 0.25 * wavers / 10**2


def test_feet_that_swing_are_not_held() -> None:
    tips, body, stands = walk()
    elsewhere = tips + 0.2 * ~stands[..., None] * [0.3, 1, 1]
    assert energy_of(elsewhere, body) < 1e-6
