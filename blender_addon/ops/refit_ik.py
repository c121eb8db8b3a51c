"""Fit the controls to bones that the artist has moved in Edit Mode."""

from __future__ import annotations

import bpy

from ..control import ik
from ..control.rig import has_controls
from . import posing


class MENAGERIE_OT_refit_ik(bpy.types.Operator):
    """Fit the controls to the bones as they rest now; poses and keys stay"""

    bl_idname = "menagerie.refit_ik"
    bl_label = "Refit IK"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not posing.has_rig(cls, context):
            return False
        rig = posing.rig_of(context)
        if rig is None or not has_controls(rig):
            cls.poll_message_set("This creature has no IK")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        return posing.pose(self, context, refit)


def refit(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Only the controls' rest poses move."""
    ik.refit(context, rig, follow=False)
