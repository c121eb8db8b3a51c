"""What was animated on the control rig becomes one action of the creature's own armature, a key a frame.

Enters: both armatures. Leaves: an action that plays the same without any control rig, kept by a fake user and assigned to nothing (under
the control rig it would not show). Baked again, the same action is filled anew. Frames are gone through in a scene apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion

from ... import compat
from ...link.errors import LinkError
from ...scene.asset_file import Array
from ...scene.creature import NUMBER
from ...scene.motion import write_curve
from . import snap
from .apart import scene_apart

SOURCE = "menagerie_baked_from"
"""Custom property of a baked action: the name of the action that it was baked from."""
CHANNELS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")
STILL = 1e-5
"""Locations and scales nearer than this to their rest get no curve."""


def bake(context: bpy.types.Context, rig: bpy.types.Object, control: bpy.types.Object) -> bpy.types.Action:
    """The control rig's action as an action of `rig`. Raises LinkError nothing_animated."""
    animation = control.animation_data
    source = animation.action if animation is not None else None
    if source is None or not compat.curves_of(source):
        raise LinkError("nothing_animated", f"{control.name} has no action.", "Set keys on its controls first.")
    frames = frames_of(source)
    with kept_channels(control), kept_channels(rig), scene_apart(context) as scene:
        for thing in (rig, control):
            scene.collection.objects.link(thing)
        poses = []
        for frame in frames.tolist():
            scene.frame_set(frame)
            poses.append(snap.pose_of(rig))  # not the control rig's: connected bones stay joined where Rigify's come apart
    action = baked_action(source)
    if NUMBER in rig:
        action[NUMBER] = rig[NUMBER]
    write(action, rig, frames.astype(np.float32), poses)
    action.use_frame_range = True
    action.frame_start, action.frame_end, action.use_cyclic = float(frames[0]), float(frames[-1]), source.use_cyclic
    return action


def frames_of(action: bpy.types.Action) -> Array:
    """(t,) the whole frames that an action lasts."""
    span: Sequence[float] = action.frame_range[:]
    return np.arange(round(span[0]), round(span[1]) + 1)


def baked_action(source: bpy.types.Action) -> bpy.types.Action:
    """The action that this source was baked into before, or a new one."""
    for action in bpy.data.actions:
        if action.get(SOURCE) == source.name and action.is_editable:
            return action
    action = bpy.data.actions.new(f"{source.name} baked")
    action[SOURCE] = source.name
    action.use_fake_user = True
    return action


def write(action: bpy.types.Action, rig: bpy.types.Object, frames: Array, poses: Sequence[snap.Pose]) -> None:
    """Replaces the action's curves: rotations in each bone's own mode, locations and scales where there are any."""
    home = compat.curve_home(action, rig)
    compat.clear_curves(home)
    for bone in rig.pose.bones:
        if bone.name not in poses[0]:
            continue
        locals_ = [local(bone, pose) for pose in poses]
        path, values = rotations(bone, locals_)
        places = np.array([matrix.translation for matrix in locals_], np.float32)
        scales = np.array([matrix.to_scale() for matrix in locals_], np.float32)
        channels = [(path, values)]
        channels += [("location", places)] if bone.parent is None or np.abs(places).max() > STILL else []
        channels += [("scale", scales)] if np.abs(scales - 1).max() > STILL else []
        stem = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"].'
        for name, columns in channels:
            for index in range(columns.shape[1]):
                write_curve(compat.new_curve(home, stem + name, index, bone.name), frames, columns[:, index])


def local(bone: bpy.types.PoseBone, pose: snap.Pose) -> Matrix:
    """The basis with which a bone stands as `pose` when its parent does."""
    rest, parent = bone.bone.matrix_local, bone.parent
    if parent is None or parent.name not in pose:
        return bone.bone.convert_local_to_pose(pose[bone.name], rest, invert=True)
    return bone.bone.convert_local_to_pose(
        pose[bone.name], rest, parent_matrix=pose[parent.name], parent_matrix_local=parent.bone.matrix_local, invert=True
    )


def rotations(bone: bpy.types.PoseBone, matrices: Sequence[Matrix]) -> tuple[str, Array]:
    """The channel of the bone's rotation mode, and its values (t, 3 or 4), neighbours never the long way round."""
    turns: list[Quaternion] = []
    for matrix in matrices:
        turn = matrix.to_quaternion()
        if turns:
            turn.make_compatible(turns[-1])
        turns.append(turn)
    if bone.rotation_mode == "QUATERNION":
        return "rotation_quaternion", np.array(turns, np.float32)
    if bone.rotation_mode == "AXIS_ANGLE":
        pairs = [turn.to_axis_angle() for turn in turns]
        return "rotation_axis_angle", np.array([(angle, *axis) for axis, angle in pairs], np.float32)
    angles: list[Euler] = []
    for turn in turns:
        angles.append(turn.to_euler(bone.rotation_mode, *angles[-1:]))
    return "rotation_euler", np.array(angles, np.float32)


@contextmanager
def kept_channels(rig: bpy.types.Object) -> Iterator[None]:
    """Afterwards the bones' channels and properties are as before, keyed or not."""
    kept = [(bone, {name: getattr(bone, name)[:] for name in CHANNELS}, numbers(bone)) for bone in rig.pose.bones]
    try:
        yield
    finally:
        for bone, channels, properties in kept:
            for name, values in channels.items():
                setattr(bone, name, values)
            for key, value in properties.items():
                bone[key] = value


def numbers(bone: bpy.types.PoseBone) -> dict[str, int | float]:
    """The bone's custom properties that can be keyed."""
    return {key: bone[key] for key in bone.keys() if isinstance(bone[key], int | float)}
