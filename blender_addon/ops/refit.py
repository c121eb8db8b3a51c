"""Explain the photo again with the joints where the artist has put them."""

from __future__ import annotations

import bpy

from .. import settings
from ..link import session
from ..scene import joints
from . import fit
from .show_joints import shown


class MENAGERIE_OT_refit(bpy.types.Operator):
    """Fit the photo again, with the quality chosen above and the dragged joints where they are; actions, constraints and materials stay"""

    bl_idname = "menagerie.refit"
    bl_label = "Refit"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not fit.idle():
            cls.poll_message_set("A reconstruction is running")
            return False
        if shown(context) is None:
            cls.poll_message_set("Show the joints first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        found = shown(context)
        if found is None:
            return {"CANCELLED"}
        creature = found[0]
        size = session.read_record(creature.armature)["photo_size"]
        pins = joints.pins_of(creature, tuple(size)) or None
        return fit.refit(self, context, pins=pins, quality=settings.of(context).quality)
