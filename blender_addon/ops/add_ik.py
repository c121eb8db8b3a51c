"""Add control bones with IK to the creature that is meant."""

from __future__ import annotations

import bpy

from ..control import ik
from ..scene.place import own_bones
from . import posing


class MENAGERIE_OT_add_ik(bpy.types.Operator):
    """Add controls for feet, knees, spine, neck, head and tail. The pose stays, and so do the bones' own rotations underneath"""

    bl_idname = "menagerie.add_ik"
    bl_label = "Add IK"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return posing.has_rig(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return posing.pose(self, context, add, leaves_photo=True)


def add(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Controls for this creature alone: a linked duplicate keeps the bones that they shared."""
    own_bones(rig)
    ik.add_ik(context, rig)
