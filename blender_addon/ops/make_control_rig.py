"""Give the creature Rigify's control rig."""

from __future__ import annotations

import bpy

from ..control.rigify import addon, make
from ..link import session
from ..link.errors import LinkError
from ..scene import joints
from ..scene.creature import control_rig_of
from . import fit

MODES = ("OBJECT", "POSE")


class MENAGERIE_OT_make_control_rig(bpy.types.Operator):
    """Give the creature Rigify's controls for quadrupeds, in the pose that it stands in; its own bones follow them"""

    bl_idname = "menagerie.make_control_rig"
    bl_label = "Make Control Rig"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_change(cls, context) and control_rig_of(session.creature_of(context)) is None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if addon.is_enabled():
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self, event, title="Switch on Rigify?", confirm_text="Make Control Rig",
            message="Rigify, which comes with Blender, makes the controls. It is switched off again when you remove them.",
        )  # fmt: skip

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            rig = session.creature_of(context)
            make.make_control_rig(context, rig)
        except LinkError as error:
            return fit.refuse(self, error)
        joints.put_away(rig)
        session.state.error = None
        return {"FINISHED"}


def can_change(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """A creature is meant, and Blender is in a mode that can be left; what is missing, the button's tip says."""
    if session.creature_of(context) is None:
        operator.poll_message_set("Select a creature")
        return False
    if context.mode not in MODES:
        operator.poll_message_set("Go to Object Mode or Pose Mode first")
        return False
    return True
