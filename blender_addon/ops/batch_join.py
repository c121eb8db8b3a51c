"""Several photos of the batch that show one animal: one row, which becomes one creature."""

from __future__ import annotations

import bpy

from ..link import batch, batch_rows
from ..link.errors import LinkError
from . import fit

FEWEST = 2
MOST = 12
"""Photos of one animal that the backend takes."""


class MENAGERIE_OT_batch_join(bpy.types.Operator):
    """Make one creature from the marked photos: they show the same animal, each in any pose and from any side. The creature gets the pose
    of the first in the list; results that single photos had are dropped, creatures that were placed stay"""

    bl_idname = "menagerie.batch_join"
    bl_label = "One Creature from These"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        marked = batch_rows.marked()
        if len(marked) < FEWEST:
            cls.poll_message_set("Mark two photos of one animal, or more, by the boxes in the list")
            return False
        if any(batch.entry_at(number) is batch.state.entry for number in marked):
            cls.poll_message_set("One of them is at work: wait for it, or cancel")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = [entry for entry in map(batch.entry_at, batch_rows.marked()) if entry is not None]
        photos = len({photo["photo"] for entry in chosen for photo in entry.sources})
        try:
            if photos < FEWEST:
                raise LinkError("bad_request", "All of these are the same photo.", "Mark photos that differ.")
            if photos > MOST:
                raise LinkError("bad_request", f"These are {photos} photos; {MOST} can make one creature.", "Mark the best of them.")
            one = batch.join(chosen)
        except LinkError as error:
            return fit.refuse(self, error)
        self.report({"INFO"}, f"{one.name}: one creature from {photos} photos; it waits")
        return {"FINISHED"}
