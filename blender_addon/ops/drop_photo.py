"""A photo dropped into the viewport becomes the panel's photo; several become the batch's. A WebP that moves is a clip."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import bpy

from .. import settings
from ..clip import source
from ..link import batch
from ..link.errors import LinkError
from . import fit

PAGE = "Menagerie"
EXTENSIONS = ".png;.jpg;.jpeg;.webp;.tif;.tiff;.bmp;.heic;.heif;.avif"


class MENAGERIE_OT_drop_photo(bpy.types.Operator):
    """Use the dropped picture as Menagerie's photo; several are added to the batch"""

    bl_idname = "menagerie.drop_photo"
    bl_label = "Photo for Menagerie"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        dropped = [Path(self.directory) / element.name for element in self.files if element.name]
        if len(dropped) > 1:
            try:
                batch.add(context, dropped)
            except LinkError as error:
                return fit.refuse(self, error)
        else:
            path = self.filepath or str(dropped[0])
            if source.moves(Path(path)):
                bpy.ops.menagerie.drop_clip(filepath=path)
                return {"FINISHED"}
            settings.of(context).photo = path
            settings.of(context).kind = "PHOTO"
        if context.area is not None and context.area.type == "VIEW_3D":
            show_panel(context.area)
        return {"FINISHED"}


def show_panel(area: bpy.types.Area) -> None:
    """Open the viewport's sidebar at our page; one that was closed has no pages yet and opens where it was."""
    area.spaces.active.show_region_ui = True
    for region in area.regions:
        if region.type == "UI":
            region.tag_redraw()
            with suppress(AttributeError, TypeError):
                region.active_panel_category = PAGE


class MENAGERIE_FH_photo(bpy.types.FileHandler):
    """Photos, dropped into the viewport."""

    bl_idname = "MENAGERIE_FH_photo"
    bl_label = "Photo for Menagerie"
    bl_import_operator = "menagerie.drop_photo"
    bl_file_extensions = EXTENSIONS

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"
