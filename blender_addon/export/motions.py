"""The creature's actions as the exported armature plays them: a key a frame of what constraints and drivers make of them.

Enters: the creature's armature and an action of it. Leaves: an action of the copy, under the copy's bone names. The action is played on
another copy that keeps its constraints, so that IK and what else the artist built counts; a control rig doesn't, for it would hide it.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import compat
from ..control.rigify import bake, skeleton, snap
from .copies import Copies


def play_all(copies: Copies, rig: bpy.types.Object, actions: list[bpy.types.Action]) -> list[bpy.types.Action]:
    """Gives the exported armature an NLA track for each action, named as it -> the actions of the copy."""
    player = player_of(rig)
    copies.scene.collection.objects.link(player)
    made = []
    for action in actions:
        fresh = sampled(copies, player, action)
        track = copies.rig.animation_data_create().nla_tracks.new()
        track.name = action.name
        compat.new_strip(track, action.name, round(action.frame_range[0]), fresh)
        made.append(fresh)
    bpy.data.objects.remove(player)
    return made


def play_one(copies: Copies, action: bpy.types.Action) -> None:
    """Assigns one of these actions and sets the scene's range to it, for formats that hold one motion."""
    for track in list(copies.rig.animation_data.nla_tracks):
        copies.rig.animation_data.nla_tracks.remove(track)
    compat.assign_action(copies.rig, action)
    copies.scene.frame_start, copies.scene.frame_end = (round(frame) for frame in action.frame_range)


def player_of(rig: bpy.types.Object) -> bpy.types.Object:
    """A copy of the armature's object that does all by itself what the armature does: constraints and drivers point at the copy."""
    player = rig.copy()
    skeleton.untie(player)
    for bone in player.pose.bones:
        for constraint in bone.constraints:
            for name in ("target", "pole_target"):
                if getattr(constraint, name, None) == rig:
                    setattr(constraint, name, player)
    animation = player.animation_data
    if animation is not None:
        for track in list(animation.nla_tracks):
            animation.nla_tracks.remove(track)
        targets = [t for curve in animation.drivers for variable in curve.driver.variables for t in variable.targets]
        for target in targets:
            if target.id == rig:
                target.id = player
    return player


def sampled(copies: Copies, player: bpy.types.Object, action: bpy.types.Action) -> bpy.types.Action:
    """The action as the exported armature has it."""
    compat.assign_action(player, action)
    frames = bake.frames_of(action)
    poses = []
    for frame in frames.tolist():
        copies.scene.frame_set(frame)
        standing = snap.pose_of(player)
        poses.append({new: standing[old] for old, new in copies.names.items()})
    fresh = bpy.data.actions.new(action.name)
    bake.write(fresh, copies.rig, frames.astype(np.float32), poses)
    return fresh
