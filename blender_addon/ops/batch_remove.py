"""Take photos out of the batch's list."""

from __future__ import annotations

import bpy

from ..link import batch


class MENAGERIE_OT_batch_remove(bpy.types.Operator):
    """Take it out of the list, with its result; a creature that was placed stays"""

    bl_idname = "menagerie.batch_remove"
    bl_label = "Remove"

    index: bpy.props.IntProperty(name="Photo", description="Row of the list", default=-1, options={"SKIP_SAVE"})  # type: ignore[valid-type]
    what: bpy.props.EnumProperty(
        items=(("ONE", "This", "The row"), ("PLACED", "Placed", "All whose creature stands in this file"), ("ALL", "All", "Every row")),
        options={"HIDDEN", "SKIP_SAVE"},
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(batch.entries())

    @classmethod
    def description(cls, context: bpy.types.Context, properties: MENAGERIE_OT_batch_remove) -> str:
        if properties.what == "PLACED":
            return "Take every photo out whose creature stands in this file; the creatures stay"
        if properties.what == "ALL":
            return "Empty the list; results that were not placed are lost, creatures that were placed stay"
        return cls.__doc__ or ""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.what == "ALL":
            return context.window_manager.invoke_confirm(self, event)
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        one = batch.entry_at(self.index)
        if self.what == "ONE":
            batch.remove([one] if one is not None else [])
        elif self.what == "PLACED":
            waiting = batch.unplaced()
            batch.remove([entry for entry in batch.entries() if entry.state == "finished" and entry not in waiting])
        else:
            batch.stop()
            batch.remove(batch.entries())
        return {"FINISHED"}
