"""What the operators of the Posing panel share: the rig they mean, and an end that keys where auto-key is on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import bpy

from ..control import channels
from ..control.limbs import legs_of
from ..link import session
from ..link.errors import LinkError
from ..scene import joints
from ..scene.creature import ROLE, armatures_of
from . import fit


def rig_of(context: bpy.types.Context) -> bpy.types.Object | None:
    """The armature that the artist means: the active object's, where it is a creature's or has a quadruped's legs, else the last placed."""
    for rig in armatures_of(context.object):
        if rig.get(ROLE) == "armature" or legs_of(rig.data.bones):
            return rig
    return session.creature_of(context)


def has_rig(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """A creature is meant and its bones are not being edited; what is missing, the button's tip says."""
    rig = rig_of(context)
    if rig is None:
        operator.poll_message_set("Select a creature")
        return False
    if rig.mode == "EDIT":
        operator.poll_message_set("Leave Edit Mode first")
        return False
    return True


def pose(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    take: Callable[[bpy.types.Context, bpy.types.Object], Iterable[str] | None],
    leaves_photo: bool = False,
) -> set[str]:
    """Let `take` pose the rig that is meant, key the bones that it names where auto-key is on -> the operator's answer.
    leaves_photo: it stands no longer as the joints' handles lie, or has other handles now."""
    rig = rig_of(context)
    if rig is None:
        return {"CANCELLED"}
    try:
        written = take(context, rig)
    except LinkError as error:
        return fit.refuse(operator, error)
    if leaves_photo:
        joints.put_away(rig)
    if written is not None:
        channels.key(context, rig, dict.fromkeys(written))
    session.redraw()
    return {"FINISHED"}
