"""Give the creature the ready motion that is chosen in the Asset Browser."""

from __future__ import annotations

import bpy

from ..motions import apply, assets


class MENAGERIE_OT_apply_motion_asset(bpy.types.Operator):
    """Give the creature this motion, made for its proportions; an action of your own stays assigned"""

    bl_idname = "menagerie.apply_motion_asset"
    bl_label = "Apply Motion to Creature"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not assets.motion_of(context.asset):
            cls.poll_message_set("Choose one of Menagerie's motions")
            return False
        if apply.rig_of(context) is None:
            cls.poll_message_set("Select a creature in the viewport")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            return bpy.ops.menagerie.apply_motion(motion=assets.motion_of(context.asset))
        except RuntimeError as reported:
            self.report({"ERROR"}, str(reported).strip().removeprefix("Error: "))
            return {"CANCELLED"}
