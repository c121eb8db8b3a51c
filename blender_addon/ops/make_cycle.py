"""Find the step that repeats in the creature's motion and close it: a new action, the motion stays."""

from __future__ import annotations

import bpy

from ..clip import loops
from ..link.errors import LinkError
from . import clipping, fit


class MENAGERIE_OT_make_cycle(bpy.types.Operator):
    """Make a loop of the motion: the step that repeats, closed, with its travel going on. The motion itself stays as it is"""

    bl_idname = "menagerie.make_cycle"
    bl_label = "Make Cycle"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return clipping.has_clip(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        rig = clipping.rig_of(context)
        if rig is None:
            return {"CANCELLED"}
        try:
            made, plays = loops.make_cycle(context, rig)
        except LinkError as error:
            return fit.refuse(self, error)
        length = round(made.frame_end - made.frame_start)
        self.report({"INFO"}, f"{made.name}: {length} frames" + ("" if plays else f". {rig.name} keeps its own animation"))
        return {"FINISHED"}
