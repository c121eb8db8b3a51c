"""Turn what was animated on the control rig into an action of the creature's own bones."""

from __future__ import annotations

import bpy

from ..control.rigify import bake
from ..link import session
from ..link.errors import LinkError
from ..scene.creature import control_rig_of
from . import fit


class MENAGERIE_OT_bake_control_rig(bpy.types.Operator):
    """Make one action of the creature's own bones from what is animated on the control rig: for export, and for after removing it"""

    bl_idname = "menagerie.bake_control_rig"
    bl_label = "Bake to Skeleton"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return control_rig_of(session.creature_of(context)) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        rig = session.creature_of(context)
        try:
            action = bake.bake(context, rig, control_rig_of(rig))
        except LinkError as error:
            return fit.refuse(self, error)
        self.report({"INFO"}, f'Baked as "{action.name}"')
        return {"FINISHED"}
