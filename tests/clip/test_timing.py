"""A motion at whole frames of the scene, and the clip's pictures at them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.clip.core import core

timing = core("timing")


@pytest.mark.parametrize(("fps", "scene_fps"), [(24.0, 24.0), (30.0, 24.0), (12.0, 60.0), (29.97, 30.0), (25.0, 23.976)])
def test_a_motion_lasts_as_long_as_the_clip_at_every_rate(fps: float, scene_fps: float) -> None:
    frames = timing.whole_frames(90, fps, scene_fps, 1001)
    assert frames[0] == 1001 and (np.diff(frames) == 1).all()
    assert 89 / fps - 1 / scene_fps < (len(frames) - 1) / scene_fps <= 89 / fps + 2e-3
    places = timing.places_of(frames, fps, scene_fps)
    assert np.allclose(places / fps, (frames - 1001) / scene_fps)


def test_one_frame_is_a_motion_too() -> None:
    assert timing.whole_frames(1, 30.0, 24.0, 1).tolist() == [1]
    assert timing.resampled(np.array([[2.0, 3.0]]), np.array([0.0])).tolist() == [[2.0, 3.0]]


def test_at_the_same_rate_nothing_changes() -> None:
    values = np.random.default_rng(0).normal(size=(20, 3, 2))
    assert np.array_equal(timing.resampled(values, np.arange(20.0)), values)


def test_between_frames_a_swing_stays_a_swing() -> None:
    """12 frames a second shown at 60: straight lines would be off by 2 degrees in a leg that swings by 30."""
    fine, coarse = np.arange(0, 2, 1 / 60)[:111], np.arange(0, 2, 1 / 12)
    angle = lambda seconds: np.radians(30) * np.sin(2 * np.pi * 1.5 * seconds)  # noqa: E731
    turns = np.stack([np.cos(angle(coarse) / 2), np.sin(angle(coarse) / 2), 0 * coarse, 0 * coarse], -1)
    turns[::2] *= -1
    between = timing.resampled_turns(turns, fine * 12)
    off = np.degrees(np.abs(2 * np.arctan2(between[:, 1], between[:, 0]) - angle(fine)))
    off = np.minimum(off, 360 - off)
    straight = np.degrees(np.abs(np.interp(fine, coarse, angle(coarse)) - angle(fine))).max()
    assert off[12:-12].max() < 0.3 * straight and np.allclose(np.linalg.norm(between, axis=1), 1)


def test_every_picture_is_shown_once_where_the_rates_are_one() -> None:
    frames = np.arange(11, 71)
    assert timing.movie_numbers(frames, 0.0, 29.97, 29.97, 60).tolist() == list(range(60))
    at, shift = timing.offsets(frames, 1 + timing.movie_numbers(frames, 0.5, 30.0, 30.0, 90))
    assert at.tolist() == [11] and shift.tolist() == [15]


@pytest.mark.parametrize(("movie_fps", "scene_fps"), [(30.0, 24.0), (24.0, 30.0), (60.0, 24.0), (12.5, 60.0), (23.976, 24.0)])
def test_pictures_are_the_nearest_in_time_at_every_rate(movie_fps: float, scene_fps: float) -> None:
    frames, start = np.arange(1, 200), 0.4
    numbers = timing.movie_numbers(frames, start, movie_fps, scene_fps, 10_000)
    seconds = start + (frames - 1) / scene_fps
    assert np.abs(numbers / movie_fps - seconds).max() <= 0.5 / movie_fps + 1e-4
    at, shift = timing.offsets(frames, numbers + 1)
    held = shift[np.searchsorted(at, frames, "right") - 1]
    assert np.array_equal(frames - 1 + 1 + held, numbers + 1)


def test_past_the_clips_end_its_last_picture_stays() -> None:
    assert timing.movie_numbers(np.arange(1, 50), 0.0, 24.0, 24.0, 30).max() == 29
