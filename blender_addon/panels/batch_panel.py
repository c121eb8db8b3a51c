"""The sidebar panel "Batch": a list of photos with their states, and what can be done with them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import bpy

from ..link import batch, batch_rows
from ..link.batch_list import Entry
from . import pictures
from .main import STAGES, Sidebar, wrapped

ICONS = {"waiting": "SORTTIME", "running": "PLAY", "finished": "CHECKMARK", "failed": "ERROR"}
PLACED = "OUTLINER_OB_ARMATURE"
MASK_HELPS = ("no_animal", "several_animals", "mask_unreadable")
"""Failures that a mask made by hand mends."""
ROWS = 6
"""Of the list, before it scrolls."""


class MENAGERIE_UL_batch(bpy.types.UIList):
    """The batch's photos."""

    bl_idname = "MENAGERIE_UL_batch"

    def draw_item(
        self, context: bpy.types.Context, layout: bpy.types.UILayout, data: object, item: object, icon: int, active_data: object,
        active_property: str, index: int,
    ) -> None:  # fmt: skip
        entry = batch.entry_at(index)
        if entry is not None:
            row = layout.row(align=True)
            row.prop(item, "marked", text="")
            draw_entry(row, entry, index)


class MENAGERIE_PT_batch(Sidebar, bpy.types.Panel):
    """Many photos."""

    bl_idname = "MENAGERIE_PT_batch"
    bl_parent_id = "MENAGERIE_PT_main"
    bl_label = "Batch"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        entries = batch.entries()
        if entries:  # seen while the panel is closed
            self.layout.label(text=f"{sum(entry.state == 'finished' for entry in entries)} / {len(entries)}")

    def draw(self, context: bpy.types.Context) -> None:
        layout, manager = self.layout, context.window_manager
        layout.operator("menagerie.batch_add", icon="FILE_FOLDER")
        entries = batch.entries()
        if not entries:
            return
        layout.label(text=counted(entries))
        layout.template_list("MENAGERIE_UL_batch", "", manager, "menagerie_batch", manager, "menagerie_batch_active", rows=ROWS)
        if len(entries) > 1:
            layout.operator("menagerie.batch_join", icon="AUTOMERGE_ON")
        chosen = batch.entry_at(batch_rows.active())
        if chosen is not None:
            draw_chosen(layout.box(), chosen, batch_rows.active())
        row = layout.row()
        row.scale_y = 1.5
        if batch.state.going or batch.state.entry is not None:
            row.operator("menagerie.batch_cancel", icon="CANCEL")
        else:
            begun = any(entry.state != "waiting" for entry in entries)
            row.operator("menagerie.batch_start", text="Go On" if begun else "Start", icon="PLAY")
        ready = len(batch.unplaced())
        if ready:
            layout.operator("menagerie.batch_place", text=f"Ready: Place {ready}", icon="CHECKMARK").index = -1
        row = layout.row(align=True)
        row.operator("menagerie.batch_retry", text="Retry Failed", icon="FILE_REFRESH").index = -1
        row.operator("menagerie.batch_remove", text="Clear Placed").what = "PLACED"
        row.operator("menagerie.batch_remove", text="", icon="TRASH").what = "ALL"


def counted(entries: list[Entry] | tuple[Entry, ...]) -> str:
    """How far the list is."""
    states = Counter(entry.state for entry in entries)
    failed = f", {states['failed']} failed" if states["failed"] else ""
    return f"{states['finished']} of {len(entries)} done{failed}"


def draw_entry(layout: bpy.types.UILayout, entry: Entry, index: int) -> None:
    """One row: icon, name, bar while it runs, what can be done with it."""
    row = layout.row(align=True)
    job, name = batch.state.job, entry.name
    if len(entry.sources) > 1:
        name = f"{name} ({len(entry.sources)} photos)"
    if entry is batch.state.entry and job is not None:
        stage = "Stopping" if job.cancelled_at is not None else STAGES.get(job.stage, job.stage.capitalize())
        row.label(text=name, icon=ICONS["running"])
        row.progress(factor=job.fraction, text=stage)
    else:
        here = entry.state == "finished" and entry not in batch.unplaced()
        row.alert = entry.state == "failed"
        row.label(text=name, icon=PLACED if here else ICONS[entry.state])
        row.alert = False
        if entry.state == "failed":
            row.operator("menagerie.batch_retry", text="", icon="FILE_REFRESH", emboss=False).index = index
        elif entry.state == "finished" and not here:
            row.operator("menagerie.batch_place", text="", icon="IMPORT", emboss=False).index = index
    row.operator("menagerie.batch_remove", text="", icon="X", emboss=False).index = index


def draw_chosen(layout: bpy.types.UILayout, entry: Entry, index: int) -> None:
    """What can be said of the chosen row."""
    job = batch.state.job
    if entry is batch.state.entry and job is not None:
        if job.preview:
            layout.template_icon(pictures.icon(job.preview), scale=5.0)
        left = f"{job.seconds_left:.0f} s left" if job.seconds_left is not None else "At work"
        layout.label(text=f"{entry.name}: {left}", icon=ICONS["running"])
    elif entry.error is not None:
        layout.label(text=entry.name, icon=ICONS["failed"])
        wrapped(layout, entry.error["sentence"])
        wrapped(layout, entry.error["remedy"])
        row = layout.row(align=True)
        if entry.error["code"] in MASK_HELPS:
            row.operator("menagerie.batch_pick", icon="EYEDROPPER").index = index
        row.operator("menagerie.batch_retry", icon="FILE_REFRESH").index = index
    else:
        quality = str(entry.settings.get("quality", "")).capitalize()
        names = ", ".join(Path(photo["photo"]).name for photo in entry.sources)
        if len(entry.sources) > 1:
            wrapped(layout, f"One creature from {len(entry.sources)} photos: {names}, {quality}")
        else:
            layout.label(text=f"{names}, {quality}", icon=ICONS[entry.state])
