"""How a clip's background moves: frames and the animal's masks in, one homography a frame out, and whether the camera moved at all.

A homography takes the first frame's background to frame k's, in pixels whose centres are at +0.5 (`types.Camera`); it is exact where the
camera turns about its own centre or the background is far away. Corners of a key frame, outside the animal and its surroundings, are
followed into each frame: the key frame is warped by what the last frame's homography foretells, so that only little is left to find
(Lucas and Kanade, pyramids), there and back, and a homography is fitted robustly (RANSAC, then least squares over what agrees). All frames
are matched to key frames, not to each other: errors add up from key to key only. A new key frame is made where less than `FIRM` of the
old one is still found; where the camera comes back to an earlier one, that is used again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.observe.flow import one_thread
from backend.observe.refine import shrink
from backend.types import ByteArray, Clip, FloatArray, Mask, Progress, no_progress

SIDE = 640
"""Longer side of the copies that are matched."""
POINTS, SPACING, QUALITY = 600, 7, 0.01
"""Corners of a key frame at most, pixels between them, and the least share of the best one's strength."""
FAINTEST = 7e-5
"""Strength of a corner (`cv2.cornerMinEigenVal`) below which it is a sensor's noise: of noise with deviation 2 it is up to 5.6e-5."""
AROUND = 0.03
"""Of the copy's longer side: what is this near the animal moves with its shadow."""
WINDOW, LEVELS = 15, 4
ROUND_TRIP = 0.7
"""Pixels by which a corner may miss its start, followed there and back."""
AGREE = 1.5
"""Pixels of a homography's error within which a corner agrees with it."""
FEWEST, LEAST_SHARE = 20, 0.35
"""Corners that must agree, and their share of those that were followed."""
SPREAD = 0.06
"""Of the copy's height and width: standard deviation that those corners must have."""
FIRM, FIRM_SPREAD = 0.6, 0.17
"""Share of a key frame's corners that must still agree, and their spread, else a new one is made."""
MISSING = 0.25
"""Share of frames without an answer of their own from which nothing is known of the background."""
STILL = 0.002
"""Of the frame's diagonal: corners that never go further than this stand still (0.8 pixels of 640 x 384)."""
TEXTURE = 40
"""Corners that the first frame must have outside the animal."""

Matrix = NDArray[np.float64]


@dataclass
class _Key:
    """grey: (h, w); corners: (n, 2) in it; place: first frame to it, (3, 3) in the copy's pixels."""

    grey: ByteArray
    corners: FloatArray
    place: Matrix


@dataclass(frozen=True)
class _Match:
    """place: first frame to this one, (3, 3) in the copy's pixels; firm: whether enough of the key frame was found for the next too."""

    place: Matrix
    firm: bool


def follow_background(clip: Clip, read_mask: Callable[[int], Mask], progress: Progress = no_progress) -> FloatArray | None:
    """-> (t, 3, 3) float32, None where there is too little texture, or too few frames could be matched. read_mask: k -> (h, w).

    All are the identity where the camera stood still.
    """
    size = _copy_size(clip.width, clip.height)
    scale = np.diag([clip.width / size[0], clip.height / size[1], 1.0])
    keys: list[_Key] = []
    found: list[Matrix | None] = []
    last = np.eye(3)
    for k in range(len(clip.times)):
        progress("background", k / len(clip.times))
        grey = np.asarray(cv2.cvtColor(np.asarray(shrink(clip.read(k).rgb, *size), np.uint8), cv2.COLOR_RGB2GRAY), np.uint8)
        outside = _outside(read_mask(k), size)
        if not keys:
            key = _make_key(grey, outside, np.eye(3))
            if len(key.corners) < TEXTURE:
                return None
            keys.append(key)
            found.append(np.eye(3))
            continue
        match = _match_best(keys, grey, outside, last)
        found.append(None if match is None else match.place)
        if match is None:
            continue
        last = match.place
        if not match.firm:
            key = _make_key(grey, outside, last)
            if len(key.corners) >= FEWEST:
                keys.append(key)
    known = [k for k, matrix in enumerate(found) if matrix is not None]
    if len(known) < (1 - MISSING) * len(found):
        return None
    filled = _fill([found[k] for k in known], known, len(found))  # type: ignore[misc]
    whole = scale @ filled @ np.linalg.inv(scale)
    if not camera_moves(whole, clip.width, clip.height):
        whole = np.tile(np.eye(3), (len(found), 1, 1))
    return (whole / whole[:, 2:, 2:]).astype(np.float32)


def camera_moves(background: NDArray[np.floating], width: int, height: int) -> bool:
    """Whether the corners of the frame ever go further than `STILL`. background: (t, 3, 3)."""
    return bool(corner_shifts(background, width, height).max() > STILL * np.hypot(width, height))


def corner_shifts(background: NDArray[np.floating], width: int, height: int) -> NDArray[np.float64]:
    """(t, 4) how far the first frame's corners went, pixels."""
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    moved = corners @ np.asarray(background, np.float64).transpose(0, 2, 1)  # (t, 4, 3)
    return np.asarray(np.linalg.norm(moved[..., :2] / moved[..., 2:] - corners[:, :2], axis=-1))


def _copy_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _outside(mask: Mask, size: tuple[int, int]) -> ByteArray:
    """255 where the background is: (h, w) of the copy."""
    small = np.asarray(shrink(mask, *size), np.float32) > 0.1
    reach = 2 * int(AROUND * max(size)) + 1
    near = cv2.dilate(small.astype(np.uint8), np.ones((reach, reach), np.uint8))
    return np.where(near > 0, np.uint8(0), np.uint8(255))


def _make_key(grey: ByteArray, outside: ByteArray, place: Matrix) -> _Key:
    corners = cv2.goodFeaturesToTrack(grey, POINTS, QUALITY, SPACING, mask=outside)
    points = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)
    pixel = points.astype(int)
    strength = cv2.cornerMinEigenVal(grey, 3)[pixel[:, 1], pixel[:, 0]]
    return _Key(grey, points[strength >= FAINTEST], place)


def _project(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


CENTRE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
"""From OpenCV's pixels, whose centres are whole numbers, to ours."""


def _share(key: _Key, place: Matrix, size: tuple[int, int]) -> float:
    """How many of a key frame's corners are in view of a frame at `place`."""
    moved = _project(place @ np.linalg.inv(key.place), key.corners + 0.5)
    return float(((moved > 0) & (moved < size)).all(1).mean())


def _match_best(keys: list[_Key], grey: ByteArray, outside: ByteArray, guess: Matrix) -> _Match | None:
    """Through the earliest key frame that still holds firm (the fewer steps from the first, the less drift), or the newest."""
    size = grey.shape[1], grey.shape[0]
    earliest = next((key for key in keys if _share(key, guess, size) >= FIRM), keys[-1])
    match = _match(earliest, grey, outside, guess)
    if earliest is keys[-1] or (match is not None and match.firm):
        return match
    newest = _match(keys[-1], grey, outside, guess)
    return match if newest is None else newest


def _match(key: _Key, grey: ByteArray, outside: ByteArray, guess: Matrix) -> _Match | None:
    """First frame to this one, through a key frame; guess: the last frame's. None where too little agrees."""
    height, width = grey.shape
    step = guess @ np.linalg.inv(key.place)  # key to this frame, as foretold, our pixels
    warped = cv2.warpPerspective(key.grey, np.linalg.inv(CENTRE) @ step @ CENTRE, (width, height), borderMode=cv2.BORDER_REPLICATE)
    start = (_project(step, key.corners + 0.5) - 0.5).astype(np.float32)
    inside = ((start > WINDOW // 2) & (start < np.array([width, height]) - 1 - WINDOW // 2)).all(1)
    if inside.sum() < FEWEST:
        return None
    start, corners = start[inside], key.corners[inside]
    window, until = (WINDOW, WINDOW), (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)
    with one_thread():
        ends, ok, _ = cv2.calcOpticalFlowPyrLK(warped, grey, start[:, None], None, winSize=window, maxLevel=LEVELS, criteria=until)
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(grey, warped, ends, None, winSize=window, maxLevel=LEVELS, criteria=until)
    ends, back = ends[:, 0], back[:, 0]
    good = (ok[:, 0] > 0) & (ok_back[:, 0] > 0) & (np.linalg.norm(back - start, axis=1) < ROUND_TRIP)
    pixel = np.clip(np.rint(ends), 0, [width - 1, height - 1]).astype(int)
    good &= outside[pixel[:, 1], pixel[:, 0]] > 0
    if good.sum() < FEWEST:
        return None
    source, target = corners[good] + np.float32(0.5), ends[good] + np.float32(0.5)
    cv2.setRNGSeed(0)
    matrix, agree = cv2.findHomography(source, target, cv2.RANSAC, AGREE, maxIters=2000, confidence=0.999)
    if matrix is None:
        return None
    agree = agree.ravel() > 0
    spread = target[agree].std(0) / (width, height) if agree.any() else np.zeros(2)
    if agree.sum() < max(FEWEST, LEAST_SHARE * good.sum()) or spread.min() < SPREAD:
        return None
    firm = agree.sum() >= FIRM * len(key.corners) and spread.min() >= FIRM_SPREAD
    return _Match(np.asarray(matrix @ key.place), bool(firm))


def _fill(matrices: list[Matrix], known: list[int], count: int) -> Matrix:
    """(count, 3, 3): between frames that are known, matrices scaled to end in 1 go on evenly; before and after they stay."""
    rows = np.stack([(matrix / matrix[2, 2]).ravel() for matrix in matrices])
    return np.stack([np.interp(np.arange(count), known, rows[:, c]) for c in range(9)], 1).reshape(count, 3, 3)
