"""A motion on trial: an action of its own is shown on the creature, and what was there before comes back when the trial ends.

What was there stands in a custom property of the armature (its action and slot, its pose, its object's place), so the trial can be
ended in a saved file too.
"""

from __future__ import annotations

import json
from typing import Any

import bpy

from .. import compat

BEFORE = "menagerie_preview"
"""Custom property of an armature on which a preview is shown."""
CHANNELS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")


def is_on(owner: bpy.types.Object | None) -> bool:
    """True while a preview is shown."""
    return owner is not None and BEFORE in owner


def shown_action(owner: bpy.types.Object) -> bpy.types.Action | None:
    """The preview's action."""
    return bpy.data.actions.get(str(read(owner).get("preview", "")))


def show(owner: bpy.types.Object, action: bpy.types.Action) -> None:
    """Shows the action; of an earlier preview the state before it stays remembered, and its action goes."""
    if is_on(owner):
        record, old = read(owner), shown_action(owner)
    else:
        record, old = remember(owner), None
        if owner.animation_data is not None and owner.animation_data.action is not None:
            owner.animation_data.action.use_fake_user = True  # nothing else uses it meanwhile: a saved file would lose it
    compat.assign_action(owner, action)
    owner[BEFORE] = json.dumps({**record, "preview": action.name}, ensure_ascii=False)
    if old is not None and old != action:
        bpy.data.actions.remove(old)


def end(owner: bpy.types.Object) -> None:
    """Puts back what was there."""
    record, trial = read(owner), shown_action(owner)
    animation = owner.animation_data_create()
    own = bpy.data.actions.get(str(record.get("action") or ""))
    animation.action = own
    if own is not None:
        compat.assign_slot(owner, record.get("slot"))
        own.use_fake_user = bool(record.get("kept"))
    for name, channels in record.get("pose", {}).items():
        bone = owner.pose.bones.get(name)
        if bone is not None:
            put(bone, channels)
    put(owner, record.get("object", {}))
    del owner[BEFORE]
    if trial is not None and trial.users == 0:
        bpy.data.actions.remove(trial)


def remember(owner: bpy.types.Object) -> dict[str, Any]:
    """Action, slot, pose and place."""
    animation = owner.animation_data
    action = animation.action if animation is not None else None
    return {
        "action": None if action is None else action.name,
        "kept": action is not None and action.use_fake_user,
        "slot": compat.slot_of(owner),
        "pose": {bone.name: take(bone) for bone in owner.pose.bones},
        "object": take(owner),
    }


def take(thing: bpy.types.PoseBone | bpy.types.Object) -> dict[str, list[float]]:
    """The transform channels."""
    return {channel: list(getattr(thing, channel)) for channel in CHANNELS}


def put(thing: bpy.types.PoseBone | bpy.types.Object, channels: dict[str, list[float]]) -> None:
    """Sets them."""
    for channel in CHANNELS:
        if channel in channels:
            setattr(thing, channel, channels[channel])


def read(owner: bpy.types.Object) -> dict[str, Any]:
    """The record, {} where a person typed something there."""
    try:
        record = json.loads(str(owner.get(BEFORE, "{}")))
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
