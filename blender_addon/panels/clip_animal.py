"""The sub-panel "Animal": what is taken for the animal in the clip, seen before the whole is waited for, and put right where it begins."""

from __future__ import annotations

import bpy

from .. import settings
from ..clip import choices, moment
from ..link import session
from ..ops import picking
from . import pictures
from .main import Sidebar, draw_picking, wrapped

PICTURE_SCALE = 8.0
"""Of the frame with its mask, in the interface's units: as wide as a narrow sidebar."""


class MENAGERIE_PT_clip_animal(Sidebar, bpy.types.Panel):
    """Look at a moment of the clip, and choose the animal where the motion begins."""

    bl_idname = "MENAGERIE_PT_clip_animal"
    bl_parent_id = "MENAGERIE_PT_main"
    bl_label = "Animal"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(settings.of(context).kind == "CLIP" and choices.of(context).path)

    def draw(self, context: bpy.types.Context) -> None:
        chosen = choices.of(context)
        column = self.layout.column()
        column.enabled = session.state.job is None
        column.prop(chosen, "at")
        column.operator("menagerie.show_animal", icon="HIDE_OFF")
        draw_look(column, moment.of(chosen))
        if choices.masks_of(chosen) is not None:
            wrapped(column, "The folder of masks says which animal it is.", "INFO")
        elif picking.current is not None:
            draw_picking(column)
        elif choices.first_frame_known(chosen):
            draw_correction(column, chosen)


def draw_look(column: bpy.types.UILayout, look: moment.Look | None) -> None:
    """The frame with the animal lit, and what there is to say of it."""
    if look is None:
        return
    if look.job is not None:
        column.label(text="Looking", icon="TIME")
        return
    column.template_icon(pictures.icon(str(look.out / moment.SHOWN), now=True), scale=PICTURE_SCALE)
    for warning in look.answer.get("warnings", []):
        wrapped(column, str(warning), "INFO")


def draw_correction(column: bpy.types.UILayout, chosen: choices.MenagerieClip) -> None:
    """The mask tools of the first frame; the rest of the clip follows from it."""
    column.label(text="Where the motion begins")
    row = column.row(align=True)
    row.operator("menagerie.pick_animal", icon="EYEDROPPER")
    row.operator("menagerie.paint_mask", icon="BRUSH_DATA")
    if chosen.mask_image is not None:
        column.row(align=True).prop(chosen, "mask_kind", expand=True)
