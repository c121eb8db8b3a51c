"""One click: a ready motion becomes an action of the armature that is meant, and nothing of the artist's is lost for it."""

from __future__ import annotations

import bpy
import numpy as np

from .. import compat
from ..control import ik
from ..link import session
from ..link.errors import LinkError
from ..scene.creature import ROLE, armatures_of
from ..scene.motion import FIRST_FRAME, write_curve
from ..scene.place import pose_is_ours
from . import action as actions
from . import library
from .rig import missing_bones


def rig_of(context: bpy.types.Context) -> bpy.types.Object | None:
    """The armature that is meant: the active object's where it has the common skeleton's legs, else the creature's."""
    for rig in armatures_of(context.object):
        if not missing_bones(rig.data.bones.keys()):
            return rig
    return session.creature_of(context)


def plays_own(rig: bpy.types.Object) -> bool:
    """True if the artist has given the armature an action or strips that are not ready motions."""
    animation = rig.animation_data
    if animation is None:
        return False
    return bool(animation.nla_tracks) or (animation.action is not None and animation.action.get(ROLE) != actions.READY)


def current(rig: bpy.types.Object) -> bpy.types.Action | None:
    """The ready motion whose sliders the panel shows: the one that plays, else the one made last."""
    animation = rig.animation_data
    if animation is not None and animation.action is not None and animation.action.get(ROLE) == actions.READY:
        return animation.action
    last = rig.get(LAST)
    return next((action for action in actions.made_for(rig) if action.name == last), None)


LAST = "menagerie_last_motion"
"""Custom property of an armature: name of the action that was made last."""


def apply_motion(context: bpy.types.Context, rig: bpy.types.Object, name: str) -> tuple[bpy.types.Action, bool]:
    """Make the motion of that name for the armature -> its action, and whether it plays. An action made earlier is used again where the
    artist has not changed its keys. Raises LinkError; then nothing has changed."""
    shared = library.load()
    if name not in shared.motions:
        raise LinkError("bad_request", f"There is no ready motion named {name}.")
    motion = shared.motions[name]
    missing = missing_bones(rig.data.bones.keys())
    if missing:
        raise LinkError("bones_missing", f"{rig.name} has no bone named {missing[0]}.", "Select a creature that Menagerie made.")
    untouched = (action for action in actions.made_for(rig, name) if action.menagerie_motion.stamp == actions.stamp(action))
    action = next(untouched, None)
    if action is None:
        action = actions.new_action(rig, motion)
    try:
        actions.bake(action, rig, context.scene)
    except LinkError:
        if not compat.curves_of(action):
            bpy.data.actions.remove(action)
        raise
    rig[LAST] = action.name
    if plays_own(rig):
        return action, False
    if (rig.animation_data is None or rig.animation_data.action is None) and not pose_is_ours(rig):
        keep_pose(rig, motion.label)
    ik.follow_channels(context, rig)
    compat.assign_action(rig, action)
    return action, True


def keep_pose(rig: bpy.types.Object, before: str) -> bpy.types.Action:
    """The pose that the artist has set by hand, as an action of one frame: what plays takes its place."""
    action = bpy.data.actions.new(f"{rig.name} pose before {before}")
    action.use_fake_user = True
    home = compat.curve_home(action, rig)
    for bone in rig.pose.bones:
        path = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"].'
        channel = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(bone.rotation_mode, "rotation_euler")
        for name in ("location", channel, "scale"):
            for axis, value in enumerate(getattr(bone, name)):
                write_curve(compat.new_curve(home, path + name, axis, bone.name), np.array([FIRST_FRAME]), np.array([value]))
    return action
