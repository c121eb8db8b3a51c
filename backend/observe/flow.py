"""Optical flow: two grey pictures of one scene in, where each pixel of the first went in the second out.

OpenCV's dense inverse search (Kroeger et al. 2016, arXiv 1603.03590), preset "medium". A flow is (h, w, 2) float32 pixels, (x, y) to the
right and down: what is at p in the first picture is at p + flow(p) in the second. What was covered or uncovered in between has no
counterpart; `trust` tells it by going there and back (Sundaram, Brox and Keutzer 2010, equation 5). Same pictures, same bits: the search
divides its work, and with it what neighbours learn of each other, by the number of threads, so it runs on one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.types import ByteArray, FloatArray

SMALLEST_SIDE = 16
"""Pixels; the search's patches are 8 wide, on a picture halved at least once."""
TOLERANCE, SLACK = 0.01, 0.5
"""Of the squared lengths there and back, and squared pixels, by which the round trip may miss its start."""


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV on one thread meanwhile."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def optical_flow(first: ByteArray, second: ByteArray) -> FloatArray:
    """-> (h, w, 2) pixels. first, second: (h, w) uint8 grey. Raises ValueError for pictures of different or tiny size."""
    if first.shape != second.shape or first.ndim != 2 or min(first.shape) < SMALLEST_SIDE:
        raise ValueError(f"flow needs two grey pictures of one size, not {first.shape} and {second.shape}")
    with one_thread():
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        flow: FloatArray = search.calc(np.ascontiguousarray(first), np.ascontiguousarray(second), None)
    return flow


def pull(picture: ByteArray | FloatArray, flow: FloatArray) -> NDArray[Any]:
    """What each pixel of the first picture finds at its counterpart in the second, bilinear, 0 outside.

    picture: (h, w) or (h, w, c) uint8 or float32, of the second -> the same, of the first.
    """
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0))


def trust(there: FloatArray, back: FloatArray) -> NDArray[np.bool_]:
    """(h, w) where the flow may be believed. there: first to second; back: second to first; both (h, w, 2)."""
    returned = pull(back, there)
    missed = ((there + returned) ** 2).sum(-1)
    height, width = missed.shape
    x = there[..., 0] + np.arange(width, dtype=np.float32)
    y = there[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.asarray(inside & (missed <= TOLERANCE * ((there**2).sum(-1) + (returned**2).sum(-1)) + SLACK))
