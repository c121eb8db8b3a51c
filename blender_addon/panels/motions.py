"""Ready motions: thumbnails to click, and the sliders of the one that was made."""

from __future__ import annotations

import bpy

from ..link.errors import LinkError
from ..motions import apply, library
from . import pictures
from .main import Sidebar, wrapped

COLUMNS = 3
KINDS = (("idle", "Idle"), ("walk", "Walk"), ("trot", "Trot"), ("run", "Run"), ("graze", "Graze"))
"""Kinds of motions in the order in which they are shown, and their headings."""

OPEN = "walk"
"""The kind whose pictures are in view at first."""


class MENAGERIE_PT_motions(Sidebar, bpy.types.Panel):
    """Ready motions for the creature that is meant"""

    bl_idname = "MENAGERIE_PT_motions"
    bl_parent_id = "MENAGERIE_PT_main"
    bl_label = "Motions"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return apply.rig_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        rig = apply.rig_of(context)
        if rig is None:
            return
        draw_sliders(layout, rig)
        try:
            shared = library.load()
        except LinkError as error:
            wrapped(layout, error.sentence, "ERROR")
            return
        for kind, heading in KINDS:
            header, body = layout.panel(f"MENAGERIE_motions_{kind}", default_closed=kind != OPEN)
            header.label(text=heading)
            if body is not None:
                draw_pictures(body, [motion for motion in shared.motions.values() if motion.kind == kind])
        layout.operator("menagerie.add_motion_library", icon="ASSET_MANAGER")
        wrapped(layout, f"Motions: {shared.credit}, {shared.licence}", "INFO")


def draw_pictures(layout: bpy.types.UILayout, motions: list[library.ReadyMotion]) -> None:
    """A picture and a button a motion."""
    grid = layout.grid_flow(row_major=True, columns=COLUMNS, even_columns=True, even_rows=True, align=True)
    for motion in motions:
        cell = grid.column(align=True)
        cell.template_icon(pictures.icon(str(motion.picture)), scale=3.6)
        cell.operator("menagerie.apply_motion", text=motion.label.split()[0]).motion = motion.name


def draw_sliders(layout: bpy.types.UILayout, rig: bpy.types.Object) -> None:
    """What the motion that plays, or was made last, can be changed by."""
    action = apply.current(rig)
    if action is None:
        return
    made = action.menagerie_motion
    box = layout.box()
    box.label(text=action.name, icon="ACTION")
    if rig.animation_data is None or rig.animation_data.action != action:
        wrapped(box, "Not assigned: the creature keeps its own animation", "INFO")
    column = box.column(align=True)
    column.prop(made, "speed", slider=True)
    column.prop(made, "stride", slider=True)
    row = box.row(align=True)
    row.prop(made, "in_place", toggle=True)
    row.prop(made, "hold_feet", toggle=True)
