"""A photo dropped into the viewport becomes the panel's photo."""

from __future__ import annotations

from contextlib import suppress

import bpy

from .. import settings

PAGE = "Menagerie"
EXTENSIONS = ".png;.jpg;.jpeg;.webp;.tif;.tiff;.bmp;.heic;.heif;.avif"


class MENAGERIE_OT_drop_photo(bpy.types.Operator):
    """Use the dropped picture as Menagerie's photo"""

    bl_idname = "menagerie.drop_photo"
    bl_label = "Photo for Menagerie"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings.of(context).photo = self.filepath
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
