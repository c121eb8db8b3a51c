"""The rows of the batch's list as Blender's `UIList` wants them: a collection property. It holds names and marks only; what rows say is
read from `batch.entries()` by their index. It stands on the window manager, which undo leaves alone."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from .batch_list import Entry


class MenagerieBatchRow(bpy.types.PropertyGroup):
    """One row; its name is the photo's. out: of its entry; marked: chosen with others, to be joined."""

    out: bpy.props.StringProperty()  # type: ignore[valid-type]
    marked: bpy.props.BoolProperty(
        name="Mark", description="Mark this photo and others of the same animal, to make one creature from them", default=False
    )  # type: ignore[valid-type]


def rows() -> bpy.types.bpy_prop_collection | None:
    """The rows, None while the add-on is not registered or Blender reads a file."""
    manager = bpy.context.window_manager
    return getattr(manager, "menagerie_batch", None)


def show(entries: Sequence[Entry]) -> None:
    """As many rows as entries, with their names."""
    shown = rows()
    if shown is None:
        return
    marks = {row.out for row in shown if row.marked}
    while len(shown) > len(entries):
        shown.remove(len(shown) - 1)
    while len(shown) < len(entries):
        shown.add()
    for row, entry in zip(shown, entries, strict=True):
        if row.name != entry.name:
            row.name = entry.name
        if row.out != entry.out:
            row.out, row.marked = entry.out, entry.out in marks


def marked() -> list[int]:
    """The rows that are marked."""
    return [number for number, row in enumerate(rows() or ()) if row.marked]


def unmark() -> None:
    """Take every mark away."""
    for row in rows() or ():
        row.marked = False


def active() -> int:
    """The row that the artist has chosen."""
    return int(bpy.context.window_manager.menagerie_batch_active)


def register() -> None:
    bpy.utils.register_class(MenagerieBatchRow)
    bpy.types.WindowManager.menagerie_batch = bpy.props.CollectionProperty(type=MenagerieBatchRow)
    bpy.types.WindowManager.menagerie_batch_active = bpy.props.IntProperty(name="Photo", default=0, min=0)


def unregister() -> None:
    del bpy.types.WindowManager.menagerie_batch_active
    del bpy.types.WindowManager.menagerie_batch
    bpy.utils.unregister_class(MenagerieBatchRow)
