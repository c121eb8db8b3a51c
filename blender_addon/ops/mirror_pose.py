"""The pose's reflection."""

from __future__ import annotations

import bpy

from ..control import poses
from . import posing


class MENAGERIE_OT_mirror_pose(bpy.types.Operator):
    """Mirror the whole pose, left to right and right to left; nothing is keyed unless auto-key is on"""

    bl_idname = "menagerie.mirror_pose"
    bl_label = "Mirror Pose"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return posing.has_rig(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return posing.pose(self, context, poses.mirror_pose, leaves_photo=True)
