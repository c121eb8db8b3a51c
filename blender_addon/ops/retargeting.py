"""What the operators that transfer a motion share: what must be chosen first, and how a refusal is shown."""

from __future__ import annotations

import bpy

from ..link.errors import LinkError
from ..retarget import choices
from ..retarget.bone_map import MapError
from . import fit


def has_both(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """A creature is meant and a source is chosen; what is missing, the button's tip says."""
    owner, chosen = choices.target_of(context), choices.of(context)
    if owner is None:
        operator.poll_message_set("Select a creature or an armature")
        return False
    if owner.mode == "EDIT":
        operator.poll_message_set("The armature is being edited")
        return False
    if chosen.kind == "FILE":
        if not chosen.path:
            operator.poll_message_set("Choose a BVH or FBX file")
            return False
    elif chosen.source == owner:
        operator.poll_message_set("Select the armature that takes the motion")
        return False
    elif choices.action_of(chosen) is None:
        operator.poll_message_set("Choose an armature with an action")
        return False
    return True


def refuse(operator: bpy.types.Operator, error: MapError) -> set[str]:
    """Show it in the panel and in the status bar."""
    return fit.refuse(operator, LinkError(error.code, error.sentence, error.remedy))
