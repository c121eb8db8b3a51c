"""Rigify itself: whether this Blender has it, and switching it on for as long as a control rig stands.

Rigify comes with Blender, switched off. Its parameters exist only for an add-on of the preferences (`default_set`), so that is what
it becomes; with the last rig that needs it, it is taken out again where we had put it in. We never save preferences, and what is
taken back doesn't count as a change of them.
"""

from __future__ import annotations

import addon_utils
import bpy

from ...link.errors import LinkError

MODULE = "rigify"

switched_on = False
"""Whether it was we who switched Rigify on, in this Blender."""


def is_enabled() -> bool:
    """Whether Rigify works now, with its parameters."""
    return bool(addon_utils.check(MODULE)[1]) and MODULE in bpy.context.preferences.addons


def enable() -> None:
    """Switch Rigify on unless it is. Raises LinkError rigify_missing."""
    global switched_on
    if is_enabled():
        return
    dirty = bpy.context.preferences.is_dirty
    failed: list[Exception] = []
    addon_utils.enable(MODULE, default_set=True, handle_error=failed.append)
    switched_on = True
    if not is_enabled():
        disable()
        remedy = "Install Rigify, or use a Blender from blender.org."
        raise LinkError("rigify_missing", "This Blender comes without its Rigify add-on.", remedy)
    bpy.context.preferences.is_dirty = dirty


def disable() -> None:
    """Switch Rigify off where we switched it on and nothing in the file is of its making any more."""
    global switched_on
    if not switched_on or is_enabled() and is_used():
        return
    dirty = bpy.context.preferences.is_dirty
    addon_utils.disable(MODULE, default_set=True)
    bpy.context.preferences.is_dirty = dirty
    switched_on = False


def is_used() -> bool:
    """Whether a rig that Rigify generated or a metarig stands in the file."""
    rigs = [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]
    return any(thing.data.get("rig_id") for thing in rigs) or any(bone.rigify_type for thing in rigs for bone in thing.pose.bones)
