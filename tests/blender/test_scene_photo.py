"""The photo on its plane stands upright, whatever way up the camera wrote it."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from blender_addon.scene.place import place_asset
from blender_addon.scene.view import load_photo, photo_preview
from tests.blender.creatures import empty_blender, read_creature

pytestmark = pytest.mark.blender5

ORIENTATION = 0x0112
SIZE = (96, 64)  # of the upright photo


def save_turned(folder: Path, orientation: int) -> tuple[Path, np.ndarray]:
    """A JPEG written with an EXIF orientation, and what it looks like upright, (h, w, 3) in [0, 1]."""
    stored = np.zeros((64, 96, 3) if orientation <= 4 else (96, 64, 3), np.uint8)
    height, width = stored.shape[:2]
    stored[: height // 2, : width // 2, 0] = 255
    stored[: height // 2, width // 2 :, 1] = 255
    stored[height // 2 :, : width // 2, 2] = 255
    picture = PillowImage.fromarray(stored)
    exif = PillowImage.Exif()
    exif[ORIENTATION] = orientation
    path = folder / f"turned{orientation}.jpg"
    picture.save(path, exif=exif, quality=95, subsampling=0)
    with PillowImage.open(path) as read:
        upright = np.array(ImageOps.exif_transpose(read), np.float32) / 255
    return path, upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_preview_and_plane_are_upright(orientation: int, tmp_path: Path) -> None:
    empty_blender()
    path, upright = save_turned(tmp_path, orientation)
    image = load_photo(path, "photo")
    assert image is not None
    preview = photo_preview(image)[::-1, :, :3]
    assert preview.shape == upright.shape
    assert np.abs(preview - upright).mean() < 0.02

    placed = place_asset(bpy.context, read_creature(), path, "doe")
    plane = placed.photo
    assert plane is not None
    stored = np.array(plane.data.pixels).reshape(plane.data.size[1], plane.data.size[0], 4)  # row 0 at the bottom
    turn = np.array(plane.matrix_basis)[:2, :2]
    longest = max(plane.data.size)
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)):
        texel = stored[int(y * stored.shape[0]), int(x * stored.shape[1]), :3]
        place = turn @ ((np.array([x, y]) - 0.5) * plane.data.size / longest)  # of the plane, in units of its longer side
        column, row = place * max(SIZE) + np.array(SIZE) / 2
        assert np.abs(upright[int(SIZE[1] - row), int(column)] - texel).max() < 0.1


def test_the_photo_is_packed_as_the_file_it_is(tmp_path: Path) -> None:
    empty_blender()
    path, _ = save_turned(tmp_path, 6)
    image = load_photo(path, "photo")
    assert image is not None and image.packed_file is not None
    assert image.packed_file.data == path.read_bytes()
