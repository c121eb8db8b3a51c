"""A clip dropped into the viewport becomes the panel's clip."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import settings
from ..clip import choices
from .drop_photo import show_panel

EXTENSIONS = ".mp4;.mov;.m4v;.webm;.mkv;.avi;.gif"


class MENAGERIE_OT_drop_clip(bpy.types.Operator):
    """Use the dropped movie as Menagerie's clip"""

    bl_idname = "menagerie.drop_clip"
    bl_label = "Clip for Menagerie"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        dropped = [Path(self.directory) / element.name for element in self.files if element.name]
        if not (self.filepath or dropped):
            return {"CANCELLED"}
        take_clip(context, self.filepath or str(dropped[0]))
        if len(dropped) > 1:
            self.report({"INFO"}, "One clip at a time: the first one was taken")
        return {"FINISHED"}


def take_clip(context: bpy.types.Context, path: str) -> None:
    """Make it the panel's clip, and show its settings."""
    choices.of(context).path = path
    settings.of(context).kind = "CLIP"
    if context.area is not None and context.area.type == "VIEW_3D":
        show_panel(context.area)


class MENAGERIE_FH_clip(bpy.types.FileHandler):
    """Clips, dropped into the viewport."""

    bl_idname = "MENAGERIE_FH_clip"
    bl_label = "Clip for Menagerie"
    bl_import_operator = "menagerie.drop_clip"
    bl_file_extensions = EXTENSIONS

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"
