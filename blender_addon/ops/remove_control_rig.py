"""Take the control rig away again."""

from __future__ import annotations

import bpy

from ..control.rigify import make
from ..link import session
from ..link.errors import LinkError
from . import fit
from .make_control_rig import can_change


class MENAGERIE_OT_remove_control_rig(bpy.types.Operator):
    """Take the control rig away: the creature stands as before it was made. What you animated on it stays as an action"""

    bl_idname = "menagerie.remove_control_rig"
    bl_label = "Remove Control Rig"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_change(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            make.remove_control_rig(context, session.creature_of(context))
        except LinkError as error:
            return fit.refuse(self, error)
        return {"FINISHED"}
