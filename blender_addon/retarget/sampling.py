"""What an armature does while it plays an action: Blender's objects enter, `Rig` and `Clip` leave, and nothing in the file has changed.

The action is given to a copy of the armature object in a scene of its own, and Blender itself evaluates that scene: constraints, drivers,
parents and every rotation mode count as they do for the artist, whose own scene, action and frame aren't touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from .. import compat
from .bone_map import MapError
from .parts import limits_of
from .rig import Clip, Rig
from .rotations import Array

MOST_FRAMES = 20000
"""Longest clip: minutes, not hours, or Blender would stand still."""
EVEN = 1e-3
"""Frames by which keys' distances may differ and still be one rate."""
FEWEST_KEYS = 3


@dataclass(frozen=True, eq=False)
class Played:
    """A source's motion. name; rig; clip; frames (t,): where its frames lie on the scene's timeline; cyclic: the action says so."""

    name: str
    rig: Rig
    clip: Clip
    frames: Array
    cyclic: bool


def read_rig(owner: bpy.types.Object) -> Rig:
    """An armature object's bones at rest, with the limits that constraints, IK settings or our own names state."""
    bones = owner.data.bones
    names = tuple(bone.name for bone in bones)
    place = {name: number for number, name in enumerate(names)}
    parents = np.array([place[bone.parent.name] if bone.parent is not None else -1 for bone in bones])
    order = np.argsort([len(bone.parent_recursive) for bone in bones], kind="stable")  # parents first, whatever Blender lists
    back = np.argsort(order)
    rest = np.array([bone.matrix_local for bone in bones], float).reshape(-1, 4, 4)
    tails = np.array([bone.tail_local for bone in bones], float).reshape(-1, 3)
    connected = np.array([bone.use_connect and bone.parent is not None for bone in bones], bool)
    sorted_names = tuple(names[number] for number in order)
    above = np.array([back[parents[number]] if parents[number] >= 0 else -1 for number in order], int)
    up = np.array(owner.matrix_world.to_3x3().inverted_safe() @ Vector((0, 0, 1)), float)
    limits = read_limits(owner, sorted_names)
    return Rig(sorted_names, above, rest[order], tails[order], up / max(np.linalg.norm(up), 1e-9), limits, connected[order])


def read_limits(owner: bpy.types.Object, names: tuple[str, ...]) -> Array | None:
    """(b, 3, 2) radians: our own names' limits, narrowed or replaced by a bone's Limit Rotation constraint or its IK limits."""
    limits = limits_of(names)
    found = np.full((len(names), 3, 2), np.inf) * [-1, 1] if limits is None else limits
    stated = limits is not None
    for number, name in enumerate(names):
        bone = owner.pose.bones[name]
        for axis, letter in enumerate("xyz"):
            if getattr(bone, f"use_ik_limit_{letter}"):
                found[number, axis] = getattr(bone, f"ik_min_{letter}"), getattr(bone, f"ik_max_{letter}")
                stated = True
        for constraint in bone.constraints:
            if constraint.type == "LIMIT_ROTATION" and constraint.enabled and constraint.owner_space == "LOCAL":
                for axis, letter in enumerate("xyz"):
                    if getattr(constraint, f"use_limit_{letter}"):
                        found[number, axis] = getattr(constraint, f"min_{letter}"), getattr(constraint, f"max_{letter}")
                        stated = True
    return found if stated else None


def sample_action(context: bpy.types.Context, owner: bpy.types.Object, action: bpy.types.Action) -> Played:
    """The armature playing the action, at the action's own keys where these come at one rate, else at every frame of the scene.

    Raises MapError source_still (no curve moves the armature), source_long.
    """
    frames = frames_of(action)
    rate = context.scene.render.fps / context.scene.render.fps_base
    bench = bpy.data.scenes.new("Menagerie sampling")
    stand_in = owner.copy()
    try:
        bench.render.fps, bench.render.fps_base = context.scene.render.fps, context.scene.render.fps_base
        bench.collection.objects.link(stand_in)
        play_only(stand_in, action)
        poses, places = evaluate(bench, stand_in, frames)
        rig = read_rig(owner)
        listed = [stand_in.pose.bones.find(name) for name in rig.names]
    finally:
        bpy.data.objects.remove(stand_in)
        bpy.data.scenes.remove(bench)
    seconds = (frames - frames[0]) / rate
    return Played(action.name, rig, Clip(action.name, seconds, poses[:, listed], places), frames, bool(action.use_cyclic))


def frames_of(action: bpy.types.Action) -> Array:
    """(t,) the frames to look at."""
    times = set()
    for curve in compat.curves_of(action):
        keys = np.empty(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", keys)
        times.update(np.round(keys[::2].astype(float), 4).tolist())
    if not times:
        raise MapError("source_still", f"The action {action.name} has no keys.", "Choose another action.")
    keys = np.array(sorted(times))
    start, end = (float(edge) for edge in action.frame_range)
    if len(keys) >= FEWEST_KEYS and np.ptp(np.diff(keys)) < EVEN and keys[1] - keys[0] <= 1 + EVEN:
        frames = keys
    else:
        frames = np.append(np.arange(start, end, 1.0), end)
    if len(frames) > MOST_FRAMES:
        raise MapError("source_long", f"The action {action.name} has {len(frames)} frames.", f"Cut it to {MOST_FRAMES} frames at most.")
    return frames


def play_only(owner: bpy.types.Object, action: bpy.types.Action) -> None:
    """Lets the object play this action and nothing else."""
    animation = owner.animation_data_create()
    for track in list(animation.nla_tracks):
        animation.nla_tracks.remove(track)
    slot = compat.slot_of(owner) if animation.action == action else compat.pose_slot(action)
    animation.action = None
    animation.action = action
    compat.assign_slot(owner, slot)
    animation.action_influence = 1.0
    animation.action_blend_type = "REPLACE"


def evaluate(scene: bpy.types.Scene, owner: bpy.types.Object, frames: Array) -> tuple[Array, Array]:
    """-> (t, b, 4, 4) of the pose's bones in Blender's order, (t, 4, 4) of the object in the world."""
    layer = scene.view_layers[0]
    count = len(owner.pose.bones)
    poses, places = np.empty((len(frames), count, 4, 4)), np.empty((len(frames), 4, 4))
    flat = np.empty(count * 16, np.float32)
    for number, frame in enumerate(frames):
        whole = int(np.floor(frame))
        scene.frame_set(whole, subframe=float(frame - whole))
        shown = owner.evaluated_get(layer.depsgraph)
        shown.pose.bones.foreach_get("matrix", flat)
        poses[number] = flat.reshape(count, 4, 4).transpose(0, 2, 1)  # Blender's columns first
        places[number] = shown.matrix_world
    return poses, places
