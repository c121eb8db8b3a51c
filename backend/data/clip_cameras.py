"""How somebody films an animal: a camera for every frame of a shot.

Enters: the animal's skin through the shot (world: +Y up, ground y = 0, the animal heads for +Z) and what the shot is like. Leaves:
world-to-camera transforms (OpenCV axes) and the focal length. The animal is in the picture from the first frame to the last.

still: on a tripod, the whole way in view. pan: stands where it is and turns after the animal. dolly: goes along beside it without
turning. Both follow a little late and not exactly. shake: of a hand that holds the camera, on top of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from backend.rig.rotations import axis_angle_to_matrix
from backend.types import FloatArray

Array = NDArray[np.float64]
Kind = Literal["still", "pan", "dolly"]

LAG, WANDER = 0.12, 0.06
"""Seconds that a hand is behind the animal; how far the picture's middle strays from it, a share of the animal's size in the picture."""
STEADY = 0.25
"""Seconds over which a hand evens out what the animal does."""
SHAKES = ((0.7, 1.0), (1.9, 0.5), (4.3, 0.22), (7.1, 0.08))
"""Hertz, and the share of the shake's size at each: breath, sway, tremor."""
ROUNDS = 12
SKIN = 400
"""Vertices of the skin that say how large the animal is in the picture."""


@dataclass(frozen=True)
class Shot:
    """azimuth, elevation: degrees, from where it is seen in the middle of the shot (0 sees the face, 90 the animal's left side); fov:
    degrees, of the picture's longer side; width, height: pixels; fill: how far from the picture's middle the animal gets, over half
    the picture; shake: degrees, of its largest part; roll: degrees."""

    kind: Kind
    azimuth: float
    elevation: float
    fov: float
    width: int
    height: int
    fill: float = 0.8
    shake: float = 0.0
    roll: float = 0.0

    @property
    def focal_px(self) -> float:
        """In pixels."""
        return float(max(self.width, self.height) / 2 / np.tan(np.radians(self.fov) / 2))


def film(skin: FloatArray, shot: Shot, fps: float, rng: np.random.Generator) -> FloatArray:
    """skin (t, v, 3) -> (t, 4, 4) world-to-camera."""
    seen = skin[:, :: max(1, skin.shape[1] // SKIN)].astype(np.float64)
    middles = (seen.max(1) + seen.min(1)) / 2  # (t, 3)
    if shot.kind == "still":
        aims = np.repeat((seen.max((0, 1)) + seen.min((0, 1)))[None] / 2, len(seen), 0)
    else:
        aims = follow(middles, seen, fps, rng)
    away = -view_axes(shot.azimuth, shot.elevation)[2]
    shaken = shake(len(seen), fps, shot.shake, rng)
    roll = axis_angle_to_matrix(np.array([0.0, 0.0, 1.0]), np.asarray(np.radians(shot.roll)))
    middle = aims[len(aims) // 2]
    distance = 4.0 * float(np.linalg.norm(np.ptp(seen.reshape(-1, 3), axis=0)))
    cameras = np.tile(np.eye(4), (len(seen), 1, 1))
    shift = np.zeros(3)
    for _ in range(ROUNDS):
        place = middle + distance * away
        for k, aim in enumerate(aims):
            if shot.kind == "pan":
                turn = look(aim - place)
                at = place
            else:
                turn = view_axes(shot.azimuth, shot.elevation)
                at = place + (aim - middle if shot.kind == "dolly" else 0)
            turn = shaken[k] @ roll @ turn
            cameras[k, :3, :3], cameras[k, :3, 3] = turn, -turn @ at + shift
        low, high = frame_boxes(seen, cameras)
        if (low[:, 2] <= 0).any():
            distance *= 2
            continue
        distance *= reach(low, high, shot) / shot.fill
        if shot.kind == "still":  # the whole way in the middle
            shift[:2] -= (low[:, :2].min(0) + high[:, :2].max(0)) / 2 * distance
    return cameras.astype(np.float32)


def view_axes(azimuth: float, elevation: float) -> Array:
    """(3, 3) world -> OpenCV axes of a level camera that sees +Z's face at azimuth 0, degrees."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return look(-np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)]))


def look(forward: Array) -> Array:
    """Direction (3,) -> (3, 3) world to OpenCV axes of a level camera that looks there."""
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def follow(middles: Array, seen: Array, fps: float, rng: np.random.Generator) -> Array:
    """Where a person aims who follows the animal's middles (t, 3): evened out, a little late, and not exactly."""
    size = float(np.linalg.norm(np.ptp(seen, axis=1), axis=1).mean())
    padded = np.concatenate([extend(middles, -1), middles, extend(middles, 1)])
    even = gaussian_filter1d(padded, STEADY * fps, axis=0)
    late = int(round(LAG * fps))
    start = len(extend(middles, -1)) - late
    wander = WANDER * size * sway(len(middles), fps, 3, rng, ((0.35, 1.0), (0.9, 0.4)))
    return np.asarray(even[start : start + len(middles)] + wander)


def extend(path: Array, side: int) -> Array:
    """As many frames more before (side -1) or after (1) a path (t, 3), going on at the pace of the whole of it, no higher nor lower."""
    pace = (path[-1] - path[0]) / max(1, len(path) - 1) * [1, 0, 1]
    steps = np.arange(1, len(path) + 1)[:, None] * pace
    return np.asarray((path[0] - steps)[::-1] if side < 0 else path[-1] + steps)


def sway(count: int, fps: float, axes: int, rng: np.random.Generator, waves: tuple[tuple[float, float], ...]) -> Array:
    """(count, axes) smooth noise within about -1 .. 1, 0 in the mean. waves: hertz and share of each."""
    times = np.arange(count)[:, None] / fps
    total = np.zeros((count, axes))
    for hertz, share in waves:
        rate = hertz * rng.uniform(0.8, 1.25, axes)
        total += share * np.sin(2 * np.pi * (rate * times + rng.random(axes)))
    return total - total.mean(0)


def shake(count: int, fps: float, degrees: float, rng: np.random.Generator) -> Array:
    """(count, 3, 3) small turns of a camera held in the hand; about its axis a third as large."""
    angles = np.radians(degrees) * sway(count, fps, 3, rng, SHAKES) * [1, 1, 1 / 3]
    length = np.linalg.norm(angles, axis=1, keepdims=True)
    return axis_angle_to_matrix(np.where(length > 1e-12, angles / np.maximum(length, 1e-12), [1.0, 0, 0]), length[:, 0])


def frame_boxes(seen: Array, cameras: Array) -> tuple[Array, Array]:
    """Skin (t, v, 3), cameras (t, 4, 4) -> lows and highs (t, 3) of X/Z, Y/Z and Z."""
    placed = seen @ cameras[:, :3, :3].swapaxes(1, 2) + cameras[:, None, :3, 3]
    flat = placed[..., :2] / np.maximum(placed[..., 2:], 1e-6)
    both = np.concatenate([flat, placed[..., 2:]], -1)
    return both.min(1), both.max(1)


def reach(low: Array, high: Array, shot: Shot) -> float:
    """The farthest that the animal gets from the picture's middle, over half the picture; 1 is its edge."""
    halves = np.array([shot.width, shot.height]) / 2 / shot.focal_px
    return float((np.maximum(-low[:, :2], high[:, :2]) / halves).max())
