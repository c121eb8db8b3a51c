"""Ready motions from made-up clips: loops close, speed and contacts are found, feet stand, equal input gives equal bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from backend.asset.container import unpack
from backend.data import footing, gait, ready_motions, thumbnails
from backend.data.ready_motions import Choice, ReadyMotion
from backend.rig.kinematics import matrix_to_euler, pose_points, quaternion_to_matrix
from backend.rig.rotations import euler_to_matrix
from backend.rig.skeleton import rest_matrices
from backend.rig.template import load_quadruped
from tests.data.figures import made_up_stage
from tests.rig.animals import rest_points

FRAMES, SECONDS = 16, 1.0
SPEED = 0.8
SLIDE = 0.01
"""Of the leg's length."""
SPLINE = 4e-3
"""How far a spline over two frames that are left out may be from a circle of radius 1."""
CHOICE = Choice("bead_walk", "Bead Walk", "walk", "hoofed", "bead", "bead_walk", FRAMES, True)


def swinging_clip(scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Rest points and those of a clip of FRAMES - 1 frames (a game leaves the last out): legs swing fore and aft and fold in the air."""
    template = load_quadruped()
    rest = torch.from_numpy(rest_points(scale=scale))[None]
    phase = 2 * np.pi * np.arange(FRAMES) / FRAMES
    angles = torch.zeros(FRAMES, len(template.bones), 3, dtype=torch.float64)
    for number, leg in enumerate(template.legs):
        turn = phase + np.pi * (number in (1, 2))
        angles[:, leg.bones[0], 0] = torch.from_numpy(0.3 * np.sin(turn))
        fold = torch.from_numpy(0.7 * np.maximum(np.cos(turn), 0))  # while it swings forward
        angles[:, leg.bones[1], 0] = fold * (1 if leg.front else -1)
        angles[:, leg.bones[2], 0] = fold * (-1 if leg.front else 1)
    posed = pose_points(rest, euler_to_matrix(angles)).numpy()
    return rest[0].numpy(), posed[:-1] + [3.0, 1.0, -2.0]


@pytest.fixture(scope="module")
def motion() -> ReadyMotion:
    rest, posed = swinging_clip()
    return ready_motions.make_motion(CHOICE, rest + [3.0, 1.0, -2.0], posed, SECONDS / FRAMES)


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_a_loop_is_closed_over_the_frames_that_a_file_leaves_out(left_out: int) -> None:
    def path(times: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * times[:, None, None] / 24
        return np.concatenate([np.cos(angle), np.sin(angle), 0.2 * np.sin(2 * angle)], -1)

    points, period = gait.close_loop(path(np.arange(24.0 - left_out)), 48)
    assert period == 24
    assert np.abs(points - path(np.arange(48) / 2)).max() < SPLINE


def test_a_loop_of_three_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="four frames"):
        gait.close_loop(np.zeros((3, 2, 3)), 10)


def test_speed_and_contacts_are_those_of_the_feet_that_stand() -> None:
    times = np.arange(40) / 40
    tips = np.zeros((40, 2, 3))
    stands = np.zeros((40, 2), bool)
    for foot, offset in enumerate((0.0, 0.5)):
        at = (times + offset) % 1
        stands[:, foot] = at < 0.6
        back = 0.24 - SPEED * at
        forth = 0.24 - SPEED * 0.6 + SPEED * 0.6 * (at - 0.6) / 0.4
        tips[:, foot, 2] = np.where(at < 0.6, back, forth)
        tips[:, foot, 1] = np.where(at < 0.6, 0.1, 0.1 + 0.3 * np.sin(np.pi * (at - 0.6) / 0.4))
    speed, contacts = gait.find_gait(tips, tips, np.full(2, 0.1), 1.0)
    assert abs(speed / SPEED - 1) < 0.03
    assert (contacts != stands).sum(0).max() <= 2  # a frame at either end


def test_the_feet_that_stand_do_not_slide_and_no_foot_is_below_the_ground(motion: ReadyMotion) -> None:
    toes = footing.feet()[0]
    lengths = np.linalg.norm(motion.skeleton.tails[toes].astype(np.float64) - motion.skeleton.heads[toes], axis=1)
    tips, _ = ready_motions.standing(rest_matrices(motion.skeleton), lengths, motion.rotations, motion.hips)
    grounds = motion.skeleton.tails[toes, 1]
    assert motion.speed > 0.2 and (motion.contacts.mean(0) > 0.3).all() and (motion.contacts.mean(0) < 0.8).all()
    assert (grounds - tips[..., 1]).max() < SLIDE * 0.7
    for foot in range(4):
        for start, length in gait.runs(motion.contacts[:, foot]):
            frames = start + np.arange(length)
            spots = tips[frames % FRAMES, foot][:, [0, 2]].copy()
            spots[:, 1] += motion.speed * frames * motion.seconds / FRAMES
            assert np.linalg.norm(spots - spots.mean(0), axis=1).max() < SLIDE * 0.7


def test_rotations_are_unit_and_within_the_templates_limits(motion: ReadyMotion) -> None:
    assert np.abs(np.linalg.norm(motion.rotations, axis=-1) - 1).max() < 1e-6
    angles = matrix_to_euler(quaternion_to_matrix(torch.from_numpy(motion.rotations[:, 1:]))).numpy()
    limits = load_quadruped().limits[1:]
    assert (angles >= limits[..., 0]).all() and (angles <= limits[..., 1]).all()
    assert (motion.rotations[:, 0] == [1, 0, 0, 0]).all()


def test_the_cycle_lasts_as_long_as_the_clip_with_the_frame_that_it_leaves_out(motion: ReadyMotion) -> None:
    assert motion.seconds == pytest.approx(SECONDS)


def test_equal_clips_give_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footing, "STEPS", 20)
    rest, posed = swinging_clip()
    first, second = (ready_motions.make_motion(CHOICE, rest, posed, SECONDS / FRAMES) for _ in range(2))
    assert ready_motions.encode_motions([first]) == ready_motions.encode_motions([second])


def test_all_of_a_motion_is_in_the_file(motion: ReadyMotion) -> None:
    arrays, text = unpack(ready_motions.encode_motions([motion]))
    metadata = json.loads(text)
    assert metadata["licence"] == "CC-BY-SA-3.0" and "Wildfire Games" in metadata["credit"]
    assert [entry["name"] for entry in metadata["motions"]] == ["bead_walk"] and metadata["skeletons"] == ["bead"]
    assert arrays["motion.0.rotations"].shape == (FRAMES, len(load_quadruped().bones), 4)
    head = metadata["bones"].index("head")
    assert arrays["skeleton.0.tails"][head, 1] < -0.5  # the muzzle lies toward -Y, Blender's front


def test_every_choice_is_of_a_free_animal() -> None:
    from backend.data import quadrupeds
    from backend.data.zero_ad import is_reserved

    chosen = ready_motions.choices()
    assert len({choice.name for choice in chosen}) == len(chosen) >= 12
    assert not any(is_reserved(choice.animal) for choice in chosen)
    assert {choice.animal for choice in chosen} <= set(quadrupeds.names())
    assert {"idle", "walk", "run", "graze"} <= {choice.kind for choice in chosen}


def test_a_picture_shows_the_whole_animal_on_nothing() -> None:
    stage = made_up_stage()
    picture = thumbnails.paint(stage.animal, stage.animal.vertices, np.full((4, 4, 4), 200, np.uint8))
    covered = picture[..., 3] > 0
    assert 0.05 < covered.mean() < 0.6
    assert not (covered[0].any() or covered[-1].any() or covered[:, 0].any() or covered[:, -1].any())
    assert picture[covered][:, :3].mean() > 60
