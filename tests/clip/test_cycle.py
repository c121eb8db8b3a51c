"""The loop in a motion: its period, its seam, its travel."""

from __future__ import annotations

import numpy as np
import pytest

from tests.clip.core import core, seen

cycle, keys = core("cycle"), core("keys")
GAITS = ("horse_walk", "horse_trot", "horse_gallop", "wolf_run", "deer_bound", "elephant_walk")
FRAME = 1.0
"""By which a period may be off: a cycle has whole frames."""
SEAM = 1.5
"""How much faster a bone may turn over the seam than anywhere else in the cycle."""


@pytest.mark.parametrize("name", GAITS)
@pytest.mark.parametrize("cycles", [1.7, 3.2])
def test_the_period_is_found_and_never_half_of_it(name: str, cycles: float) -> None:
    period = seen(name, 4).period
    walk = seen(name, round(period * cycles), noise=0.005)
    loop = cycle.find_loop(walk.rig, walk.moves)
    assert abs(len(loop.moves.rotations) - 1 - walk.period) <= FRAME and loop.alike > cycle.ALIKE


@pytest.mark.parametrize("name", GAITS)
@pytest.mark.parametrize("turning", [0.0, 0.3])
def test_it_closes_in_pose_and_speed_and_goes_straight_on(name: str, turning: float) -> None:
    period = seen(name, 4).period
    walk = seen(name, round(period * 2.6), turning=turning)
    moves = cycle.find_loop(walk.rig, walk.moves).moves
    assert np.array_equal(moves.rotations[0], moves.rotations[-1])
    around = np.concatenate([moves.rotations[:-1], moves.rotations[:-1]])
    speeds = keys.turned_by(around[1:], around[:-1])  # (2 t - 1, b)
    seam = len(moves.rotations) - 2
    assert (speeds[seam] <= SEAM * np.delete(speeds, seam, 0).max(0) + np.radians(0.5)).all()
    gained = moves.locations[-1] - moves.locations[0]
    assert abs(gained[2]) < 1e-9
    assert np.linalg.norm(gained) == pytest.approx(np.linalg.norm(walk.step), rel=0.03)


def test_without_frames_before_it_the_loop_closes_as_well() -> None:
    walk = seen("horse_walk", 60)
    path = cycle.Path.of(walk.rig, walk.moves)
    moves = cycle.close(walk.rig, walk.moves, path, 0, 39.0, 1.0).moves
    assert np.array_equal(moves.rotations[0], moves.rotations[-1]) and moves.locations[-1, 2] == pytest.approx(moves.locations[0, 2])


@pytest.mark.parametrize("frames", [3, 12, 40])
def test_what_never_repeats_has_no_loop(frames: int) -> None:
    walk = seen("horse_walk", frames)
    ahead = np.linspace(0, 1, frames)[:, None, None] * np.ones((1, len(walk.rig.names), 1))
    half = 0.6 * ahead[..., 0]
    rotations = np.stack([np.cos(half), np.sin(half), 0 * half, 0 * half], -1)
    assert cycle.find_loop(walk.rig, keys.Moves(rotations, 0 * walk.moves.locations, 24.0)) is None


def test_a_still_animal_has_no_loop() -> None:
    walk = seen("horse_walk", 50)
    still = np.repeat(walk.moves.rotations[:1], 50, 0)
    assert cycle.find_loop(walk.rig, keys.Moves(still, 0 * walk.moves.locations, 24.0)) is None
