"""Fit again with left and right legs swapped."""

from __future__ import annotations

import bpy

from ..link import session
from . import fit


class MENAGERIE_OT_swap_legs(bpy.types.Operator):
    """The left legs stand where the right ones are in the photo: fit again with them swapped"""

    bl_idname = "menagerie.swap_legs"
    bl_label = "Swap Left and Right Legs"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.has_photo_creature(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        record = session.read_record(session.creature_of(context))
        return fit.refit(self, context, swap_legs=not record["settings"].get("swap_legs", False))
