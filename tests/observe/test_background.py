"""How the background moves: exact over many frames, past an animal, still or moving, and none where nothing can be told."""

from __future__ import annotations

import numpy as np

from backend.observe.background import camera_moves, corner_shifts, follow_background
from backend.types import FloatArray
from tests.observe.moving_clip import HEIGHT, WIDTH, Part, Truth, make_clip, turning

PIXELS = 2.0
"""Of a corner's error, at any frame."""
FRAMES = 60


def error(found: FloatArray, truth: Truth) -> float:
    """The largest error of the frame's corners, pixels."""
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [0, HEIGHT, 1], [WIDTH, HEIGHT, 1]], np.float64)
    here, there = (corners @ np.asarray(matrices, np.float64).transpose(0, 2, 1) for matrices in (found, truth.background))
    return float(np.linalg.norm(here[..., :2] / here[..., 2:] - there[..., :2] / there[..., 2:], axis=-1).max())


def follow(truth: Truth) -> FloatArray | None:
    return follow_background(truth.clip, lambda k: truth.masks[k] / np.float32(255))


def test_a_turning_camera_is_followed_past_the_first_view_and_an_animal() -> None:
    walk = [(60.0 + 4 * k, 60.0) for k in range(FRAMES)]
    truth = make_clip([Part("cow", walk, 1.0)], turning(FRAMES, 4.0))
    assert corner_shifts(truth.background, WIDTH, HEIGHT).max() > 0.5 * WIDTH  # hardly anything of the first frame is left
    found = follow(truth)
    assert found is not None and found.dtype == np.float32 and found.shape == (FRAMES, 3, 3)
    assert error(found, truth) < PIXELS
    assert camera_moves(found, WIDTH, HEIGHT)


def test_a_camera_that_goes_and_comes_back_does_not_drift() -> None:
    there = turning(40, 6.0)
    truth = make_clip([Part("cow", [None] * 80)], np.concatenate([there, there[::-1]]))
    found = follow(truth)
    assert found is not None and error(found, truth) < PIXELS
    assert error(found[-1:], Truth(truth.clip, truth.masks, truth.background[-1:])) < 0.3


def test_a_still_camera_stands_still_exactly_though_an_animal_walks() -> None:
    truth = make_clip([Part("cow", [(10.0 + 6 * k, 70.0) for k in range(20)], 1.2)])
    found = follow(truth)
    assert found is not None and not camera_moves(found, WIDTH, HEIGHT)
    assert np.array_equal(found, np.tile(np.eye(3, dtype=np.float32), (20, 1, 1)))


def test_the_same_clip_gives_the_same_bits() -> None:
    truth = make_clip([Part("cow", [(60.0 + 4 * k, 60.0) for k in range(8)])], turning(8, 5.0))
    one, other = follow(truth), follow(truth)
    assert one is not None and other is not None and np.array_equal(one, other)


def test_nothing_is_said_of_a_background_without_texture() -> None:
    assert follow(make_clip([Part("cow", [(60.0, 60.0)] * 4)], textured=False)) is None
