"""One training picture from a posed animal: camera, coat, light and background at random, with its truth.

Enters: posed vertices and points in the object frame (pelvis at its rest place, yaw removed), faces, UVs, a coat. Leaves: a
256x256 crop as the network will see it (the animal on a plain or softly graded background), its mask and depth, the
camera (OpenCV, 25 degree crop) and which points are visible. Lambert light as in 3D-Fauna, but with softer falloffs.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from backend.render.cpu import antialias, interpolate, rasterize

FOV_DEGREES = 25.0
FOCAL = 1 / math.tan(math.radians(FOV_DEGREES / 2))
"""Focal length in half widths of the crop."""
HIDDEN_DEPTH = 0.35
"""A joint lies inside the body: it counts as hidden when the surface before it is nearer by more than this, object units."""


@dataclass(frozen=True)
class Picture:
    """rgb (s, s, 3) uint8; mask (s, s) uint8, 255 inside; depth (s, s) float32, 0 outside; object_to_camera (4, 4) OpenCV;
    visible (P,) bool."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    depth: NDArray[np.float32]
    object_to_camera: NDArray[np.float32]
    visible: NDArray[np.bool_]


def view_rotation(yaw: float, elevation: float, roll: float) -> NDArray[np.float64]:
    """Object-to-camera rotation (3, 3), OpenCV. yaw 0: the animal faces the picture's right; pi/2: the viewer.

    elevation: radians by which the camera looks down; roll about the view.
    """
    # yaw turns the object's +Z (forward) from the camera's right towards the viewer, level (OpenGL axes first)
    forward = np.array([math.cos(yaw), 0.0, math.sin(yaw)])
    right = np.array([forward[2], 0.0, -forward[0]])  # up x forward: the animal's left
    level = np.stack([right, [0.0, 1.0, 0.0], forward], 1)
    c, s = math.cos(elevation), math.sin(elevation)
    tilt = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    cr, sr = math.cos(roll), math.sin(roll)
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.diag([1.0, -1.0, -1.0]) @ lean @ tilt @ level


def place_camera(vertices: NDArray[np.floating], rotation: NDArray[np.floating], fill: float, offset: NDArray[np.floating]) -> NDArray[np.float32]:
    """Move the camera until the animal's box fills `fill` of the crop, its centre at `offset` in [-1, 1] -> (4, 4)."""
    turned = vertices @ rotation.T
    middle = (turned.max(0) + turned.min(0)) / 2
    t = np.array([-middle[0], -middle[1], 10.0])
    for _ in range(30):
        seen = turned + t
        xy = FOCAL * seen[:, :2] / np.maximum(seen[:, 2:], 0.5)
        low, high = xy.min(0), xy.max(0)
        scale = (high - low).max() / 2 / fill
        t[2] = (seen[:, 2].mean() * scale) - turned[:, 2].mean()
        t[:2] += (offset - (low + high) / 2) * (turned[:, 2].mean() + t[2]) / FOCAL * 0.9
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3], pose[:3, 3] = rotation, t
    return pose


def smooth_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """(V, 3) area-weighted unit normals."""
    corner = vertices[faces]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    total = np.zeros((len(vertices), 3))
    for c in range(3):
        np.add.at(total, faces[:, c], face)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def random_coat(texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """A coat (h, w, 3) uint8 recoloured at random -> (h, w, 3) float32 in [0, 1]."""
    coat = texture[..., :3].astype(np.float32) / 255
    if rng.random() < 0.6:  # tint and contrast of the animal's own coat
        mean = coat.mean((0, 1))
        coat = (coat - mean) * rng.uniform(0.6, 1.5) + mean * rng.uniform(0.8, 1.6)
        coat = coat * rng.uniform(0.8, 1.2, 3).astype(np.float32)
    elif rng.random() < 0.6:  # another animal's colours: the grey pattern between two random tones
        grey = coat.mean(-1, keepdims=True)
        grey = (grey - grey.min()) / max(float(np.ptp(grey)), 1e-3)
        brown = np.array([1.0, rng.uniform(0.7, 1.0), rng.uniform(0.45, 1.0)])
        dark, light = rng.uniform(0.03, 0.4) * brown, rng.uniform(0.4, 1.0) * brown
        coat = dark + (light - dark) * grey
    if rng.random() < 0.25:  # patches, spots or stripes
        size = int(rng.integers(4, 40))
        noise = rng.normal(size=(size, max(2, int(size * rng.uniform(0.2, 3)))))
        wide = np.asarray(Image.fromarray(noise.astype(np.float32)).resize((coat.shape[1], coat.shape[0]), Image.Resampling.BICUBIC))
        share = np.clip((wide - rng.uniform(0, 0.8)) * 6, 0, 1)[..., None] * rng.uniform(0.3, 0.9)
        coat = coat * (1 - share) + rng.uniform(0.02, 0.95) * share
    return np.clip(coat, 0, 1).astype(np.float32)


def random_background(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(size, size, 3): one colour, mid grey often, or a soft gradient."""
    kind = rng.random()
    first = np.full(3, 0.5) if kind < 0.4 else rng.uniform(0, 1, 3)
    if kind < 0.8:
        return np.broadcast_to(first, (size, size, 3)).astype(np.float32)
    ramp = np.linspace(0, 1, size)[:, None, None] if rng.random() < 0.7 else np.linspace(0, 1, size)[None, :, None]
    return np.broadcast_to(first + (rng.uniform(0, 1, 3) - first) * ramp, (size, size, 3)).astype(np.float32)


def draw(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], uvs: NDArray[np.floating], coat: NDArray[np.float32], pose: NDArray[np.floating],
    light: tuple[NDArray[np.floating], float, float], background: NDArray[np.float32], normals: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """-> colour (s, s, 3) in [0, 1], coverage (s, s), depth (s, s; 0 outside).

    uvs: (F, 3, 2) per corner or (V, 2) per vertex, v from the texture's bottom, wrapping; light: direction (3,) in the camera
    frame (from the surface to the lamp), ambient, diffuse.
    """
    size = background.shape[0]
    seen = (vertices @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32)
    normals = smooth_normals(vertices, faces) if normals is None else normals
    turned = (normals @ pose[:3, :3].T).astype(np.float32)
    if uvs.ndim == 3:  # corners become vertices of their own
        seen_c, turned = seen[faces].reshape(-1, 3), turned[faces].reshape(-1, 3)
        flat, index = uvs.reshape(-1, 2), np.arange(faces.size, dtype=np.int32).reshape(-1, 3)
    else:
        seen_c, flat, index = seen, uvs, faces.astype(np.int32)
    z = seen_c[:, 2:]
    clip = torch.from_numpy(np.concatenate([FOCAL * seen_c[:, :2], (z - 0.2) * 1.001, z], 1).astype(np.float32))[None]
    triangles = torch.from_numpy(np.ascontiguousarray(index, np.int32))
    rast = rasterize(clip, triangles, (size, size))
    attributes = torch.from_numpy(np.concatenate([turned, z, flat], 1).astype(np.float32))[None]
    values = interpolate(attributes, rast, triangles)[0].numpy()  # (s, s, 6)
    inside = rast[0, ..., 3].numpy() > 0
    n = values[inside][:, :3]
    n /= np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-6)
    direction, ambient, diffuse = light
    lambert = np.clip(n @ direction, 0, None)
    shade = ambient + diffuse * lambert
    height, width = coat.shape[:2]
    column = (np.floor(values[inside][:, 4] * width).astype(np.int64)) % width
    row = (np.floor((1 - values[inside][:, 5]) * height).astype(np.int64)) % height
    colour = np.array(background, np.float32)
    colour[inside] = coat[row, column] * shade[:, None]
    cover = antialias(torch.from_numpy(inside.astype(np.float32))[None, ..., None], rast, clip, triangles)[0, ..., 0].numpy()
    depth = np.where(inside, values[..., 3], 0).astype(np.float32)
    blended = np.where(inside[..., None], colour * cover[..., None] + background * (1 - cover[..., None]), colour)
    return np.clip(blended, 0, 1), cover, depth


def visible_points(points: NDArray[np.floating], pose: NDArray[np.floating], depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which points (P, 3) are in the crop and not far behind the surface drawn there."""
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    xy = FOCAL * seen[:, :2] / np.maximum(seen[:, 2:], 0.1)
    size = depth.shape[0]
    pixel = np.floor((xy + 1) / 2 * size).astype(np.int64)
    inside = ((pixel >= 0) & (pixel < size)).all(1)
    at = depth[np.clip(pixel[:, 1], 0, size - 1), np.clip(pixel[:, 0], 0, size - 1)]
    return inside & ((at == 0) | (seen[:, 2] - at < HIDDEN_DEPTH))


def render_picture(
    vertices: NDArray[np.floating], points: NDArray[np.floating], faces: NDArray[np.integer], uvs: NDArray[np.floating], texture: NDArray[np.uint8],
    rng: np.random.Generator, size: int = 256, yaw: float | None = None, elevation: float | None = None,
) -> Picture:  # fmt: skip
    """A random picture of a posed animal (yaw and elevation in radians where given)."""
    yaw = rng.uniform(0, 2 * math.pi) if yaw is None else yaw
    if elevation is None:
        elevation = math.radians(rng.uniform(-3, 15) if rng.random() < 0.65 else rng.uniform(-10, 40))
    rotation = view_rotation(yaw, elevation, math.radians(rng.normal(0, 2.0)))
    pose = place_camera(vertices, rotation, rng.uniform(0.72, 0.95), rng.uniform(-0.06, 0.06, 2))
    lamp = np.array([rng.uniform(-1, 1), rng.uniform(-1.2, -0.1), rng.uniform(-1.2, 0.2)])  # above and before, OpenCV
    lamp /= np.linalg.norm(lamp)
    ambient = rng.uniform(0.35, 0.8)
    background = random_background(size, rng)
    coat = random_coat(texture, rng)
    colour, cover, depth = draw(vertices, faces, uvs, coat, pose, (lamp, ambient, rng.uniform(0.3, 1.1 - ambient * 0.5)), background)
    picture = Image.fromarray((colour * 255).astype(np.uint8))
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 1.4))))
    array = np.asarray(picture, np.float32)
    if rng.random() < 0.5:
        array = array + rng.normal(0, rng.uniform(1, 8), array.shape)
    array = np.clip((array - 128) * rng.uniform(0.75, 1.2) + 128 * rng.uniform(0.85, 1.15), 0, 255)
    rgb = array.astype(np.uint8)
    if rng.random() < 0.4:
        store = io.BytesIO()
        Image.fromarray(rgb).save(store, "JPEG", quality=int(rng.integers(35, 92)))
        rgb = np.asarray(Image.open(store))
    return Picture(rgb, (cover * 255).astype(np.uint8), depth, pose, visible_points(points, pose, depth))
