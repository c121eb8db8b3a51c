"""Take the handles away again; what is pinned stays pinned in the creature."""

from __future__ import annotations

import bpy

from ..scene import joints, watch
from .show_joints import shown


class MENAGERIE_OT_hide_joints(bpy.types.Operator):
    """Take the joints' handles away. What was dragged since the last Refit is forgotten"""

    bl_idname = "menagerie.hide_joints"
    bl_label = "Hide Joints"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return shown(context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        found = shown(context)
        if found is None:
            return {"CANCELLED"}
        joints.remove(found[1])
        watch.tidy()
        return {"FINISHED"}
