"""What the tests of turntables share: what is shown, the pictures read back, and what a file holds before and after."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import compat, paths
from blender_addon.scene.creature import Creature
from blender_addon.scene.place import place_asset
from tests.blender.button import make
from tests.blender.creatures import empty_blender, read_creature

SIZE = 64
"""Sides of a picture, pixels."""


def keep_in(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Unfinished turntables are kept in this folder. -> it."""
    patch.setattr(paths, "user_folder", lambda *parts: make(folder.joinpath(*parts)))
    return folder


def long_box() -> bpy.types.Object:
    """A long box, off the origin, alone in an empty file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_cube_add(location=(3, 2, 1))
    box = bpy.context.object
    box.scale = (0.5, 2.0, 1.0)
    bpy.context.view_layer.update()
    return box


def nodding_creature() -> Creature:
    """A made-up creature with an action that swings its neck and walks it a body length on, in ten frames and back."""
    empty_blender()
    made = place_asset(bpy.context, read_creature())
    rig, action = made.armature, bpy.data.actions.new("nod")
    home = compat.curve_home(action, rig)
    for path, values in (('neck.001"].rotation_quaternion', (0, 0.4, 0)), ('root"].location', (0, 1, 0))):
        curve = compat.new_curve(home, f'pose.bones["{path}', 1, "nod")
        for frame, value in zip((1, 11, 21), values, strict=True):
            curve.keyframe_points.insert(frame, value)
    compat.assign_action(rig, action)
    bpy.context.scene.frame_set(1)
    return made


def members(made: Creature) -> list[bpy.types.Object]:
    return [made.armature, made.mesh]


def counts() -> dict[str, int]:
    """How many datablocks of each kind the file holds; every render makes Blender's own "Render Result"."""
    kinds = [name for name in dir(bpy.data) if isinstance(getattr(bpy.data, name), bpy.types.bpy_prop_collection)]
    return {name: sum(one.name != "Render Result" for one in getattr(bpy.data, name)) for name in kinds}


def read_picture(path: Path) -> np.ndarray:
    """(h, w, 3) in [0, 1], row 0 at the top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    pixels = np.array(image.pixels[:], np.float32).reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
    bpy.data.images.remove(image)
    return pixels


def read_frames(path: Path) -> int:
    """Frames of a movie."""
    clip = bpy.data.movieclips.load(str(path))
    frames = clip.frame_duration
    bpy.data.movieclips.remove(clip)
    return frames


def covered(picture: np.ndarray) -> np.ndarray:
    """(h, w) bool: where the picture differs from its upper left corner."""
    return np.abs(picture - picture[0, 0]).max(axis=2) > 0.02


def bytes_of(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]
