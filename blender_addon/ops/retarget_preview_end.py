"""End a motion's trial."""

from __future__ import annotations

import bpy

from ..retarget import choices, preview


class MENAGERIE_OT_retarget_preview_end(bpy.types.Operator):
    """Take the preview away and put back the creature's own action and pose"""

    bl_idname = "menagerie.retarget_preview_end"
    bl_label = "End Preview"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return preview.is_on(choices.target_of(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        preview.end(choices.target_of(context))
        return {"FINISHED"}
