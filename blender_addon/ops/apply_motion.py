"""Let the creature that is meant walk, run, graze or stand: one click, one undo step."""

from __future__ import annotations

import bpy

from ..link.errors import LinkError
from ..motions import apply, library
from ..scene import joints
from . import fit


class MENAGERIE_OT_apply_motion(bpy.types.Operator):
    """Give the creature this motion as a new action; an action of your own stays assigned"""

    bl_idname = "menagerie.apply_motion"
    bl_label = "Apply Motion"
    bl_options = {"REGISTER", "UNDO"}

    motion: bpy.props.StringProperty(name="Motion", options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if apply.rig_of(context) is None:
            cls.poll_message_set("Select a creature")
            return False
        return True

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        try:
            shared = library.load()
        except LinkError as error:
            return error.sentence
        known = shared.motions.get(properties.motion)
        return cls.__doc__ or "" if known is None else f"{known.label}: {cls.__doc__}. {shared.credit}, {shared.licence}"

    def execute(self, context: bpy.types.Context) -> set[str]:
        rig = apply.rig_of(context)
        if rig is None:
            return {"CANCELLED"}
        try:
            action, plays = apply.apply_motion(context, rig, self.motion)
        except LinkError as error:
            return fit.refuse(self, error)
        if plays:
            joints.put_away(rig)
        else:
            self.report({"WARNING"}, f"{rig.name} keeps its own animation; {action.name} waits among the actions")
        return {"FINISHED"}
