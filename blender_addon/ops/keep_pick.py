"""Accept the mask that was picked."""

from __future__ import annotations

import bpy

from . import picking


class MENAGERIE_OT_keep_pick(bpy.types.Operator):
    """Use the mask that is shown; Reconstruct and Update take it as the painted one"""

    bl_idname = "menagerie.keep_pick"
    bl_label = "Accept"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return picking.current is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        picking.keep(context)
        return {"FINISHED"}
