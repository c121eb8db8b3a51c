"""The photo's view: the asset's camera and the photo enter; a Blender camera and the photo on a plane behind the
creature leave, so that photo and creature overlay at any scene's aspect.

A camera's background image would be stretched or cropped with the scene's aspect; an image Empty parented to the
camera is part of the world and overlays always.
"""

from __future__ import annotations

import os
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from .asset_file import Array, AssetFile
from .orientation import jpeg_orientation, turn_matrix, turn_pixels

SENSOR_MM = 36.0
BEHIND = 3.0
"""The photo's plane stands this many times as far as the creature's middle, and past its farthest point."""
PREVIEW_SIDE = 256


def build_camera(asset: AssetFile, name: str) -> bpy.types.Object:
    """A camera object with the photo's place and field of view, not linked to any scene."""
    owner = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    aim_camera(owner, asset)
    return owner


def aim_camera(owner: bpy.types.Object, asset: AssetFile) -> None:
    """Gives a camera object the photo's place and field of view. The fit is along the photo's longer side whatever the
    scene's shape, so the field of view doesn't change with it."""
    lens = owner.data
    if asset.width >= asset.height:
        lens.sensor_fit, lens.sensor_width = "HORIZONTAL", SENSOR_MM
    else:
        lens.sensor_fit, lens.sensor_height = "VERTICAL", SENSOR_MM
    lens.lens = asset.focal_px * SENSOR_MM / max(asset.width, asset.height)
    depth = plane_depth(asset)
    lens.clip_start, lens.clip_end = depth * 1e-4, depth * 10
    owner.matrix_world = camera_matrix(asset)


def camera_matrix(asset: AssetFile) -> Matrix:
    """Where the camera stands: camera to world, looking along -Z."""
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    return Matrix(np.linalg.inv(flip @ asset.blender_to_camera.astype(np.float64)).tolist())


def plane_depth(asset: AssetFile) -> float:
    """How far before the camera the photo's plane stands: past the creature in every pose it may take."""
    centre = (asset.vertices.min(0) + asset.vertices.max(0)) / 2
    reach = float(np.linalg.norm(np.ptp(asset.vertices, axis=0)))
    middle = float(asset.blender_to_camera[2] @ np.append(centre, 1))
    return max(middle * BEHIND, middle + 2 * reach, reach)


def load_photo(path: str | os.PathLike[str], name: str) -> bpy.types.Image | None:
    """The photo packed as an image, or None where Blender cannot show it (the file is gone, or no picture)."""
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError:
        return None
    if not (image.size[0] and image.size[1]):
        bpy.data.images.remove(image)
        return None
    image.name = name
    image["menagerie_orientation"] = jpeg_orientation(Path(path))
    image.pack()
    return image


def build_photo_plane(image: bpy.types.Image, camera: bpy.types.Object, asset: AssetFile, name: str) -> bpy.types.Object:
    """An image Empty on the camera's axis that fills exactly the photo's field of view. Shown along the view only."""
    plane = bpy.data.objects.new(name, None)
    plane.empty_display_type = "IMAGE"
    plane.empty_image_offset = (-0.5, -0.5)
    plane.empty_image_depth = "BACK"
    plane.empty_image_side = "FRONT"
    plane.show_empty_image_only_axis_aligned = True
    plane.hide_select = True
    plane.parent = camera
    fit_photo_plane(plane, image, asset)
    return plane


def fit_photo_plane(plane: bpy.types.Object, image: bpy.types.Image, asset: AssetFile) -> None:
    """Puts the photo on its plane: `empty_display_size` is the length of its longer side."""
    depth = plane_depth(asset)
    plane.data = image
    plane.empty_display_size = depth * max(asset.width, asset.height) / asset.focal_px
    turned = turn_matrix(int(image.get("menagerie_orientation", 1)))
    plane.matrix_basis = Matrix.Translation((0, 0, -depth)) @ turned


def photo_preview(image: bpy.types.Image, longest: int = PREVIEW_SIDE) -> Array:
    """(h, w, 4) float32 RGBA of the photo, row 0 at the bottom, upright, longer side at most `longest` pixels."""
    small = image.copy()
    try:
        scale = min(1.0, longest / max(small.size))
        small.scale(*(max(1, round(side * scale)) for side in small.size))
        pixels = np.empty(small.size[0] * small.size[1] * 4, np.float32)
        small.pixels.foreach_get(pixels)
        pixels = pixels.reshape(small.size[1], small.size[0], 4)
    finally:
        bpy.data.images.remove(small)
    return turn_pixels(pixels, int(image.get("menagerie_orientation", 1)))


def upright_size(image: bpy.types.Image) -> tuple[int, int]:
    """Width and height in pixels of a photo that `load_photo` gave, upright."""
    width, height = image.size
    turned = turn_matrix(int(image.get("menagerie_orientation", 1)))
    return (width, height) if turned[0][0] else (height, width)
