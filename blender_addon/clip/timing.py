"""The clip's time on the scene's frames: a motion at the clip's rate enters, the same at whole frames of the scene leaves; and which
picture of the clip is seen at which frame. numpy alone.

Every key stands on a whole frame of the scene, where an artist looks for it and where Blender shows it: a motion at another rate than the
scene's is resampled (cubic, through every frame of the motion) instead of being keyed between frames.
"""

from __future__ import annotations

import numpy as np

from ..retarget.rotations import Array, continuous

SLACK = 1e-3
"""Frames by which rates may be off (29.97 for 30) and a last frame still counts."""


def whole_frames(count: int, fps: float, scene_fps: float, first: int) -> Array:
    """(n,) int frames of the scene from `first` on that `count` frames of a motion last."""
    last = int(np.floor((count - 1) * scene_fps / fps + SLACK * count))
    return first + np.arange(last + 1)


def places_of(frames: Array, fps: float, scene_fps: float) -> Array:
    """(n,) frames of the scene -> (n,) where they lie between the motion's frames, the first at 0."""
    return (frames - frames[0]) * (fps / scene_fps)


def resampled(values: Array, places: Array) -> Array:
    """(t, ...) -> (n, ...) at places (n,) between 0 and t - 1: Catmull-Rom, which meets every frame exactly."""
    last = len(values) - 1
    if last == 0:
        return np.repeat(values, len(places), 0)
    values = values.astype(np.float64)
    places = np.clip(places, 0, last)
    before = np.minimum(places.astype(int), last - 1)
    share = (places - before).reshape(-1, *[1] * (values.ndim - 1))
    slopes = slopes_of(values)
    a, b = values[before], values[before + 1]
    return hermite(a, b, slopes[before], slopes[before + 1], share)


def resampled_turns(quaternions: Array, places: Array) -> Array:
    """(t, ..., 4) unit wxyz -> (n, ..., 4) likewise, neighbours of one sign."""
    between = resampled(continuous(quaternions.astype(np.float64)), places)
    return between / np.linalg.norm(between, axis=-1, keepdims=True)


def slopes_of(values: Array) -> Array:
    """(t, ...) -> (t, ...) change a frame: central differences, at the ends those of a parabola."""
    if len(values) < 3:
        return np.repeat(np.diff(values, axis=0), 2, 0) if len(values) == 2 else np.zeros_like(values)
    slopes = np.gradient(values, axis=0)
    slopes[0], slopes[-1] = 2 * (values[1] - values[0]) - slopes[1], 2 * (values[-1] - values[-2]) - slopes[-2]
    return slopes


def hermite(a: Array, b: Array, slope_a: Array, slope_b: Array, share: Array) -> Array:
    """Between values a and b with these slopes (over the whole stretch), at shares 0 .. 1 of it."""
    s, r = share, 1 - share
    return a * (r * r * (1 + 2 * s)) + slope_a * (s * r * r) + b * (s * s * (1 + 2 * r)) - slope_b * (s * s * r)


def movie_numbers(frames: Array, start: float, movie_fps: float, scene_fps: float, count: int) -> Array:
    """(n,) which picture of a movie (0 .. count - 1) is seen at each of the scene's frames, the first of which is second `start`.

    The nearest in time: where both rates are one, every picture exactly once.
    """
    places = start * movie_fps + (frames - frames[0]) * (movie_fps / scene_fps)
    return np.clip(np.ceil(places - 0.5 - SLACK), 0, count - 1).astype(int)


def offsets(frames: Array, numbers: Array) -> tuple[Array, Array]:
    """Numbers (n,) of pictures as Blender counts them, wanted at frames (n,) -> (k,) frames at which the offset changes and (k,) the
    offsets: Blender shows picture `frame - frames[0] + 1 + offset`."""
    wanted = numbers - (frames - frames[0] + 1)
    changes = np.flatnonzero(np.append(True, np.diff(wanted) != 0))
    return frames[changes], wanted[changes]
