"""Leave the mask as it was before it was picked."""

from __future__ import annotations

import bpy

from . import picking


class MENAGERIE_OT_drop_pick(bpy.types.Operator):
    """Forget the clicks; the mask is as it was before"""

    bl_idname = "menagerie.drop_pick"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return picking.current is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        picking.drop(context)
        return {"FINISHED"}
