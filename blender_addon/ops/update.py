"""Fit the active creature's photo again with the panel's mask, seed and quality, or its clip with the panel's settings of that clip."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import settings
from ..link import session
from ..link.errors import LinkError
from . import animate, fit
from .reconstruct import choices


class MENAGERIE_OT_update(bpy.types.Operator):
    """Replace the creature's mesh and texture, made anew with this mask, seed and quality; actions, constraints and material edits stay"""

    bl_idname = "menagerie.update"
    bl_label = "Update"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.has_creature(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            plan = session.again(context, mask=None)
            if plan.method == "animate":
                animate.follow_panel(context, plan)
                return fit.start(self, context, plan)
            chosen = settings.of(context)
            if chosen.mask_kind == "PAINTED" and bpy.path.abspath(chosen.mask_photo) != plan.photo:
                remedy = "Choose the creature's photo and paint its mask."
                raise LinkError("mask_unreadable", "The painted mask is of another photo.", remedy)
            plan.settings.update(choices(context, Path(plan.out)))
        except LinkError as error:
            return fit.refuse(self, error)
        return fit.start(self, context, plan)
