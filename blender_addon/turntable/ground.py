"""Puts a soft shadow and the plain background behind a rendered picture, the same for every engine.

Enters: pixels with transparency, the camera, points of what is shown. Leaves: opaque pixels. What lies low over the floor darkens it
sharply, what lies high softly and wide, as under an overcast sky. Colours are sRGB in [0, 1], row 0 at the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from .stage import BACKGROUND, FIELD_OF_VIEW, Framing

CELLS = 192
"""The floor's grid, a side."""
WIDE = 1.6
"""The grid's side over that of what is shown."""
BANDS = ((0.04, 0.018, 0.6), (0.25, 0.045, 0.35), (1.01, 0.1, 0.42))
"""Up to which height, blurred how wide, how dark: heights of the creature's height, widths of its length."""
SHADOW = (0.16, 0.17, 0.2)
"""The floor's colour where nothing of the sky reaches it."""
SAMPLES = 24000


@dataclass(frozen=True)
class Floor:
    """shade: (CELLS, CELLS) in [0, 1]; corner: (2,) world x and y of its first cell; side: of the whole grid."""

    shade: np.ndarray
    corner: np.ndarray
    side: float


def shade_floor(points: np.ndarray, framing: Framing) -> Floor:
    """points: (n, 3) world, spread over what is shown."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    length = float((high - low).max()) or 1.0
    side = length * WIDE
    corner = (low + high) / 2 - side / 2
    cells = np.floor((points[:, :2] - corner) / side * CELLS).astype(int).clip(0, CELLS - 1)
    heights = (points[:, 2] - framing.floor) / max(framing.height, 1e-9)
    light, begin = np.ones((CELLS, CELLS)), -1.0
    for end, width, dark in BANDS:
        chosen = (heights >= begin) & (heights < end)
        cover = np.zeros((CELLS, CELLS))
        cover[cells[chosen, 1], cells[chosen, 0]] = 1.0
        light *= 1 - dark * blur(cover, width * length / side * CELLS)
        begin = end
    return Floor(1 - light, corner, side)


def blur(picture: np.ndarray, width: float) -> np.ndarray:
    """By three boxes, `width` cells of standard deviation."""
    half = max(1, round((math.sqrt(4 * width * width + 1) - 1) / 2))
    for axis in (0, 1, 0, 1, 0, 1):
        padded = np.pad(picture, [(half + 1, half) if other == axis else (0, 0) for other in (0, 1)])
        total = padded.cumsum(axis=axis)
        upper, lower = [slice(None)] * 2, [slice(None)] * 2
        upper[axis], lower[axis] = slice(2 * half + 1, None), slice(None, -2 * half - 1)
        picture = (total[tuple(upper)] - total[tuple(lower)]) / (2 * half + 1)
    return picture


def spread_points(meshes: Sequence[bpy.types.Mesh]) -> np.ndarray:
    """(SAMPLES, 3) points of the meshes' surfaces, by area, always the same ones; the vertices too."""
    corners = []
    for mesh in meshes:
        mesh.calc_loop_triangles()
        places, triangles = np.empty(len(mesh.vertices) * 3, np.float32), np.empty(len(mesh.loop_triangles) * 3, np.int32)
        mesh.vertices.foreach_get("co", places)
        mesh.loop_triangles.foreach_get("vertices", triangles)
        corners.append(places.reshape(-1, 3)[triangles].reshape(-1, 3, 3))
    triangle = np.concatenate(corners).astype(np.float64)
    areas = np.linalg.norm(np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]), axis=1) + 1e-12
    random = np.random.default_rng(0)
    chosen, shares = random.choice(len(triangle), SAMPLES, p=areas / areas.sum()), random.dirichlet([1.0, 1.0, 1.0], SAMPLES)
    return np.concatenate([triangle.reshape(-1, 3), (triangle[chosen] * shares[:, :, None]).sum(axis=1)])


def put_behind(pixels: np.ndarray, framing: Framing, camera: np.ndarray, floor: Floor | None) -> np.ndarray:
    """pixels (h, w, 4), camera (4, 4) to world -> (h, w, 3) before background and, where there is a floor, its shadow."""
    behind = np.broadcast_to(np.array([to_srgb(value) for value in BACKGROUND]), (*pixels.shape[:2], 3))
    if floor is not None:
        shade = seen_shade(pixels.shape[0], framing, camera, floor)[:, :, None]
        behind = behind * (1 - shade) + np.array(SHADOW) * shade
    alpha = pixels[:, :, 3:]
    return pixels[:, :, :3] * alpha + behind * (1 - alpha)


def seen_shade(size: int, framing: Framing, camera: np.ndarray, floor: Floor) -> np.ndarray:
    """(size, size) how dark the floor is where each pixel's ray meets it, 0 where it doesn't."""
    steps = (np.arange(size) + 0.5) / size * 2 - 1
    slope = math.tan(FIELD_OF_VIEW / 2)
    right, up, back, eye = camera[:3, 0], camera[:3, 1], camera[:3, 2], camera[:3, 3]
    rays = (steps * slope)[None, :, None] * right + (steps * slope)[:, None, None] * up - back  # (size, size, 3)
    down = eye[2] - framing.floor
    meets = (rays[:, :, 2] < -1e-6) & (down > 0)
    far = np.where(meets, down / np.where(meets, -rays[:, :, 2], 1.0), 0.0)
    place = (eye[:2] + rays[:, :, :2] * far[:, :, None] - floor.corner) / floor.side * CELLS - 0.5
    cell = np.floor(place).astype(int)
    inside = meets & (cell >= 0).all(axis=2) & (cell < CELLS - 1).all(axis=2)
    x, y = cell[inside].T
    across, above = (place[inside] - cell[inside]).T
    shade = floor.shade
    lower = shade[y, x] * (1 - across) + shade[y, x + 1] * across
    upper = shade[y + 1, x] * (1 - across) + shade[y + 1, x + 1] * across
    found = np.zeros((size, size))
    found[inside] = lower * (1 - above) + upper * above
    return found


def to_srgb(value: float) -> float:
    """A linear value as it is shown."""
    return 1.055 * value ** (1 / 2.4) - 0.055 if value > 0.0031308 else 12.92 * value
