"""Menagerie: from a photograph to a rigged, posed animal.

The add-on's side: panels and operators (`panels`, `ops`, `turntable`), the link to the backend's process (`link`), what turns
an asset file into Blender's objects (`scene`). It shares the wire and the asset file with the backend, never code.
"""

from __future__ import annotations

import bpy

from . import ops, panels, preferences, settings
from .clip import choices as clip_choices
from .link import batch, batch_rows, session
from .motions import made
from .ops import mask_editor, paint_mask, picking, reskin
from .panels import joint_marks, motion_assets, pictures
from .retarget import choices as retarget_choices
from .scene import watch
from .scene.gltf_export import glTF2ExportUserExtension as glTF2ExportUserExtension
from .turntable import operator as turntable_operator

CLASSES = (*ops.CLASSES, *panels.CLASSES)


def register() -> None:
    """Called by Blender when the add-on is enabled."""
    preferences.register()
    settings.register()
    clip_choices.register()
    retarget_choices.register()
    batch_rows.register()
    made.register()
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    turntable_operator.register()
    session.watch_files()
    watch.begin()
    batch.open_list()
    joint_marks.begin()
    motion_assets.begin()


def unregister() -> None:
    """Called by Blender when the add-on is disabled, and when Blender ends: the backend and every timer end with it."""
    batch.close()
    session.close()
    motion_assets.end()
    joint_marks.end()
    watch.end()
    reskin.forget()
    mask_editor.forget()
    paint_mask.forget_eraser()
    picking.close()
    turntable_operator.unregister()
    pictures.clear()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
    retarget_choices.unregister()
    batch_rows.unregister()
    made.unregister()
    clip_choices.unregister()
    settings.unregister()
    preferences.unregister()
