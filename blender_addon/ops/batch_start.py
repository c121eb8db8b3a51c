"""Work through the batch, or go on with it."""

from __future__ import annotations

import bpy

from ..link import batch, session
from ..link.errors import LinkError
from . import fit


class MENAGERIE_OT_batch_start(bpy.types.Operator):
    """Reconstruct every photo of the list that waits, one after another; finished creatures go into this scene, in a row"""

    bl_idname = "menagerie.batch_start"
    bl_label = "Start"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if batch.state.going:
            cls.poll_message_set("The batch is at work")
            return False
        fresh = any(entry.out not in batch.state.offered for entry in batch.unplaced())
        if not fresh and not any(entry.state == "waiting" for entry in batch.entries()):
            cls.poll_message_set("No photo waits: add some, or retry what failed")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        session.state.error = None
        batch.start(context)
        if bpy.app.background:  # no timers fire there
            batch.finish(context)
        error = session.state.error
        if error is not None:
            return fit.refuse(self, LinkError(error["code"], error["sentence"], error["remedy"]))
        return {"FINISHED"}
