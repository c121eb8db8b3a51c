"""Fit again from one of the four viewpoints."""

from __future__ import annotations

import bpy

from . import fit


class MENAGERIE_OT_viewpoint(bpy.types.Operator):
    """Fit again as if the animal were seen from here"""

    bl_idname = "menagerie.viewpoint"
    bl_label = "Choose Viewpoint"

    index: bpy.props.IntProperty(name="Viewpoint", min=0, max=3, options={"SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.has_photo_creature(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return fit.refit(self, context, viewpoint=self.index, flip_heading=False)
