"""The sidebar panel "Menagerie": photo, mask, quality, Reconstruct that becomes Cancel, errors with their remedy, and
what can be done with the creature that is meant."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import compat, paths, settings
from ..link import session
from ..ops import picking
from ..scene import kept
from . import clip_settings, pictures

WRAP = 34
"""Characters in a line of the narrow sidebar."""

STAGES = {
    "photo": "Reading the photo", "clip": "Reading the clip", "mask": "Finding the animal", "background": "Watching the camera",
    "networks": "Loading the networks", "see": "Looking", "bones": "Looking at the bones", "viewpoint": "Finding the viewpoint",
    "views": "Finding the viewpoints", "motion": "Telling the legs apart", "shape": "Building the shape", "skin": "Rigging",
    "fit": "Fitting", "rig": "Rigging", "follow": "Following the animal", "texture": "Painting", "write": "Writing",
    "overlay": "Drawing the overlay", "done": "Done", "": "Starting",
}  # fmt: skip


class Sidebar:
    """Where the panels stand."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Menagerie"


class MENAGERIE_PT_main(Sidebar, bpy.types.Panel):
    """Photo to creature."""

    bl_idname = "MENAGERIE_PT_main"
    bl_label = "Menagerie"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        chosen = settings.of(context)
        column = layout.column()
        column.enabled = session.state.job is None
        column.row(align=True).prop(chosen, "kind", expand=True)
        if chosen.kind == "CLIP":
            clip_settings.draw(column, context)
        else:
            draw_photo(column, chosen)
            row = column.row(align=True)
            row.prop(chosen, "quality", expand=True)
            if picking.current is not None:
                draw_picking(column)
        draw_job(layout, "menagerie.animate" if chosen.kind == "CLIP" else "menagerie.reconstruct")
        draw_ready(layout)
        draw_error(layout)


class MENAGERIE_PT_creature(Sidebar, bpy.types.Panel):
    """The creature that is meant."""

    bl_idname = "MENAGERIE_PT_creature"
    bl_parent_id = "MENAGERIE_PT_main"
    bl_label = "Creature"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session.creature_of(context) is not None

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        creature = session.creature_of(context)
        if creature is not None:
            self.layout.label(text=creature.name, icon="ARMATURE_DATA")

    def draw(self, context: bpy.types.Context) -> None:
        creature = session.creature_of(context)
        record = session.read_record(creature)
        if creature is None:
            return
        column = self.layout.column()
        for warning in record.get("warnings", []):
            wrapped(column, str(warning), "INFO")
        clip = record.get("method") == "animate"
        column.operator("menagerie.use_photo_view", text="Use This Clip's View" if clip else "Use This Photo's View", icon="CAMERA_DATA")
        column.operator("menagerie.update", icon="FILE_REFRESH")
        if clip:
            return
        column.operator("menagerie.flip_heading", icon="ARROW_LEFTRIGHT")
        column.operator("menagerie.swap_legs", icon="MOD_MIRROR")


class MENAGERIE_PT_viewpoints(Sidebar, bpy.types.Panel):
    """The four viewpoints of the last fit."""

    bl_idname = "MENAGERIE_PT_viewpoints"
    bl_parent_id = "MENAGERIE_PT_creature"
    bl_label = "Viewpoints"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(session.read_record(session.creature_of(context)).get("viewpoints"))

    def draw(self, context: bpy.types.Context) -> None:
        creature = session.creature_of(context)
        record = session.read_record(creature)
        grid = self.layout.grid_flow(row_major=True, columns=2, even_columns=True, even_rows=True)
        for index, view in enumerate(record["viewpoints"][:4]):
            cell = grid.column(align=True)
            picture = kept.find(creature, Path(record["out"]), view["file"])
            cell.template_icon(pictures.icon(str(picture)) if picture is not None else 0, scale=4.5)
            label = f"{view['probability']:.0%}"
            cell.operator("menagerie.viewpoint", text=label, depress=index == record.get("viewpoint")).index = index


class MENAGERIE_PT_picking(bpy.types.Panel):
    """Clicks on the photo, beside the photo."""

    bl_idname = "MENAGERIE_PT_picking"
    bl_label = "Menagerie"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Menagerie"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(settings.masked(context.scene).photo)

    def draw(self, context: bpy.types.Context) -> None:
        draw_picking(self.layout)
        draw_error(self.layout)


def draw_photo(layout: bpy.types.UILayout, chosen: settings.MenagerieSettings) -> None:
    """The photo's path, and under it the photo's name: of a long path the field shows the beginning."""
    layout.prop(chosen, "photo", text="", **compat.hint("Photo of an animal"))
    if chosen.photo:
        path = bpy.path.abspath(chosen.photo)
        icon = pictures.icon(path)
        if icon:
            layout.label(text=Path(path).name, icon_value=icon)
        else:
            layout.label(text=Path(path).name, icon="IMAGE_DATA")


def draw_picking(layout: bpy.types.UILayout) -> None:
    """Pick Animal, and while that is under way how many clicks there are and what ends it."""
    if picking.current is None:
        layout.operator("menagerie.pick_animal", icon="EYEDROPPER")
        return
    clicks, busy = picking.current.clicks, any(not job.done for job in picking.current.jobs)
    beside = sum(not click[2] for click in clicks)
    text = "Looking" if busy else "Click on the animal" if not clicks else f"Clicks: {len(clicks) - beside} on, {beside} beside"
    layout.label(text=text, icon="EYEDROPPER")
    row = layout.row(align=True)
    row.operator("menagerie.keep_pick", icon="CHECKMARK")
    row.operator("menagerie.drop_pick", icon="X")


def draw_job(layout: bpy.types.UILayout, begin: str) -> None:
    """The button that begins (an operator), or while a job runs: bar with stage and seconds left, Cancel, and below them, so that neither
    moves away from the pointer when it comes, the picture."""
    job = session.state.job
    if job is None:
        row = layout.row()
        row.scale_y = 1.5
        row.operator(begin, icon="PLAY")
        return
    stage = STAGES.get(job.stage, job.stage.capitalize())
    if job.cancelled_at is not None:
        stage = "Stopping"
    left = f", {job.seconds_left:.0f} s left" if job.seconds_left is not None else ""
    layout.progress(factor=job.fraction, text=f"{stage}{left}")
    row = layout.row()
    row.scale_y = 1.5
    row.operator("menagerie.cancel", icon="CANCEL")
    if job.preview:
        layout.template_icon(pictures.icon(job.preview, now=True), scale=6.0)


def draw_ready(layout: bpy.types.UILayout) -> None:
    """A result that waits because the artist was elsewhere."""
    if not session.state.ready:
        return
    box = layout.box()
    row = box.row(align=True)
    row.operator("menagerie.place", text=f"Ready: Place {session.state.ready[-1][0].name}", icon="CHECKMARK")
    row.operator("menagerie.dismiss", text="", icon="X").what = "RESULT"


def draw_error(layout: bpy.types.UILayout) -> None:
    """The last failure: what happened and what to do."""
    error = session.state.error
    if error is None:
        return
    box = layout.box()
    row = box.row()
    row.alert = True
    row.label(text="It did not work", icon="ERROR")
    row.operator("menagerie.dismiss", text="", icon="X", emboss=False).what = "ERROR"
    wrapped(box, error["sentence"])
    wrapped(box, error["remedy"])
    if error["code"] in ("backend_missing", "backend_mismatch"):
        box.operator("preferences.addon_show", text="Open Preferences", icon="PREFERENCES").module = paths.PACKAGE
    if error["code"] == "weights_missing":
        box.operator("preferences.addon_show", text="Open Preferences", icon="PREFERENCES").module = paths.PACKAGE
    about_mask = error["code"] in ("no_animal", "several_animals", "mask_unreadable")
    if about_mask and settings.of(bpy.context).kind == "CLIP":
        box.operator("menagerie.show_animal", icon="HIDE_OFF")
    elif about_mask:
        box.operator("menagerie.pick_animal", icon="EYEDROPPER")
        box.operator("menagerie.paint_mask", icon="BRUSH_DATA")
        box.operator("menagerie.load_mask", icon="FILEBROWSER")
    if error["code"] in ("internal", "protocol", "backend_killed"):
        box.operator("menagerie.copy_diagnostics", icon="COPYDOWN")


def wrapped(layout: bpy.types.UILayout, text: str, icon: str = "NONE", width: int = WRAP) -> None:
    """A sentence in as many labels of `width` characters as it needs."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    line = ""
    lines = []
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    below = "NONE" if icon == "NONE" else "BLANK1"  # so that every line begins where the first one does
    for number, part in enumerate([*lines, line]):
        column.label(text=part, icon=below if number else icon)
