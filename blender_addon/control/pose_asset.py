"""A pose as an asset of the pose library: what is seen enters, an action of one frame with a picture leaves, assigned to nothing.

The creature's own bones get the rotations that are seen, whether their channels or the controls made them, so the pose fits a creature
without controls too. Controls are saved where they show the same pose, bends as at rest: what they bend lies in the bones' own
rotations then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from .. import compat
from ..scene.motion import FIRST_FRAME, set_preview, write_curve
from ..scene.place import base_image
from . import preview, snap
from . import rig as rigs
from .channels import refresh, rotation_path
from .limbs import SWITCH

PATHS = ("location", "rotation_quaternion", "rotation_axis_angle", "rotation_euler", "scale")
"""A pose bone's channels."""


def save_pose(context: bpy.types.Context, rig: bpy.types.Object, body: bpy.types.Object | None, name: str) -> bpy.types.Action:
    """The asset. body: the mesh whose picture it gets, none without. Raises LinkError bad_request where the rig isn't shown."""
    seen = snap.look(context, rig)
    picture = None if body is None else preview.draw(body, rig, context.evaluated_depsgraph_get(), base_image(body))
    action = bpy.data.actions.new(name)
    home = compat.curve_home(action, rig)
    with kept_channels(context, rig):
        snap.straighten_bends(rig, seen)
        for limb in rigs.limbs_of(rig):
            if snap.switch_of(rig, limb) > 0:
                snap.write_channels(rig, limb, seen)
                snap.lay_controls(rig, limb, seen)  # the solver will start from other channels than it did
        for bone in rig.pose.bones:
            stem = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"]'
            for path in saved_paths(bone):
                for index, value in enumerate(getattr(bone, path)):
                    write_curve(compat.new_curve(home, f"{stem}.{path}", index, bone.name), np.array([FIRST_FRAME]), np.array([value]))
            if SWITCH in bone:
                curve = compat.new_curve(home, f'{stem}["{SWITCH}"]', 0, bone.name)
                write_curve(curve, np.array([FIRST_FRAME]), np.array([bone[SWITCH]]))
    action.asset_mark()
    action.asset_data.description = f"A pose of {rig.name}"
    action.asset_data.tags.new("Menagerie")
    if picture is not None:
        set_preview(action, picture)
    return action


def saved_paths(bone: bpy.types.PoseBone) -> list[str]:
    """The channels that a pose holds: its rotation; its place where it can have one; its scale where it has one."""
    paths = [rotation_path(bone)]
    if not bone.bone.use_connect:
        paths.append("location")
    if tuple(bone.scale) != (1, 1, 1):
        paths.append("scale")
    return paths


@contextmanager
def kept_channels(context: bpy.types.Context, rig: bpy.types.Object) -> Iterator[None]:
    """Every pose bone's channels are afterwards what they were before."""
    before = {bone.name: {path: tuple(getattr(bone, path)) for path in PATHS} for bone in rig.pose.bones}
    try:
        yield
    finally:
        for name, values in before.items():
            for path, numbers in values.items():
                setattr(rig.pose.bones[name], path, numbers)
        refresh(context, rig)
