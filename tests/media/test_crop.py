"""The crop is the photo's camera turned to the animal: what it sees, how wide, and the way back."""

import math

import numpy as np
import pytest

from backend.errors import MenagerieError
from backend.media.crop import (
    DEFAULT_CROP_FOV,
    FILL,
    NARROWEST_PHOTO,
    WIDEST_PHOTO,
    crop_camera,
    default_focal,
    resized,
    to_crop_camera,
    to_photo_camera,
    to_photo_pixels,
    warp,
)  # fmt: skip

EXACT = 1e-9
SAMPLING = 0.02
"""Levels in [0, 1] by which resampling a smooth picture may differ from the picture."""


def box_mask(width: int, height: int, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((height, width), np.float32)
    mask[top:bottom, left:right] = 1
    return mask


@pytest.mark.parametrize("box", [(500, 300, 700, 400), (0, 0, 200, 150), (1000, 650, 1200, 800), (100, 10, 1100, 790)])
def test_the_animals_box_fills_its_share_and_is_centred(box):
    crop = crop_camera(box_mask(1200, 800, *box), (1200, 800), 1000.0)
    corners = np.array([(x, y) for x in box[::2] for y in box[1::2]], float)
    seen = np.column_stack([(corners - [600, 400]) / 1000, np.ones(4)]) @ crop.rotation.T
    flat = seen[:, :2] / seen[:, 2:] / math.tan(crop.fov / 2)
    assert np.abs(flat).max() == pytest.approx(FILL, abs=1e-6)
    assert np.abs(flat.min(0) + flat.max(0)).max() < 1e-3


def test_the_turn_is_a_rotation_and_level():
    crop = crop_camera(box_mask(1200, 800, 1000, 650, 1200, 800), (1200, 800), 700.0)
    assert np.abs(crop.rotation @ crop.rotation.T - np.eye(3)).max() < EXACT
    assert np.linalg.det(crop.rotation) == pytest.approx(1)
    assert crop.rotation[0, 1] == 0
    assert crop.rotation[0, 0] > 0 and crop.rotation[1, 1] > 0 and crop.rotation[2, 2] > 0


def test_the_homography_agrees_with_projecting_points():
    crop = crop_camera(box_mask(900, 1200, 20, 700, 400, 1150), (900, 1200), 1100.0)
    points = np.random.default_rng(0).normal(size=(50, 3)) * [0.05, 0.05, 0.3] + [-0.2, 0.25, 2.0]
    photo = points[:, :2] / points[:, 2:] * 1100 + [450, 600]
    turned = points @ crop.rotation.T
    seen = turned[:, :2] / turned[:, 2:] * crop.focal + crop.size / 2
    assert np.abs(to_photo_pixels(crop, seen) - photo).max() < 1e-6
    small = resized(crop, 64)
    assert np.abs(to_photo_pixels(small, seen * 64 / crop.size) - photo).max() < 1e-6
    assert small.fov == pytest.approx(crop.fov)


def test_a_pose_goes_to_the_crop_and_back():
    crop = crop_camera(box_mask(900, 600, 600, 300, 900, 600), (900, 600), 800.0)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, 3] = [0.4, 0.2, 3.0]
    assert np.abs(to_photo_camera(crop, to_crop_camera(crop, pose)) - pose).max() < 1e-6


@pytest.mark.parametrize("box", [(300, 200, 900, 600), (750, 450, 1150, 800)])
def test_default_focal_gives_the_crop_25_degrees(box):
    mask = box_mask(1200, 800, *box)
    focal = default_focal(1200, 800, mask)
    assert crop_camera(mask, (1200, 800), focal).fov == pytest.approx(DEFAULT_CROP_FOV, abs=math.radians(0.1))


def test_default_focal_stays_within_ordinary_lenses():
    far = default_focal(1200, 800, box_mask(1200, 800, 590, 395, 610, 405))
    assert 2 * math.atan(600 / far) == pytest.approx(WIDEST_PHOTO, abs=1e-4)
    assert 2 * math.atan(600 / default_focal(1200, 800, np.ones((800, 1200), np.float32))) > NARROWEST_PHOTO


def test_an_empty_mask_has_no_animal():
    with pytest.raises(MenagerieError) as caught:
        crop_camera(np.zeros((20, 30), np.float32), (30, 20), 50.0)
    assert caught.value.code == "no_animal"


@pytest.mark.parametrize("scale", [1, 4, 9])
def test_warping_samples_the_picture_where_the_homography_says(scale):
    width, height = 300 * scale, 200 * scale
    y, x = np.mgrid[0:height, 0:width] + 0.5
    picture = np.stack([x / width, y / height, 0.5 + 0.5 * np.sin(9 * x / width)], -1).astype(np.float32)
    crop = crop_camera(box_mask(width, height, 120 * scale, 60 * scale, 200 * scale, 140 * scale), (width, height), 280.0 * scale)
    seen = warp(picture, crop, 64)
    steps = np.arange(64) + 0.5
    where = to_photo_pixels(resized(crop, 64), np.stack(np.meshgrid(steps, steps), -1))
    expected = np.stack([where[..., 0] / width, where[..., 1] / height, 0.5 + 0.5 * np.sin(9 * where[..., 0] / width)], -1)
    assert np.abs(seen - expected).max() < SAMPLING
    bytes_seen = warp((picture * 255).round().astype(np.uint8), crop, 64)
    assert np.abs(bytes_seen - seen).max() < SAMPLING


def test_warping_averages_fine_stripes():
    picture = np.zeros((1024, 1024), np.float32)
    picture[:, ::2] = 1
    crop = crop_camera(box_mask(1024, 1024, 100, 100, 924, 924), (1024, 1024), 3000.0)
    seen = warp(picture, crop, 64)
    assert np.abs(seen - 0.5).max() < 0.1


def test_outside_the_photo_is_empty():
    crop = crop_camera(box_mask(400, 200, 0, 0, 400, 200), (400, 200), 400.0)
    seen = warp(np.ones((200, 400), np.float32), crop, 128)
    assert seen[0].max() == 0 and seen[-1].max() == 0 and seen[64, 64] == 1
    assert seen.shape == (128, 128)
