"""A transfer's result as an action of the target: every bone keyed in the rotation mode that the artist has chosen for it.

Nothing is assigned here, and the artist's own actions, pose and settings stay as they are.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion

from .. import compat
from ..scene.motion import write_curve
from .rig import Rig
from .rotations import Array
from .sampling import Played
from .solve import Result


def write_action(owner: bpy.types.Object, rig: Rig, played: Played, result: Result, name: str) -> bpy.types.Action:
    """A new action with the source's timing. rig: the target's, whose order of bones the result has."""
    action = bpy.data.actions.new(name)
    fill_action(action, owner, rig, played, result)
    return action


def fill_action(action: bpy.types.Action, owner: bpy.types.Object, rig: Rig, played: Played, result: Result) -> None:
    """Replaces the action's curves."""
    home = compat.curve_home(action, owner)
    compat.clear_curves(home)
    frames = played.frames
    for bone in np.flatnonzero(result.moved):
        label = rig.names[bone]
        mode = owner.pose.bones[label].rotation_mode
        path = f'pose.bones["{bpy.utils.escape_identifier(label)}"].'
        ending, values = rotation_channels(result.rotations[:, bone], mode)
        for axis in range(values.shape[1]):
            write_curve(compat.new_curve(home, path + ending, axis, label), frames, values[:, axis])
        if int(bone) in result.locations:
            for axis in range(3):
                write_curve(compat.new_curve(home, path + "location", axis, label), frames, result.locations[int(bone)][:, axis])
    if result.moves is not None:
        write_object(home, owner, frames, result.moves)
    action.use_frame_range = True
    action.frame_start, action.frame_end = float(frames[0]), float(max(frames[-1], frames[0] + 1))
    action.use_cyclic = played.cyclic


def write_object(home: object, owner: bpy.types.Object, frames: Array, moves: Array) -> None:
    """The object's own curves: its place now, and after that the moves (t, 4, 4) in its own space."""
    places = np.array(owner.matrix_basis, float) @ moves
    turned = [Matrix(place).to_quaternion() for place in places]
    ending, values = rotation_channels(np.array(turned), owner.rotation_mode)
    for axis in range(values.shape[1]):
        write_curve(compat.new_curve(home, ending, axis, "Object Transforms"), frames, values[:, axis])
    for axis in range(3):
        write_curve(compat.new_curve(home, "location", axis, "Object Transforms"), frames, places[:, axis, 3])


def rotation_channels(rotations: Array, mode: str) -> tuple[str, Array]:
    """(t, 4) wxyz -> the property's name and (t, 3 or 4) values in a rotation mode, without jumps."""
    if mode == "QUATERNION":
        turned = (rotations[1:] * rotations[:-1]).sum(-1) < 0
        signs = np.where(np.cumsum(np.append(False, turned)) % 2 == 1, -1.0, 1.0)
        return "rotation_quaternion", rotations * signs[:, None]
    if mode == "AXIS_ANGLE":
        return "rotation_axis_angle", axis_angles(rotations)
    before = Euler((0, 0, 0), mode)
    values = np.empty((len(rotations), 3))
    for number, rotation in enumerate(rotations.tolist()):
        before = Quaternion(rotation).to_euler(mode, before)
        values[number] = before
    return "rotation_euler", values


def axis_angles(rotations: Array) -> Array:
    """(t, 4) wxyz -> (t, 4) angle and axis; where there is no turn the axis is the one before."""
    signs = np.where(rotations[:, :1] < 0, -1.0, 1.0)
    w, v = (rotations * signs)[:, 0], (rotations * signs)[:, 1:]
    sine = np.linalg.norm(v, axis=1)
    out = np.empty((len(rotations), 4))
    axis = np.array([0.0, 1.0, 0.0])
    for number in range(len(rotations)):
        angle = 2 * np.arctan2(sine[number], w[number])
        if sine[number] > 1e-6:
            fresh = v[number] / sine[number]
            # The same rotation about the opposite axis runs on where the angle passes zero.
            axis, angle = (fresh, angle) if fresh @ axis >= 0 else (-fresh, -angle)
        out[number] = (angle, *axis)
    return out
