"""Fit again with the hypothesis that faces the other way."""

from __future__ import annotations

import bpy

from ..link import session
from . import fit


class MENAGERIE_OT_flip_heading(bpy.types.Operator):
    """The creature's head is where its tail should be: fit again, facing the other way"""

    bl_idname = "menagerie.flip_heading"
    bl_label = "Faces the Other Way"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.has_photo_creature(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        record = session.read_record(session.creature_of(context))
        # A viewpoint chosen by hand stays: the other way is counted from there.
        return fit.refit(self, context, flip_heading=not record["settings"].get("flip_heading", False))
