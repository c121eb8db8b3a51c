"""A motion as Blender's actions: keys enter, curves leave; and an action's own channels a frame, to find the loop in them.

Curves between fewer keys have their handles at a third of the way, so Blender draws exactly the cubics that were measured (`keys`); of
keys at every frame the curves are straight. Rotations are written in the mode that the artist has chosen for each bone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Quaternion

from .. import compat
from ..motions.action import go_on, stamp
from ..retarget.baking import rotation_channels
from ..retarget.rotations import Array
from ..scene.creature import NUMBER, ROLE
from ..scene.motion import LINEAR, root_locations
from .keys import Keys, Moves, Track
from .timing import slopes_of

BEZIER, CONSTANT = 2, 0
"""Values of a keyframe's interpolation in `foreach_set`; `ALIGNED` of a handle's type."""
ALIGNED = 3
CLIP, CYCLE, CAMERA, MOVIE = "clip_motion", "clip_cycle", "clip_camera", "clip_movie"
"""Roles of our actions."""
MADE = "menagerie_clip"
"""Custom property of them: JSON of first frame, frame rate and stamp."""


def new_action(name: str, role: str, number: int | None) -> bpy.types.Action:
    """An empty action of ours that a saved file keeps."""
    action = bpy.data.actions.new(name)
    action.use_fake_user = True
    action[ROLE] = role
    if number is not None:
        action[NUMBER] = number
    return action


def sign(action: bpy.types.Action, **said: Any) -> None:
    """Note of an action what it is, and what its keys are, to know later whether the artist has changed them."""
    action[MADE] = json.dumps({**said, "stamp": stamp(action)}, sort_keys=True)


def read_note(action: bpy.types.Action | None) -> dict[str, Any]:
    """What `sign` noted, {} for any other action."""
    try:
        note = json.loads(str(action.get(MADE, "{}"))) if action is not None else {}
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def untouched(action: bpy.types.Action) -> bool:
    """Whether the keys are still those that we set."""
    return read_note(action).get("stamp") == stamp(action)


def write_motion(action: bpy.types.Action, rig: bpy.types.Object, names: Sequence[str], first: int, moves: Moves, keys: Keys) -> None:
    """Replace the action's curves of these bones' rotations and of the first one's place. keys: what `keys.reduce_keys` or `every_key` gave
    for the moves; their frame 0 is the scene's frame `first`."""
    home = compat.curve_home(action, rig)
    drop_curves(home, names)
    straight = all(len(track.frames) in (1, len(moves.rotations)) for track in keys.turns)
    for number, name in enumerate(names):
        bone, track = rig.pose.bones[name], keys.turns[number]
        path = f'pose.bones["{bpy.utils.escape_identifier(name)}"].'
        ending, track = in_mode(track, moves.rotations[:, number], bone.rotation_mode)
        write_track(home, path + ending, name, first, track, straight, moves.closed)
        if number == 0:
            turn = [root_locations(bone.bone, values) for values in (keys.places.values, keys.places.slopes)]
            write_track(home, path + "location", name, first, Track(keys.places.frames, *turn), straight, moves.closed)
    action.use_frame_range = True
    action.frame_start, action.frame_end = first, first + max(len(moves.rotations) - 1, 1)
    action.use_cyclic = moves.closed


def in_mode(track: Track, rotations: Array, mode: str) -> tuple[str, Track]:
    """A track of quaternions -> the channels of a bone's rotation mode. rotations (t, 4): the motion a frame."""
    if mode == "QUATERNION":
        return "rotation_quaternion", track
    ending, values = rotation_channels(rotations / np.linalg.norm(rotations, axis=-1, keepdims=True), mode)
    return ending, Track(track.frames, values[track.frames], slopes_of(values)[track.frames])


def write_track(home: Any, path: str, group: str, first: int, track: Track, straight: bool, closed: bool = False) -> None:
    """New curves of a track's channels."""
    for axis in range(track.values.shape[1]):
        curve = compat.new_curve(home, path, axis, group)
        write_keys(curve, first + track.frames, track.values[:, axis], None if straight else track.slopes[:, axis])
        if closed:
            go_on(curve, "REPEAT_OFFSET" if path.endswith("location") else "REPEAT")


def write_keys(curve: bpy.types.FCurve, frames: Array, values: Array, slopes: Array | None, interpolation: int = LINEAR) -> None:
    """Keys (k,) of a curve; slopes (k,) a frame make it a cubic."""
    count = len(frames)
    curve.keyframe_points.add(count)
    points = curve.keyframe_points
    points.foreach_set("interpolation", np.full(count, interpolation if slopes is None else BEZIER, np.int32))
    points.foreach_set("co", np.stack([frames, values], -1).astype(np.float32).ravel())
    if slopes is not None and count > 1:
        widths = np.diff(frames) / 3
        left, right = np.append(widths[:1], widths), np.append(widths, widths[-1:])
        for side, width in (("left", -left), ("right", right)):
            points.foreach_set(f"handle_{side}_type", np.full(count, ALIGNED, np.int32))
            points.foreach_set(f"handle_{side}", np.stack([frames + width, values + slopes * width], -1).astype(np.float32).ravel())
    curve.update()


def drop_curves(home: Any, names: Sequence[str]) -> None:
    """Remove the curves that `write_motion` makes; what else the artist has keyed in the action stays."""
    bones = [f'pose.bones["{bpy.utils.escape_identifier(name)}"].' for name in names]
    ours = {bone + ending for bone in bones for ending in ("rotation_quaternion", "rotation_euler", "rotation_axis_angle")}
    ours.add(bones[0] + "location")
    for curve in list(home.fcurves):
        if curve.data_path in ours:
            home.fcurves.remove(curve)


def read_moves(action: bpy.types.Action, rig: bpy.types.Object, names: Sequence[str], frames: Array, fps: float) -> Moves:
    """The action's own channels of these bones at frames (t,); a bone that it doesn't move stays at rest."""
    curves = {(curve.data_path, curve.array_index): curve for curve in compat.curves_of(action)}

    def values(path: str, width: int, rest: float = 0.0) -> Array | None:
        found = [curves.get((path, axis)) for axis in range(width)]
        if not any(found):
            return None
        return np.array([[rest if curve is None else curve.evaluate(frame) for curve in found] for frame in frames.tolist()])

    rotations = np.tile([1.0, 0.0, 0.0, 0.0], (len(frames), len(names), 1))
    locations = np.zeros((len(frames), 3))
    for number, name in enumerate(names):
        bone = rig.pose.bones[name]
        path = f'pose.bones["{bpy.utils.escape_identifier(name)}"].'
        if bone.rotation_mode == "QUATERNION":
            turns = values(path + "rotation_quaternion", 4)
        elif bone.rotation_mode == "AXIS_ANGLE":
            turns = values(path + "rotation_axis_angle", 4)
            turns = turns if turns is None else np.array([Quaternion(turn[1:], turn[0]) for turn in turns])
        else:
            turns = values(path + "rotation_euler", 3)
            turns = turns if turns is None else np.array([Euler(turn, bone.rotation_mode).to_quaternion() for turn in turns])
        if turns is not None:
            lengths = np.linalg.norm(turns, axis=-1, keepdims=True)
            rotations[:, number] = np.where(lengths > 0, turns / np.maximum(lengths, 1e-9), [1.0, 0.0, 0.0, 0.0])
        if number == 0 and (moved := values(path + "location", 3)) is not None:
            locations = moved @ np.array(bone.bone.matrix_local.to_3x3()).T
    return Moves(rotations, locations, fps)
