"""The creature as in its photo."""

from __future__ import annotations

import bpy

from ..control import poses
from . import posing


class MENAGERIE_OT_photo_pose(bpy.types.Operator):
    """Take the pose of the photo, controls included; nothing is keyed unless auto-key is on"""

    bl_idname = "menagerie.photo_pose"
    bl_label = "Photo Pose"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return posing.has_rig(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return posing.pose(self, context, poses.take_photo_pose)
