"""Stop the running set-up."""

from __future__ import annotations

import bpy

from ..link import session
from .set_up import running


class MENAGERIE_OT_set_up_cancel(bpy.types.Operator):
    """Stop the set-up; what was set up before stays in use"""

    bl_idname = "menagerie.set_up_cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return running()

    def execute(self, context: bpy.types.Context) -> set[str]:
        if session.state.set_up is not None:
            session.state.set_up.cancel()
        return {"FINISHED"}
