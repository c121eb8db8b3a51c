"""What the tests of the scene share: a made-up creature as the add-on reads it, and an empty Blender."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np
from PIL import Image as PillowImage

from backend.asset.write import encode_asset
from backend.types import Asset
from blender_addon.scene.asset_file import AssetFile, decode_asset_file
from tests.asset.creature import make_creature


@lru_cache
def creature(triangles: int = 1500, texture_size: int = 64) -> tuple[Asset, bytes]:
    """The creature as the backend has it, and its file."""
    asset = make_creature(triangles, texture_size)
    return asset, encode_asset(asset)


def read_creature(triangles: int = 1500) -> AssetFile:
    """The creature as the add-on has it."""
    return decode_asset_file(creature(triangles)[1])


def empty_blender() -> None:
    """A file without anything in it, started as the artist's own defaults would not change it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)


def save_photo(folder: Path, size: tuple[int, int] = (120, 80)) -> Path:
    """A picture whose corners differ: red upper left, green upper right, blue lower left."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    half = (size[1] // 2, size[0] // 2)
    pixels[: half[0], : half[1], 0] = 255
    pixels[: half[0], half[1] :, 1] = 255
    pixels[half[0] :, : half[1], 2] = 255
    path = folder / "photo.png"
    PillowImage.fromarray(pixels).save(path)
    return path


def evaluated_vertices(body: bpy.types.Object) -> np.ndarray:
    """(v, 3) of the object as Blender's modifiers leave it, in world space."""
    bpy.context.view_layer.update()
    shown = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    places = np.empty(len(shown.data.vertices) * 3, np.float32)
    shown.data.vertices.foreach_get("co", places)
    world = np.array(shown.matrix_world)
    return places.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
