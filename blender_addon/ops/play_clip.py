"""Let the creature play one of its motions from a clip: the clip's own, or the cycle."""

from __future__ import annotations

import bpy

from ..clip import loops
from . import clipping


class MENAGERIE_OT_play_clip(bpy.types.Operator):
    """Let the creature play this motion. What it plays now is kept in the file"""

    bl_idname = "menagerie.play_clip"
    bl_label = "Play"
    bl_options = {"REGISTER", "UNDO"}

    action: bpy.props.StringProperty(name="Action", options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return clipping.has_clip(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        rig, action = clipping.rig_of(context), bpy.data.actions.get(self.action)
        if rig is None or action is None or action not in loops.motions_of(rig):
            return {"CANCELLED"}
        loops.play(context, rig, action)
        return {"FINISHED"}
