"""Ready motions as Blender's actions: an armature and a motion enter, one cyclic action leaves, which is an asset with preview and credit.

The action says of itself what it was made from (`MenagerieMotion`, on every action), so its sliders can make it anew. Only its own
curves are ever replaced: bone rotations in each bone's own rotation mode, the hips' and the root's places.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import bpy
import numpy as np
from mathutils import Quaternion

from .. import compat
from ..scene.asset_file import Array
from ..scene.creature import NUMBER, ROLE, numbered
from ..scene.motion import FIRST_FRAME, root_locations, shortest_way, write_curve
from ..topology.skin import read_weights
from . import library
from .rig import GROUNDED, HIPS, Target, flesh_on
from .transfer import Steps, transfer

READY = "ready_motion"
"""Role of our actions."""
ROOT = "root"
LEAST_FRAMES = 4
TAGS = ("Menagerie", "Ready Motion")
SOURCE = "play0ad.com"


def target_of(rig: bpy.types.Object, known: tuple[str, ...]) -> Target:
    """The armature's bones of the known names, at rest; those of other names between them are passed over."""
    bones = [bone for bone in rig.data.bones if bone.name in known]  # Blender keeps parents before children
    index = {bone.name: number for number, bone in enumerate(bones)}
    parents = [next((index[above.name] for above in bone.parent_recursive if above.name in index), -1) for bone in bones]
    rest = np.array([bone.matrix_local for bone in bones], np.float64).reshape(-1, 4, 4)
    return Target(tuple(index), np.array(parents), rest, np.array([bone.length for bone in bones]), flesh_of(rig, tuple(index)))


def flesh_of(rig: bpy.types.Object, names: tuple[str, ...]) -> dict[str, Array]:
    """Of each bone that may come to the ground, the skin of the armature's meshes that hangs on it, at rest, armature space."""
    parts: dict[str, list[Array]] = {}
    for body in rig.children:
        if body.type != "MESH" or body.find_armature() != rig:
            continue
        table = read_weights(body.data, len(body.vertex_groups))
        weights = {group.name: table[:, group.index] for group in body.vertex_groups if group.name in GROUNDED}
        places = np.empty(3 * len(body.data.vertices), np.float32)
        body.data.vertices.foreach_get("co", places)
        to_rig = np.array(rig.matrix_world.inverted() @ body.matrix_world)
        for name, own in flesh_on(names, places.reshape(-1, 3) @ to_rig[:3, :3].T + to_rig[:3, 3], weights).items():
            parts.setdefault(name, []).append(own)
    return {name: np.concatenate(own) for name, own in parts.items()}


def bake(action: bpy.types.Action, rig: bpy.types.Object, scene: bpy.types.Scene) -> None:
    """Write the motion that the action names into it, for this armature at the scene's rate. Raises LinkError."""
    made = action.menagerie_motion
    motion = library.load().motions[made.motion]
    rate = scene.render.fps / scene.render.fps_base
    count = max(LEAST_FRAMES, round(motion.seconds / made.speed * rate))
    target = target_of(rig, motion.skeleton.names)
    steps = transfer(motion, target, count, made.stride, made.hold_feet)
    write(action, rig, target, steps, made.in_place)
    action.use_frame_range = action.use_cyclic = True
    action.frame_start, action.frame_end = FIRST_FRAME, FIRST_FRAME + count
    made.stamp = stamp(action)


def write(action: bpy.types.Action, rig: bpy.types.Object, target: Target, steps: Steps, in_place: bool) -> None:
    """Replace the action's curves of these bones; the last key is the first again, and the curves go on for ever."""
    home = compat.curve_home(action, rig)
    count = len(steps.rotations)
    frames = FIRST_FRAME + np.arange(count + 1)
    rotations = shortest_way(np.concatenate([steps.rotations, steps.rotations[:1]]).astype(np.float32))
    travel = np.zeros((count + 1, 3))
    if not in_place:
        travel[:, 1] = -steps.step * np.arange(count + 1)
    places = {HIPS: np.concatenate([steps.hips, steps.hips[:1]]), ROOT: travel}
    drop_curves(home, target.names)
    for number, name in enumerate(target.names):
        bone = rig.pose.bones[name]
        path = f'pose.bones["{bpy.utils.escape_identifier(name)}"].'
        channel, values = in_mode(bone, rotations[:, number])
        for axis in range(values.shape[1]):
            go_on(write_on(home, path + channel, axis, name, frames, values[:, axis]), "REPEAT")
        if name in places:
            located = root_locations(bone.bone, places[name])
            mode = "REPEAT_OFFSET" if name == ROOT else "REPEAT"
            for axis in range(3):
                go_on(write_on(home, path + "location", axis, name, frames, located[:, axis]), mode)


def write_on(home: object, path: str, axis: int, group: str, frames: Array, values: Array) -> bpy.types.FCurve:
    """A new curve of (t,) values at (t,) frames."""
    curve = compat.new_curve(home, path, axis, group)
    write_curve(curve, frames, values)
    return curve


def go_on(curve: bpy.types.FCurve, mode: str) -> None:
    """Let a curve of more than one key repeat before and after."""
    if len(curve.keyframe_points) > 1:
        cycles = curve.modifiers.new("CYCLES")
        cycles.mode_before = cycles.mode_after = mode


def in_mode(bone: bpy.types.PoseBone, rotations: Array) -> tuple[str, Array]:
    """(t, 4) wxyz -> the channel of the rotation mode that the artist has chosen, and its values (t, 3 or 4)."""
    if bone.rotation_mode == "QUATERNION":
        return "rotation_quaternion", rotations
    if bone.rotation_mode == "AXIS_ANGLE":
        turns = [Quaternion(rotation).to_axis_angle() for rotation in rotations.tolist()]
        return "rotation_axis_angle", np.array([(angle, *axis) for axis, angle in turns])
    angles = [Quaternion(rotations[0].tolist()).to_euler(bone.rotation_mode)]
    for rotation in rotations[1:].tolist():
        angles.append(Quaternion(rotation).to_euler(bone.rotation_mode, angles[-1]))
    return "rotation_euler", np.array(angles)


CHANNELS = ("rotation_quaternion", "rotation_euler", "rotation_axis_angle")


def drop_curves(home: object, names: tuple[str, ...]) -> None:
    """Remove the curves that `write` makes; what else the artist has keyed in the action stays."""
    ours = {f'pose.bones["{bpy.utils.escape_identifier(name)}"].{channel}' for name in names for channel in CHANNELS}
    ours |= {f'pose.bones["{name}"].location' for name in (HIPS, ROOT)}
    for curve in list(home.fcurves):
        if curve.data_path in ours:
            home.fcurves.remove(curve)


def stamp(action: bpy.types.Action) -> str:
    """What the action's keys are, to know later whether the artist has changed them."""
    total = 0
    for curve in sorted(compat.curves_of(action), key=lambda curve: (curve.data_path, curve.array_index)):
        keys = np.empty(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", keys)
        total = zlib.crc32(f"{curve.data_path}[{curve.array_index}]".encode() + keys.tobytes(), total)
    return f"{total:08x}"


def made_for(rig: bpy.types.Object, name: str = "") -> Iterator[bpy.types.Action]:
    """The ready motions that were made for this armature, of that name if one is given."""
    number = rig.get(NUMBER)
    for action in bpy.data.actions:
        made = action.menagerie_motion
        if action.get(ROLE) == READY and (made.owner == rig.name or (number is not None and action.get(NUMBER) == number)):
            if not name or made.motion == name:
                yield action


def owner_of(action: bpy.types.Action) -> bpy.types.Object | None:
    """The armature that a ready motion was made for: the one that plays it, or that it names, or that has its number."""
    rigs = [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]
    plays = [rig for rig in rigs if rig.animation_data is not None and rig.animation_data.action == action]
    named = [rig for rig in rigs if rig.name == action.menagerie_motion.owner]
    return next(iter((*plays, *named, *numbered("armature", action.get(NUMBER)))), None)


def new_action(rig: bpy.types.Object, motion: library.ReadyMotion) -> bpy.types.Action:
    """An empty action for the motion, an asset with its picture and the credit."""
    action = bpy.data.actions.new(f"{rig.name} {motion.label}")
    action.use_fake_user = True
    action[ROLE] = READY
    if rig.get(NUMBER) is not None:
        action[NUMBER] = rig[NUMBER]
    action.menagerie_motion.set_up(motion.name, rig.name)
    mark_asset(action, motion)
    return action


def mark_asset(action: bpy.types.Action, motion: library.ReadyMotion) -> None:
    """Show the action in the Asset Browser, with whom it is from."""
    shared = library.load()
    action.asset_mark()
    data = action.asset_data
    data.author, data.license, data.copyright = shared.credit, shared.licence, f"{shared.credit}, {SOURCE}"
    data.description = f"{motion.label}, a loop from {shared.credit} ({shared.licence}), on this creature's proportions"
    for tag in (*TAGS, motion.kind.capitalize(), motion.family.capitalize()):
        data.tags.new(tag, skip_if_exists=True)
    picture = bpy.data.images.load(str(motion.picture))
    try:
        pixels = np.empty(picture.size[0] * picture.size[1] * picture.channels, np.float32)
        picture.pixels.foreach_get(pixels)
        preview = action.preview_ensure()
        preview.image_size = tuple(picture.size)
        preview.image_pixels_float.foreach_set(pixels)
    finally:
        bpy.data.images.remove(picture)
