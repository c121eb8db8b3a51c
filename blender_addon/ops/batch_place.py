"""Place finished creatures of the batch at their spots in the row: one undo step."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..link import batch, session
from ..link.errors import LinkError
from . import fit
from .place import MENDABLE, place_result, read_report


class MENAGERIE_OT_batch_place(bpy.types.Operator):
    """Put finished creatures into this scene, each at its place in the row"""

    bl_idname = "menagerie.batch_place"
    bl_label = "Place"
    bl_options = {"REGISTER", "UNDO"}

    index: bpy.props.IntProperty(
        name="Photo", description="Row of the list; -1 for all that are finished", default=-1, min=-1, options={"SKIP_SAVE"}
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if session.rendering():
            cls.poll_message_set("Wait until the rendering has ended")
            return False
        return bool(batch.entries())

    def execute(self, context: bpy.types.Context) -> set[str]:
        one = batch.entry_at(self.index)
        chosen = batch.unplaced() if one is None else [one] if one.state == "finished" else []
        failure: LinkError | None = None
        for entry in chosen:
            out = Path(entry.out)
            try:
                creature = place_result(context, batch.plan_of(entry), {"out": entry.out, "report": read_report(out)})
                creature.armature[batch.ENTRY] = entry.out
            except LinkError as error:
                failure = error
                if error.code not in MENDABLE:
                    batch.refused(entry, error.to_wire())
        return fit.refuse(self, failure) if failure is not None else {"FINISHED"}
