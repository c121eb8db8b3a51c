"""Save the map of bones as JSON."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..retarget import bone_map, choices
from ..retarget.bone_map import MapError
from . import retargeting


class MENAGERIE_OT_retarget_save_map(bpy.types.Operator):
    """Save the map of bones to a file, for other sources with the same bones"""

    bl_idname = "menagerie.retarget_save_map"
    bl_label = "Save Map"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return len(choices.of(context).rows) > 0

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.filepath = self.filepath or "bone map.json"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(bpy.path.ensure_ext(self.filepath, ".json")))
        try:
            path.write_text(bone_map.to_json(choices.map_of(context)), encoding="utf-8")
        except OSError as error:
            reason = MapError("map_unwritable", f"{path.name} cannot be written: {error.strerror}.", "Choose another folder.")
            return retargeting.refuse(self, reason)
        return {"FINISHED"}
