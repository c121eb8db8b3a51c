"""Optical flow: where pixels went, what of it may be believed, and the same bits each time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from backend.observe.flow import optical_flow, pull, trust
from tests.observe.moving_clip import noise_ground

SHIFT = (5.0, -3.0)
PIXELS = 0.25
"""Mean error of the flow of a picture that moves as a whole."""


def pair(shift: tuple[float, float] = SHIFT) -> tuple[np.ndarray, np.ndarray]:
    """A picture of noise and the same, moved."""
    first = noise_ground(3, (320, 200))[..., 1].astype(np.uint8)
    moved = cv2.warpAffine(first, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (320, 200), borderMode=cv2.BORDER_REFLECT)
    return first, moved


def test_flow_says_where_pixels_went() -> None:
    first, second = pair()
    flow = optical_flow(first, second)
    assert flow.shape == (200, 320, 2) and flow.dtype == np.float32
    assert np.abs(flow[20:-20, 20:-20] - SHIFT).mean() < PIXELS


def test_what_is_pulled_back_is_the_first_picture() -> None:
    first, second = pair()
    again = pull(second, optical_flow(first, second))
    assert again.dtype == np.uint8
    assert np.abs(again[20:-20, 20:-20].astype(int) - first[20:-20, 20:-20]).mean() < 2


def test_what_was_covered_is_not_trusted_and_the_rest_is() -> None:
    first, second = (picture.copy() for picture in pair((0.0, 0.0)))
    patch = 255 - noise_ground(9, (320, 200))[..., 1].astype(np.uint8)[:80, :80]
    first[60:140, 60:140], second[60:140, 72:152] = patch, patch
    believed = trust(optical_flow(first, second), optical_flow(second, first))
    assert believed[70:130, 70:130].mean() > 0.9 and believed[:45].mean() > 0.95
    assert believed[70:130, 142:150].mean() < 0.3  # covered by the patch in the second


def test_the_same_pictures_give_the_same_bits_whatever_the_number_of_threads() -> None:
    first, second = pair()
    before = cv2.getNumThreads()
    try:
        found = []
        for count in (1, 2, 5):
            cv2.setNumThreads(count)
            found.append(optical_flow(first, second))
            assert cv2.getNumThreads() == count
    finally:
        cv2.setNumThreads(before)
    assert all(np.array_equal(found[0], other) for other in found)


def test_pictures_of_different_or_tiny_size_are_refused() -> None:
    first, _ = pair()
    with pytest.raises(ValueError, match="one size"):
        optical_flow(first, first[:, :-1])
    with pytest.raises(ValueError, match="one size"):
        optical_flow(first[:8, :8], first[:8, :8])
