"""Let joints go: their handles return to where the result has them, and the next Refit reads them anew."""

from __future__ import annotations

import bpy

from ..link import session
from ..scene import joints
from .show_joints import shown


class MENAGERIE_OT_unpin(bpy.types.Operator):
    """Put the selected handles back, or all of them where none is selected: the next Refit finds these joints by itself"""

    bl_idname = "menagerie.unpin"
    bl_label = "Unpin"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        found = shown(context)
        if found is None or not any(joints.is_pinned(thing) for thing in found[1]):
            cls.poll_message_set("Nothing is pinned")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        found = shown(context)
        if found is None:
            return {"CANCELLED"}
        creature, things = found
        record = session.read_record(creature.armature)
        for thing in [thing for thing in things if thing.select_get()] or things:
            joints.unpin(thing, creature, record)
        return {"FINISHED"}
