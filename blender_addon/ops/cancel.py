"""Stop the running job."""

from __future__ import annotations

import bpy

from ..link import session


class MENAGERIE_OT_cancel(bpy.types.Operator):
    """Stop the reconstruction; nothing is changed"""

    bl_idname = "menagerie.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session.state.job is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        session.cancel()
        return {"FINISHED"}
