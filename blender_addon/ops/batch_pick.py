"""Find the animal of a batch's photo by hand: the photo goes into the panel, and Pick Animal begins."""

from __future__ import annotations

import bpy

from .. import settings
from ..link import batch
from . import fit


class MENAGERIE_OT_batch_pick(bpy.types.Operator):
    """Choose this photo in the panel above, to click on its animal or paint its mask there; Retry then uses that mask"""

    bl_idname = "menagerie.batch_pick"
    bl_label = "Pick Animal"
    bl_options = {"REGISTER", "UNDO"}

    index: bpy.props.IntProperty(name="Photo", description="Row of the list", default=-1, options={"SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(batch.entries()) and fit.idle()

    def execute(self, context: bpy.types.Context) -> set[str]:
        entry = batch.entry_at(self.index)
        if entry is None:
            return {"CANCELLED"}
        chosen = settings.of(context)
        chosen.kind, chosen.photo = "PHOTO", entry.photo
        if not bpy.app.background:
            bpy.ops.menagerie.pick_animal("INVOKE_DEFAULT")
        return {"FINISHED"}
