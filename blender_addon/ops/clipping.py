"""What the operators on a clip's motion share: the creature that they mean."""

from __future__ import annotations

import bpy

from ..clip import loops
from ..clip.place import clip_action, clip_creatures
from ..link import session
from ..scene.creature import armatures_of


def rig_of(context: bpy.types.Context) -> bpy.types.Object | None:
    """The creature that is meant, if it came from a clip; where the active object is another armature, the only one that did."""
    for rig in (*armatures_of(context.object), session.creature_of(context)):
        if clip_action(rig) is not None:
            return rig
    others = [rig for rig in clip_creatures() if rig.name in context.scene.objects]
    active = context.object
    return others[0] if len(others) == 1 and active is not None and active.type == "ARMATURE" and active not in others else None


def has_clip(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """A creature from a clip is meant and its bones are not being edited; what is missing, the button's tip says."""
    rig = rig_of(context)
    if rig is None:
        operator.poll_message_set("Select a creature that was made from a clip")
        return False
    if rig.mode == "EDIT":
        operator.poll_message_set("Leave Edit Mode first")
        return False
    return True


def shown_motion(rig: bpy.types.Object) -> bpy.types.Action | None:
    """The motion that is meant: the clip's or the cycle, whichever plays, else the clip's."""
    playing = rig.animation_data.action if rig.animation_data is not None else None
    return playing if playing in loops.motions_of(rig) else clip_action(rig)
