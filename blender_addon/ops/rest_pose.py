"""The creature as at rest."""

from __future__ import annotations

import bpy

from ..control import poses
from . import posing


class MENAGERIE_OT_rest_pose(bpy.types.Operator):
    """Put every bone and control at rest; nothing is keyed unless auto-key is on"""

    bl_idname = "menagerie.rest_pose"
    bl_label = "Rest Pose"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return posing.has_rig(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return posing.pose(self, context, poses.take_rest_pose, leaves_photo=True)
