"""The square picture that a network sees, as a camera of its own: the photo's camera turned about its centre.

Enters an upright photo, its mask and its focal length; leaves a `CropCamera` and resampled squares. A cut-out square of a
wide photo is not what a camera pointed at the animal would see; turning the photo's camera to the middle of the animal
and warping by the homography is. A pose found in the crop goes back by the inverse rotation (`to_photo_camera`), so an
animal in the corner overlays as well as one in the middle (Hartley and Zisserman 2004, section 8.4.2).

Frames: OpenCV camera (+X right, +Y down, +Z forward); pixel centres at (i + 0.5); principal points in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch.nn import functional

from backend.errors import MenagerieError
from backend.types import ByteArray, FloatArray, Mask

NETWORK_SIZE = 256
FILL = 0.85
"""Share of the crop's side that the animal's box takes."""
DEFAULT_CROP_FOV = math.radians(25.0)
"""Field of view of the crop that `default_focal` aims at: the one that 3D-Fauna was made for."""
WIDEST_PHOTO, NARROWEST_PHOTO = math.radians(75.0), math.radians(15.0)
"""Bounds of the default field of view along the photo's longer side."""
WIDEST_CROP = math.radians(120.0)
LEVEL = 0.5
TURNS = 8
"""Rounds in which the crop's direction settles."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class CropCamera:
    """The turned camera. rotation: (3, 3) float64, photo camera -> crop camera; focal: pixels of a crop `size` pixels wide;
    size: side in pixels; homography: (3, 3) float64, crop pixels (x, y, 1) -> photo pixels."""

    rotation: Matrix
    focal: float
    size: int
    homography: Matrix

    @property
    def fov(self) -> float:
        """Field of view, vertical and horizontal, radians."""
        return 2 * math.atan(0.5 * self.size / self.focal)


def _turn_to(x: float, y: float) -> Matrix:
    """Rotation whose third row looks along (x, y, 1), level: the crop's x axis has no vertical part in the photo's camera."""
    forward = np.array([x, y, 1.0]) / math.hypot(x, y, 1.0)
    right = np.array([forward[2], 0.0, -forward[0]]) / math.hypot(forward[0], forward[2])
    return np.stack([right, np.cross(forward, right), forward])


def _outline(mask: Mask) -> Matrix:
    """(n, 2) corners of the mask's leftmost and rightmost pixels in each row, in pixels from the photo's middle.

    They hold the extremes of the mask under any projection.
    """
    solid = mask > LEVEL
    rows = np.flatnonzero(solid.any(1))
    if len(rows) == 0:
        raise MenagerieError("no_animal", "The mask is empty.")
    inside = solid[rows]
    left = inside.argmax(1)
    right = inside.shape[1] - inside[:, ::-1].argmax(1)
    corners = np.concatenate([np.stack([x, rows + step], 1) for x in (left, right) for step in (0, 1)])
    return corners - np.array([mask.shape[1] / 2, mask.shape[0] / 2])


def crop_camera(
    mask: Mask, photo_size: tuple[int, int], focal_px: float, fill: float = FILL, size: int = NETWORK_SIZE
) -> CropCamera:  # fmt: skip
    """The camera turned to the animal, just wide enough that the animal's box fills the share `fill` of its side.

    mask: (height, width); photo_size: (width, height); focal_px: the photo's focal length in pixels. Raises `no_animal`
    for an empty mask.
    """
    width, height = photo_size
    if mask.shape != (height, width):
        raise ValueError(f"mask is {mask.shape}, the photo {(height, width)}")
    rotation, half = _aim(_outline(mask), focal_px, fill)
    return _make(rotation, 0.5 * size / half, size, width, height, focal_px)


def _aim(outline: Matrix, focal_px: float, fill: float) -> tuple[Matrix, float]:
    """outline: (n, 2) pixels from the photo's middle -> rotation to the crop camera, tangent of the crop's half field of view."""
    flat = outline / focal_px
    rays = np.column_stack([flat, np.ones(len(flat))])  # (n, 3)
    target = (flat.min(0) + flat.max(0)) / 2
    for _ in range(TURNS):
        # Turning changes the extents: the middle of what the turned camera sees becomes the new direction.
        rotation = _turn_to(*target)
        seen = rays @ rotation.T
        flat = seen[:, :2] / np.maximum(seen[:, 2:], 1e-6)
        middle = rotation.T @ np.array([*(flat.min(0) + flat.max(0)) / 2, 1.0])
        target = middle[:2] / middle[2]
    half = float(np.abs(flat).max()) / fill
    return rotation, min(max(half, 1.0 / focal_px), math.tan(WIDEST_CROP / 2))


def _make(rotation: Matrix, focal: float, size: int, width: int, height: int, focal_px: float) -> CropCamera:
    from_crop = np.array([[1 / focal, 0, -0.5 * size / focal], [0, 1 / focal, -0.5 * size / focal], [0, 0, 1]])
    to_photo = np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]])
    return CropCamera(rotation, focal, size, to_photo @ rotation.T @ from_crop)


def resized(crop: CropCamera, size: int) -> CropCamera:
    """The same camera with another number of pixels."""
    scale = crop.size / size
    return CropCamera(crop.rotation, crop.focal / scale, size, crop.homography @ np.diag([scale, scale, 1.0]))


def default_focal(width: int, height: int, mask: Mask, fill: float = FILL, fov: float = DEFAULT_CROP_FOV) -> float:
    """The focal length taken where EXIF has none: the animal's crop then has this field of view, radians.

    -> pixels, bounded so that the photo's longer side spans 15 to 75 degrees. Raises `no_animal` for an empty mask.
    """
    side, outline = 0.5 * max(width, height), _outline(mask)
    short, long = side / math.tan(WIDEST_PHOTO / 2), side / math.tan(NARROWEST_PHOTO / 2)
    for _ in range(24):
        focal = math.sqrt(short * long)
        if _aim(outline, focal, fill)[1] > math.tan(fov / 2):
            short = focal
        else:
            long = focal
    return math.sqrt(short * long)


def to_photo_camera(crop: CropCamera, object_to_crop: NDArray[np.floating]) -> FloatArray:
    """(4, 4) object -> crop camera (OpenCV) to (4, 4) float32 object -> photo camera."""
    turn = np.eye(4)
    turn[:3, :3] = crop.rotation.T
    return (turn @ object_to_crop).astype(np.float32)


def to_crop_camera(crop: CropCamera, object_to_camera: NDArray[np.floating]) -> FloatArray:
    """(4, 4) object -> photo camera to (4, 4) float32 object -> crop camera (OpenCV)."""
    turn = np.eye(4)
    turn[:3, :3] = crop.rotation
    return (turn @ object_to_camera).astype(np.float32)


def to_photo_pixels(crop: CropCamera, points: NDArray[np.floating]) -> Matrix:
    """(..., 2) pixels of the crop -> (..., 2) pixels of the photo."""
    lifted = np.concatenate([points, np.ones((*points.shape[:-1], 1))], -1) @ crop.homography.T
    return lifted[..., :2] / lifted[..., 2:]


def warp(image: ByteArray | FloatArray, crop: CropCamera, size: int = NETWORK_SIZE) -> FloatArray:
    """What the crop's camera sees. image: (h, w, C) or (h, w), uint8 or float32 -> (size, size, C) or (size, size) float32.

    uint8 becomes [0, 1]. Antialiased: the part of the photo that is seen is averaged over whole blocks of pixels until at
    most two fall on one of the crop's, then four bilinear samples are averaged a pixel. Outside the photo it is 0.
    """
    return warp_together((image,), crop, size)[0]


def warp_together(images: Sequence[ByteArray | FloatArray], crop: CropCamera, size: int = NETWORK_SIZE) -> list[FloatArray]:
    """As `warp`, of several pictures of one size, which takes hardly longer than of one."""
    height, width = images[0].shape[:2]
    crop = resized(crop, size)
    steps = (np.arange(2 * size) + 0.5) / 2
    points = to_photo_pixels(crop, np.stack(np.meshgrid(steps, steps), -1))  # (2s, 2s, 2) as (x, y)
    across = to_photo_pixels(crop, np.array([[size / 2 - 0.5, size / 2], [size / 2 + 0.5, size / 2]]))
    block = max(1, int(np.hypot(*(across[1] - across[0]))))
    low = np.clip(np.floor(points.reshape(-1, 2).min(0)).astype(int) - 2 * block, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(points.reshape(-1, 2).max(0)).astype(int) + 2 * block, low + 1, [width, height])
    seen = [np.atleast_3d(image[low[1] : high[1], low[0] : high[0]]) for image in images]
    averaged = np.stack([_average(part[..., channel], block) for part in seen for channel in range(part.shape[2])])  # (C, h', w')
    extent = np.array([averaged.shape[2], averaged.shape[1]])
    grid = 2 * (points - low) / (block * extent) - 1
    sampled = functional.grid_sample(
        torch.from_numpy(averaged)[None], torch.from_numpy(grid.astype(np.float32))[None], padding_mode="zeros", align_corners=False
    )  # (1, C, 2s, 2s)
    parts = functional.avg_pool2d(sampled, 2)[0].permute(1, 2, 0).split([part.shape[2] for part in seen], -1)
    results: list[FloatArray] = [part.contiguous().numpy() for part in parts]
    return [result[..., 0] if image.ndim == 2 else result for image, result in zip(images, results, strict=True)]


def _average(plane: NDArray[np.generic], block: int) -> FloatArray:
    """Means of block x block pixels, float32; uint8 becomes [0, 1]. A last block that is not full is averaged over what it has."""
    picture = PIL.Image.fromarray(np.ascontiguousarray(plane))
    reduced: FloatArray = np.asarray(picture.reduce(block) if block > 1 else picture, np.float32)
    return reduced * np.float32(1 / 255) if plane.dtype == np.uint8 else reduced
