"""Put all ready motions into the Asset Browser, none of them applied."""

from __future__ import annotations

import bpy

from .. import paths
from ..link.errors import LinkError
from ..motions import assets
from . import fit


class MENAGERIE_OT_add_motion_library(bpy.types.Operator):
    """List all ready motions as an asset library in the preferences, with pictures. They are written into the add-on's own folder"""

    bl_idname = "menagerie.add_motion_library"
    bl_label = "Add Motions to Asset Browser"
    bl_options = {"REGISTER"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = paths.user_folder("assets", "motions")
        try:
            count = assets.write(context, folder)
        except LinkError as error:
            return fit.refuse(self, error)
        name = assets.register_library(context, folder)
        refresh(context)
        self.report({"INFO"}, f'{count} motions are in the Asset Browser, library "{name}"')
        return {"FINISHED"}


def refresh(context: bpy.types.Context) -> None:
    """Let open Asset Browsers look again."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.ui_type == "ASSETS":
                with context.temp_override(window=window, area=area):
                    bpy.ops.asset.library_refresh()
