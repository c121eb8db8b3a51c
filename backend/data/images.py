"""Training pictures: one animal in one pose and coat, seen by one camera, with all that is known about it.

Enters a `Figure` and a random generator; leaves a square picture and its truth.
The animal's mask fills 60-95 % of the crop; yaw is uniform, elevation mostly low, roll slight, lenses from long to wide; coats are
recoloured or patterned; one lamp, sky and ground light; plain, graded or blotchy background; blur, noise and JPEG at the end.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter

from backend.data.raster import Coat, Light, draw
from backend.data.stage import Figure, pose_figure
from backend.types import ByteArray, FloatArray

FIELD_OF_VIEW = np.radians(25.0)
"""Of the crop as the model takes it to be, and of pictures for validation."""
LENSES = np.radians(5.0), np.radians(32.0)
"""Fields of view of the crop in training's pictures: an animal across a meadow, and one at arm's length."""
SUPERSAMPLING = 2
"""Pictures are drawn at twice their size and halved."""
FILL = (0.60, 0.95)
BACKGROUND_GREY = 0.5
"""What the product puts behind a cut-out; half of the pictures have it."""


@dataclass(frozen=True)
class View:
    """azimuth: 0 sees the face, +90 degrees the animal's left; elevation, roll in radians.

    fill: longer side of the mask's box over the crop; shift: of the box's centre, a share of the free room; fov: of the crop, radians.
    """

    azimuth: float
    elevation: float
    roll: float
    fill: float
    shift: tuple[float, float]
    fov: float = float(FIELD_OF_VIEW)


@dataclass(frozen=True)
class Picture:
    """rgb (s, s, 3), mask (s, s) uint8; object_to_camera (4, 4) OpenCV; points (42, 3) object frame; seen (42, 2) where they are in the
    picture, in [-1, 1], y down; visibility (42,) bool."""

    rgb: ByteArray
    mask: ByteArray
    object_to_camera: FloatArray
    points: FloatArray
    seen: FloatArray
    visibility: NDArray[np.bool_]


def random_view(rng: np.random.Generator, azimuth: float | None = None, elevation: float | None = None) -> View:
    """Photographers stand at the animal's height more often than above it. With an elevation given, the lens is the model's own."""
    fov = float(FIELD_OF_VIEW)
    if elevation is None:
        low = rng.random() < 0.7
        elevation = np.radians(rng.triangular(-14, 5, 22) if low else rng.uniform(-20, 40))
        fov = float(np.exp(rng.uniform(*np.log(LENSES))))
    return View(
        float(rng.uniform(-np.pi, np.pi) if azimuth is None else azimuth),
        float(elevation),
        float(np.radians(np.clip(rng.normal(0, 3), -8, 8))),
        float(rng.uniform(*FILL)),
        (float(rng.uniform(-0.2, 0.2)), float(rng.uniform(-0.2, 0.2))),
        fov,
    )


def camera_turn(view: View) -> FloatArray:
    """(3, 3) object -> OpenCV camera."""
    ca, sa, ce, se = np.cos(view.azimuth), np.sin(view.azimuth), np.cos(view.elevation), np.sin(view.elevation)
    forward = -np.array([sa * ce, se, ca * ce])
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(view.roll), np.sin(view.roll)
    return np.asarray(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.stack([right, down, forward]), np.float32)


def place_camera(vertices: FloatArray, view: View, size: int) -> FloatArray:
    """(4, 4) object-to-camera so that the projected box fills `view.fill` of the crop, off its middle by `view.shift` of the free room."""
    focal = size / 2 / np.tan(view.fov / 2)
    turn = camera_turn(view)
    turned = vertices @ turn.T
    place = np.array([0.0, 0.0, 12.0 * np.tan(FIELD_OF_VIEW / 2) / np.tan(view.fov / 2)])
    place[:2] -= (turned[:, :2].max(0) + turned[:, :2].min(0)) / 2
    for _ in range(6):
        seen = turned + place
        projected = focal * seen[:, :2] / seen[:, 2:]
        low, high = projected.min(0), projected.max(0)
        place[2] *= (high - low).max() / (view.fill * size)
        # The nearest vertex must stay well in front of the camera.
        place[2] = max(place[2], 1.5 - turned[:, 2].min())
        free = np.array(view.shift) * np.minimum(size - (high - low), 0.3 * size)
        place[:2] -= ((low + high) / 2 - free) * place[2] / focal
    out = np.eye(4, dtype=np.float32)
    out[:3, :3] = turn
    out[:3, 3] = place
    return out


def random_coat(skins: tuple[ByteArray, ...], rng: np.random.Generator) -> Coat:
    """One of an animal's skins, recoloured; sometimes with stripes or spots, or replaced by one colour."""
    skin = skins[int(rng.integers(len(skins)))] if skins else np.full((2, 2, 3), 150, np.uint8)
    tint = np.eye(3, 4)
    kind = rng.random()
    contrast, brightness = float(np.exp(rng.normal(0, 0.25))), float(rng.normal(0, 0.08))
    mean = skin[::8, ::8].reshape(-1, 3).mean(0) / 255
    if kind < 0.25:  # hue turned about grey
        angle = rng.uniform(0, 2 * np.pi)
        c, s = np.cos(angle), np.sin(angle) / np.sqrt(3)
        tint[:, :3] = c * np.eye(3) + (1 - c) / 3 + s * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
        tint[:, :3] = 0.6 * tint[:, :3] + 0.4 / 3
    elif kind < 0.5:  # fur colours: the skin's light and dark over a new colour
        fur = np.array([0.55, 0.42, 0.30]) * np.exp(rng.normal(0, [0.45, 0.45, 0.45]) * 0.5 + rng.normal(0, 0.5))
        fur = np.clip(fur, 0.04, 0.95)
        tint[:, :3] = fur[:, None] / 3 / max(float(mean.mean()), 0.1)
    if kind >= 0.9:
        contrast *= 0.15
        tint[:, 3] += np.clip(rng.normal(0.45, 0.22, 3) * 0.5 + rng.normal(0.2, 0.15), 0, 0.9) - 0.3
    tint[:, 3] += brightness + (1 - contrast) * (tint[:, :3] @ mean)
    tint[:, :3] *= contrast
    waves = np.zeros((0, 5))
    pattern = np.zeros(6)
    if rng.random() < 0.25:
        count = 5
        frequency = np.exp(rng.normal(np.log(7), 0.5))
        direction = rng.normal(size=(count, 3)) * (1, 1, 3 if rng.random() < 0.5 else 1)
        direction *= frequency / np.linalg.norm(direction, axis=1, keepdims=True) * rng.uniform(0.5, 1.5, (count, 1))
        waves = np.concatenate([direction, rng.uniform(0, 2 * np.pi, (count, 1)), rng.uniform(0.3, 1, (count, 1))], 1)
        colour = np.clip(rng.normal(0.5, 0.3) + rng.normal(0, 0.08, 3), 0.03, 0.97)
        pattern = np.array([*colour, rng.uniform(-0.6, 0.9), rng.uniform(0.1, 0.8), rng.uniform(0.5, 1)])
    return Coat(skin, tint.astype(np.float32), waves.astype(np.float32), pattern.astype(np.float32))


def random_light(turn: FloatArray, rng: np.random.Generator) -> Light:
    """A lamp from above (any side), weaker sky and ground, colours near white."""
    direction = rng.normal(size=3) + (0, 1.0, 0)
    direction /= np.linalg.norm(direction)
    white = 1 + rng.normal(0, 0.05, 3)
    ambient = rng.uniform(0.25, 0.9)
    ground = ambient * rng.uniform(0.3, 1.0)
    return Light(
        (turn @ direction).astype(np.float32),
        turn[:, 1].astype(np.float32),
        (rng.uniform(0.1, 1.1) * white).astype(np.float32),
        (ambient * (1 + rng.normal(0, 0.04, 3))).astype(np.float32),
        (ground * (1 + rng.normal(0, 0.04, 3))).astype(np.float32),
        float(max(0, rng.normal(0, 0.12))),
    )


def random_background(size: int, rng: np.random.Generator) -> FloatArray:
    """(size, size, 3) in [0, 1]."""
    kind = rng.random()
    colour = rng.random(3) if rng.random() < 0.25 else np.clip(rng.random() + rng.normal(0, 0.06, 3), 0, 1)
    if kind < 0.5:
        return np.full((size, size, 3), BACKGROUND_GREY, np.float32)
    if kind < 0.75:
        return np.broadcast_to(colour.astype(np.float32), (size, size, 3)).copy()
    cells = 2 if kind < 0.88 else int(rng.integers(3, 24))
    blotches = np.clip(colour + rng.normal(0, 0.10, (cells, cells, 1)) + rng.normal(0, 0.05, (cells, cells, 3)), 0, 1)
    picture = PillowImage.fromarray((blotches * 255).astype(np.uint8)).resize((size, size), PillowImage.Resampling.BICUBIC)
    return np.asarray(np.asarray(picture, np.float32) / 255, np.float32)


def take_picture(figure: Figure, frame: int, view: View, rng: np.random.Generator, size: int = 256, turned: bool = False) -> Picture:
    """Render and roughen one picture; all randomness comes from `rng`. turned: neck and tail may be turned further than in the clip."""
    vertices, points = pose_figure(figure, frame, rng if turned else None)
    camera = place_camera(vertices, view, size)
    seen = vertices @ camera[:3, :3].T + camera[:3, 3]
    fine = size * SUPERSAMPLING
    focal = fine / 2 / np.tan(view.fov / 2)
    animal = figure.stage.animal
    coat, light = random_coat(figure.stage.skins, rng), random_light(camera[:3, :3], rng)
    colour, cover, depth = draw(seen, animal.faces, figure.stage.index, figure.vertices, animal.uvs, focal, fine, coat, light)
    cropped = _grass(cover, rng) if rng.random() < 0.08 else cover
    visibility = visible_points(points, figure.radii, camera, depth, focal) & _kept(points, camera, cropped, cover, focal)
    share = _halve(cropped)  # (s, s)
    total = _halve(colour * cropped[..., None])  # (s, s, 3)
    picture = total + random_background(size, rng) * (1 - share[..., None])
    mask = np.round(share * 255).astype(np.uint8)
    placed = points @ camera[:3, :3].T + camera[:3, 3]
    where = np.asarray(placed[:, :2] / placed[:, 2:] / np.tan(view.fov / 2), np.float32)
    return Picture(_roughen(picture, rng), mask, camera, points, where, visibility)


def _halve(fine: FloatArray) -> FloatArray:
    """(2 s, 2 s, ...) -> (s, s, ...), means of four."""
    return np.asarray((fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]) * np.float32(0.25))


def visible_points(points: FloatArray, radii: FloatArray, camera: FloatArray, depth: FloatArray, focal: float) -> NDArray[np.bool_]:
    """(42,) bool: nothing but the flesh around the point lies before it."""
    size = len(depth)
    seen = points @ camera[:3, :3].T + camera[:3, 3]
    pixel = np.floor(focal * seen[:, :2] / seen[:, 2:] + size / 2).astype(int)
    inside = ((pixel >= 0) & (pixel < size)).all(1)
    pixel = np.clip(pixel, 0, size - 1)
    front = depth[pixel[:, 1], pixel[:, 0]]
    return np.asarray(inside & ~(seen[:, 2] - front > 1.4 * radii + 0.06))


def _kept(points: FloatArray, camera: FloatArray, cropped: FloatArray, cover: FloatArray, focal: float) -> NDArray[np.bool_]:
    """Points that grass did not cover."""
    size = len(cover)
    seen = points @ camera[:3, :3].T + camera[:3, 3]
    pixel = np.clip(np.floor(focal * seen[:, :2] / seen[:, 2:] + size / 2).astype(int), 0, size - 1)
    return np.asarray(~((cover > 0) & (cropped == 0))[pixel[:, 1], pixel[:, 0]])


def _grass(cover: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Takes the lowest part of the mask away along a ragged line, as grass or snow does."""
    rows = np.flatnonzero(cover.any(1))
    line = rows[-1] - (rows[-1] - rows[0]) * rng.uniform(0.03, 0.15)
    ragged = np.repeat(rng.normal(0, rng.uniform(0, 5), cover.shape[1] // 4 + 1), 4)[: cover.shape[1]]
    return np.asarray(np.where(np.arange(len(cover))[:, None] > line + ragged[None], 0, cover), np.float32)


def _roughen(picture: FloatArray, rng: np.random.Generator) -> ByteArray:
    """Gamma, blur, sensor noise, JPEG."""
    bright = np.clip(picture, 0, 1) ** float(np.exp(rng.normal(0, 0.15)))
    image = PillowImage.fromarray((bright * 255).astype(np.uint8))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 1.4))))
    if rng.random() < 0.5:
        noisy = np.asarray(image, np.float32) + rng.standard_normal((*picture.shape[:2], 3), np.float32) * rng.uniform(1, 10)
        image = PillowImage.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    if rng.random() < 0.6:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(35, 95)))
        image = PillowImage.open(buffer)
    return np.asarray(image.convert("RGB"))
