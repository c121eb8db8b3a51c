"""Choose a mask's file."""

from __future__ import annotations

import bpy

from .. import settings


class MENAGERIE_OT_load_mask(bpy.types.Operator):
    """Use a picture as the mask: its transparency, or else its brightness, covers the animal"""

    bl_idname = "menagerie.load_mask"
    bl_label = "Load Mask"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = settings.of(context)
        chosen.mask_path, chosen.mask_kind = self.filepath, "FILE"
        return {"FINISHED"}
