"""Poses and motions: local rotations of the asset file enter; pose-bone values, pose assets and actions leave.

The file's rotations are wxyz in each bone's own rest axes, exactly a pose bone's `rotation_quaternion`. The root's
translation is in armature space; a pose bone's `location` counts along its rest axes, hence one turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Quaternion, Vector

from .. import compat
from .asset_file import Array, AssetFile, Motion

LINEAR = 1
"""The value of the keyframe interpolation 'LINEAR' in `foreach_set`."""
FIRST_FRAME = 1.0
UNTOUCHED = 1e-4
"""How far a pose may drift by rounding and still count as ours."""


def apply_pose(owner: bpy.types.Object, bone_names: Sequence[str], rotations: Array, translation: Array) -> None:
    """Sets the pose bones of that name; keys nothing. rotations (b, 4); translation (3,) of bone 0, armature space."""
    bones = owner.pose.bones
    for name, rotation in zip(bone_names, rotations.tolist(), strict=True):
        bone = bones[name]
        turn_to(bone, Quaternion(rotation))
        bone.location, bone.scale = (0, 0, 0), (1, 1, 1)
    root = bones[bone_names[0]]
    root.location = root_locations(root.bone, translation[None])[0].tolist()


def turn_to(bone: bpy.types.PoseBone, rotation: Quaternion) -> None:
    """Sets a pose bone's rotation in the mode that the artist has chosen for it, Euler angles with as little turning as there can be."""
    if bone.rotation_mode == "QUATERNION":
        bone.rotation_quaternion = rotation
    elif bone.rotation_mode == "AXIS_ANGLE":
        axis, angle = rotation.to_axis_angle()
        bone.rotation_axis_angle = (angle, *axis)
    else:
        bone.rotation_euler = rotation.to_euler(bone.rotation_mode, bone.rotation_euler)


def holds_pose(owner: bpy.types.Object, bone_names: Sequence[str], rotations: Array, translation: Array) -> bool:
    """True if the bones stand exactly as `apply_pose` would leave them."""
    wanted = rotations / np.linalg.norm(rotations, axis=1, keepdims=True)
    for name, rotation in zip(bone_names, wanted, strict=True):
        bone = owner.pose.bones.get(name)
        if bone is None:
            return False
        here = np.array(bone.matrix_basis.to_quaternion())
        if min(np.abs(here - rotation).max(), np.abs(here + rotation).max()) > UNTOUCHED:
            return False
    root = owner.pose.bones[bone_names[0]]
    place = Vector(root_locations(root.bone, translation[None])[0].tolist())
    return bool((root.matrix_basis.translation - place).length < UNTOUCHED)


def root_locations(bone: bpy.types.Bone, translations: Array) -> Array:
    """(t, 3) armature-space translations -> (t, 3) pose-bone locations."""
    return np.asarray(translations @ np.array(bone.matrix_local.to_3x3()), np.float32)


def write_curves(action: bpy.types.Action, owner: bpy.types.Object, names: Sequence[str], frames: Array, motion: Motion) -> None:
    """Replaces the action's curves by the motion's, keyed at `frames` (t,); a value that never changes gets one key."""
    home = compat.curve_home(action, owner)
    compat.clear_curves(home)
    root = owner.data.bones[names[0]]
    moves = root_locations(root, motion.root_translations)
    rotations = shortest_way(motion.rotations)
    for bone, name in enumerate(names):
        path = f'pose.bones["{bpy.utils.escape_identifier(name)}"].'
        for axis in range(4):
            write_curve(compat.new_curve(home, path + "rotation_quaternion", axis, name), frames, rotations[:, bone, axis])
        if bone == 0:
            for axis in range(3):
                write_curve(compat.new_curve(home, path + "location", axis, name), frames, moves[:, axis])


def write_curve(curve: bpy.types.FCurve, frames: Array, values: Array) -> None:
    """Keys of (t,) values at (t,) frames, linear between them."""
    count = 1 if (values == values[0]).all() else len(values)
    points = np.empty((count, 2), np.float32)
    points[:, 0], points[:, 1] = frames[:count], values[:count]
    curve.keyframe_points.add(count)
    curve.keyframe_points.foreach_set("co", points.ravel())
    curve.keyframe_points.foreach_set("interpolation", np.full(count, LINEAR, np.int32))
    curve.update()


def shortest_way(rotations: Array) -> Array:
    """(t, b, 4) the same rotations with signs such that neighbours never run the long way round."""
    turned = (rotations[1:] * rotations[:-1]).sum(-1) < 0
    flips = np.where(np.cumsum(turned, 0) % 2 == 1, -1, 1).astype(np.float32)
    signed = rotations.copy()
    signed[1:] *= flips[..., None]
    return signed


def build_action(owner: bpy.types.Object, asset: AssetFile, motion: Motion, name: str, scene_fps: float) -> bpy.types.Action:
    """The motion as an action at the scene's rate, kept by a fake user and assigned to nothing."""
    action = bpy.data.actions.new(name)
    action.use_fake_user = True
    frames = FIRST_FRAME + np.arange(len(motion.rotations)) * (scene_fps / motion.fps)
    write_curves(action, owner, asset.bone_names, frames, motion)
    action.use_frame_range = True
    action.frame_start, action.frame_end = FIRST_FRAME, float(max(frames[-1], FIRST_FRAME + 1))
    action.use_cyclic = motion.loop
    return action


def build_pose_asset(
    owner: bpy.types.Object, asset: AssetFile, rotations: Array, translation: Array, name: str, preview: Array | None
) -> bpy.types.Action:
    """A pose of one frame as an asset for the pose library. preview: (h, w, 4) float RGBA in [0, 1], row 0 at the bottom."""
    action = bpy.data.actions.new(name)
    fill_pose_asset(action, owner, asset, rotations, translation, preview)
    action.asset_mark()
    action.asset_data.description = f"A pose of {asset.name}"
    action.asset_data.tags.new("Menagerie")
    return action


def fill_pose_asset(
    action: bpy.types.Action, owner: bpy.types.Object, asset: AssetFile, rotations: Array, translation: Array, preview: Array | None
) -> None:
    """Replaces what a pose asset holds."""
    still = Motion(action.name, 1.0, False, rotations[None], translation[None])
    write_curves(action, owner, asset.bone_names, np.array([FIRST_FRAME]), still)
    if preview is not None:
        set_preview(action, preview)


def set_preview(action: bpy.types.Action, preview: Array) -> None:
    """Gives an asset its picture: (h, w, 4) float RGBA in [0, 1], row 0 at the bottom."""
    picture = action.preview_ensure()
    picture.image_size = (preview.shape[1], preview.shape[0])
    picture.image_pixels_float.foreach_set(np.ascontiguousarray(preview, np.float32).ravel())


def rest_rotations(asset: AssetFile) -> Array:
    """(b, 4) of the rest pose."""
    return np.tile(np.array([1, 0, 0, 0], np.float32), (len(asset.bone_names), 1))
