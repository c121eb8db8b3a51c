"""Guess which bones of the source are which of the creature."""

from __future__ import annotations

import bpy

from ..retarget import choices, sampling
from ..retarget.bone_map import MapError, listed
from ..retarget.guess import guess_map
from . import retargeting


class MENAGERIE_OT_retarget_guess(bpy.types.Operator):
    """Guess which bones go together: by names, by the hierarchy, and by how both stand at rest"""

    bl_idname = "menagerie.retarget_guess"
    bl_label = "Guess Map"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return retargeting.has_both(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        owner = choices.target_of(context)
        try:
            bone_map = guess_map(choices.play_source(context).rig, sampling.read_rig(owner))
        except MapError as error:
            return retargeting.refuse(self, error)
        choices.write_map(context, bone_map)
        choices.redo(choices.of(context), context)
        if bone_map.unsure:
            self.report({"WARNING"}, f"Not sure about {listed(bone_map.unsure)}: choose their bones in the list.")
        elif not bone_map.pairs:
            self.report({"WARNING"}, "No part of the body was recognised: add rows and choose their bones.")
        return {"FINISHED"}
