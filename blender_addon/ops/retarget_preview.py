"""Show the chosen motion on the creature, on trial."""

from __future__ import annotations

import bpy

from ..retarget import choices
from ..retarget.bone_map import MapError
from ..scene import joints
from . import retargeting


class MENAGERIE_OT_retarget_preview(bpy.types.Operator):
    """Show the motion on the creature. Options and map can be changed meanwhile; nothing of yours is touched until it is baked"""

    bl_idname = "menagerie.retarget_preview"
    bl_label = "Preview"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return retargeting.has_both(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            owner = choices.target_of(context)
            choices.show_preview(context, owner)
        except MapError as error:
            return retargeting.refuse(self, error)
        joints.put_away(owner)
        return {"FINISHED"}
