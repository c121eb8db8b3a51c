"""Few keys hold a motion: bones within the angle, feet within their places, standing ones the nearer."""

from __future__ import annotations

import numpy as np
import pytest

from tests.clip.core import core, seen

keys = core("keys")
ROOM = 1.02
"""A fit's last bit."""


def drawn(track: object, count: int) -> np.ndarray:
    """(t, c) cubics through a track's keys, written down once more and slowly."""
    out = np.repeat(track.values[:1], count, 0)
    for number in range(len(track.frames) - 1):
        a, b = track.frames[number], track.frames[number + 1]
        for frame in range(a, b + 1):
            t, w = (frame - a) / (b - a), b - a
            out[frame] = (
                (2 * t**3 - 3 * t**2 + 1) * track.values[number] + (t**3 - 2 * t**2 + t) * w * track.slopes[number]
                + (3 * t**2 - 2 * t**3) * track.values[number + 1] + (t**3 - t**2) * w * track.slopes[number + 1]
            )  # fmt: skip
    return out


@pytest.mark.parametrize(("name", "frames"), [("horse_walk", 70), ("wolf_run", 60), ("elephant_walk", 250)])
@pytest.mark.parametrize(("degrees", "share"), [(0.5, 0.003), (2.0, 0.01)])
def test_bones_and_feet_are_held_with_fewer_keys(name: str, frames: int, degrees: float, share: float) -> None:
    walk = seen(name, frames)
    tolerance = keys.Tolerance(np.radians(degrees), share)
    found = keys.reduce_keys(walk.rig, walk.moves, tolerance)
    rotations = np.stack([drawn(track, frames) for track in found.turns], 1)
    locations = drawn(found.places, frames)
    assert keys.turned_by(rotations, walk.moves.rotations).max() <= ROOM * tolerance.angle
    feet = keys.feet_of(walk.rig)
    assert len(feet) == 4
    wanted, joints = keys.tips_of(walk.rig, walk.moves.rotations, walk.moves.locations, feet)
    tips, _ = keys.tips_of(walk.rig, rotations, locations, feet)
    off = np.linalg.norm(tips - wanted, axis=-1)
    stands = keys.standing(walk.rig, walk.moves, wanted, joints[:, feet], feet)
    assert 0.1 < stands.mean() < 0.95
    assert off.max() <= ROOM * share and off[stands].max() <= ROOM * keys.STANDING_SHARE * share + 2 * keys.NOTHING
    assert found.count < 0.75 * keys.every_key(walk.moves).count


def test_a_swing_needs_five_keys_at_most() -> None:
    """One swing of 20 degrees to either side in 24 frames, held to half a degree; five of them in a row."""
    half = np.radians(10) * np.sin(2 * np.pi * np.arange(121) / 24)
    channel = keys.Channel(np.stack([np.cos(half), np.sin(half), 0 * half, 0 * half], -1), False)
    keys.thin(channel, np.radians(0.5), keys.turned_by)
    assert channel.marks.sum() <= 5 * 5 + 1


def test_a_wider_tolerance_takes_fewer_keys() -> None:
    walk = seen("horse_trot", 60)
    counts = [keys.reduce_keys(walk.rig, walk.moves, keys.Tolerance(np.radians(angle), angle / 200)).count for angle in (0.3, 1.0, 4.0)]
    assert counts[0] > counts[1] > counts[2]


def test_what_never_moves_gets_one_key() -> None:
    walk = seen("horse_walk", 40)
    rotations = walk.moves.rotations.copy()
    rotations[:, 5] = rotations[0, 5]
    moves = keys.Moves(rotations, 0 * walk.moves.locations, walk.moves.fps)
    for found in (keys.reduce_keys(walk.rig, moves, keys.Tolerance(0.02, 0.01)), keys.every_key(moves)):
        assert found.turns[5].frames.tolist() == [0] and found.places.frames.tolist() == [0]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_motions_are_kept(frames: int) -> None:
    walk = seen("horse_walk", frames)
    found = keys.reduce_keys(walk.rig, walk.moves, keys.Tolerance(0.001, 0.0001))
    for bone, track in enumerate(found.turns):
        assert keys.turned_by(drawn(track, frames), walk.moves.rotations[:, bone]).max() <= ROOM * 0.001


def test_the_first_frame_is_the_photos_pose() -> None:
    walk = seen("wolf_walk", 80)
    found = keys.reduce_keys(walk.rig, walk.moves, keys.Tolerance(np.radians(3.0), 0.02))
    first = np.stack([track.values[0] for track in found.turns])
    assert np.degrees(keys.turned_by(first, walk.moves.rotations[0])).max() < 0.02
    assert np.abs(found.places.values[0] - walk.moves.locations[0]).max() < 1e-4


def test_a_closed_motion_ends_as_it_begins_in_value_and_slope() -> None:
    walk = seen("horse_walk", 70)
    moves = core("cycle").find_loop(walk.rig, walk.moves).moves
    found = keys.reduce_keys(walk.rig, moves, keys.Tolerance(np.radians(1.0), 0.005))
    for track in found.turns:
        assert np.abs(track.values[0] - track.values[-1]).max() < 1e-9 and np.abs(track.slopes[0] - track.slopes[-1]).max() < 1e-9
    gained = moves.locations[-1] - moves.locations[0]
    assert np.allclose(found.places.values[-1] - found.places.values[0], gained)
    assert np.allclose(found.places.slopes[0], found.places.slopes[-1])
