"""Take the control bones away again."""

from __future__ import annotations

import bpy

from ..control import ik
from ..control.rig import has_controls
from ..scene.place import own_bones
from . import posing


class MENAGERIE_OT_remove_ik(bpy.types.Operator):
    """Remove the controls and their constraints; the pose stays, in the bones' own rotations"""

    bl_idname = "menagerie.remove_ik"
    bl_label = "Remove IK"
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
        return posing.pose(self, context, remove)


def remove(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """From this creature alone: a linked duplicate keeps the controls that they shared."""
    own_bones(rig)
    ik.remove_ik(context, rig)
