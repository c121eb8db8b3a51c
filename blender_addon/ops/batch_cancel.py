"""Stop the batch."""

from __future__ import annotations

import bpy

from ..link import batch


class MENAGERIE_OT_batch_cancel(bpy.types.Operator):
    """Stop: what is finished stays, the other photos wait until Start is pressed again"""

    bl_idname = "menagerie.batch_cancel"
    bl_label = "Cancel All"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return batch.state.going or batch.state.entry is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        batch.stop()
        return {"FINISHED"}
