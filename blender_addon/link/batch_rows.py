"""The rows of the batch's list as Blender's `UIList` wants them: a collection property. It holds names only; what they say is read from
`batch.entries()` by the row's index. It stands on the window manager, which undo leaves alone."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from .batch_list import Entry


class MenagerieBatchRow(bpy.types.PropertyGroup):
    """One row; its name is the photo's."""


def rows() -> bpy.types.bpy_prop_collection | None:
    """The rows, None while the add-on is not registered or Blender reads a file."""
    manager = bpy.context.window_manager
    return getattr(manager, "menagerie_batch", None)


def show(entries: Sequence[Entry]) -> None:
    """As many rows as entries, with their names."""
    shown = rows()
    if shown is None:
        return
    while len(shown) > len(entries):
        shown.remove(len(shown) - 1)
    while len(shown) < len(entries):
        shown.add()
    for row, entry in zip(shown, entries, strict=True):
        if row.name != entry.name:
            row.name = entry.name


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
