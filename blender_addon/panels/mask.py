"""The sub-panel "Mask and Seed": which animal of the photo, and which of several results; most photos need neither."""

from __future__ import annotations

import bpy

from .. import settings
from ..link import session
from ..ops import picking
from .main import Sidebar, draw_picking


class MENAGERIE_PT_mask(Sidebar, bpy.types.Panel):
    """What helps where a photo is not understood by itself."""

    bl_idname = "MENAGERIE_PT_mask"
    bl_parent_id = "MENAGERIE_PT_main"
    bl_label = "Mask and Seed"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(settings.of(context).kind == "PHOTO")

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        chosen = settings.of(context)
        if chosen.mask_kind != "AUTO":  # seen while the panel is closed
            self.layout.label(text=chosen.bl_rna.properties["mask_kind"].enum_items[chosen.mask_kind].name)

    def draw(self, context: bpy.types.Context) -> None:
        chosen = settings.of(context)
        column = self.layout.column()
        column.enabled = session.state.job is None
        column.prop(chosen, "mask_kind")
        if chosen.mask_kind == "PAINTED":
            row = column.row(align=True)
            row.prop(chosen, "mask_image", text="")
            row.operator("menagerie.paint_mask", text="", icon="BRUSH_DATA")
        elif chosen.mask_kind == "FILE":
            row = column.row(align=True)
            row.prop(chosen, "mask_path", text="")
            row.operator("menagerie.load_mask", text="", icon="FILEBROWSER")
        if picking.current is None:  # else it is under way, and said in the panel above
            draw_picking(column)
        column.prop(chosen, "seed")
