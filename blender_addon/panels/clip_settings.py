"""What the main panel asks of a clip: which one, from where to where, and how its camera moves; and what can be chosen besides."""

from __future__ import annotations

import bpy

from .. import compat, settings
from ..clip import choices, source
from . import pictures

PICTURE_SCALE = 5.0
"""Of a frame's picture, in the interface's units: two stand side by side in a narrow sidebar."""


def draw(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The clip's part of the panel."""
    chosen = choices.of(context)
    column.prop(chosen, "path", text="", **compat.hint("Clip of an animal"))
    path = choices.path_of(chosen)
    if path is not None:
        draw_clip(column, chosen)
        if path.is_dir():
            column.prop(chosen, "rate")
    column.label(text="Camera")
    column.row(align=True).prop(chosen, "camera", expand=True)
    column.prop(chosen, "loop")


def draw_options(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What most clips need not be asked."""
    chosen = choices.of(context)
    column.prop(chosen, "stride")
    column.prop(chosen, "masks")
    column.row(align=True).prop(chosen, "keys", expand=True)
    if chosen.keys == "REDUCED":
        within = column.column(align=True)
        within.prop(chosen, "angle")
        within.prop(chosen, "place")
    column.prop(settings.of(context), "seed")


def draw_clip(column: bpy.types.UILayout, chosen: choices.MenagerieClip) -> None:
    """Size and length, and the frames where the motion begins and ends with the fields that choose them."""
    path = choices.path_of(chosen)
    source.look_soon(path)
    seen, length = source.seen(path), choices.length_of(chosen)
    if seen is None:
        column.label(text="No preview of this clip" if source.state.failed else "Looking at the clip", icon="INFO")
    else:
        size = f"{seen.width} x {seen.height}, " if seen.width else ""
        column.label(text=f"{size}{length:.1f} s, {seen.frames} frames", icon="FILE_MOVIE")
    start, end = choices.stretch_of(chosen)
    row = column.row(align=True)
    for name, seconds in (("start", start), ("end", end)):
        cell = row.column(align=True)
        shown = source.picture(path, seconds / length if length else float(name == "end"))
        if shown is not None:
            # Small ones of ours are read at once; a folder's own may be large, and Blender reads them beside.
            cell.template_icon(pictures.icon(str(shown), now=not path.is_dir()), scale=PICTURE_SCALE)
        # 0 stands for the clip's own end: the picture above it shows that one.
        cell.prop(chosen, name, **({"text": "Clip's End"} if name == "end" and not chosen.end else {}))
    if length:
        taken = max(end - start, 0.0)
        count = max(1, round(taken * (seen.fps or chosen.rate) / chosen.stride)) if seen is not None else 0
        column.label(text=f"{taken:.1f} s, {count} frames to look at", icon="TIME")
