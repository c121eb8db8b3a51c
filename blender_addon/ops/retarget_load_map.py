"""Load a map of bones from JSON."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..retarget import bone_map, choices
from ..retarget.bone_map import MAX_BYTES, MapError
from . import retargeting


class MENAGERIE_OT_retarget_load_map(bpy.types.Operator):
    """Load a map of bones that Save Map has written"""

    bl_idname = "menagerie.retarget_load_map"
    bl_label = "Load Map"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})  # type: ignore[valid-type]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            found = bone_map.from_json(data.decode("utf-8") if len(data) <= MAX_BYTES else "")
        except (OSError, UnicodeDecodeError):
            reason = MapError("map_unreadable", f"{path.name} cannot be read.", "Choose a file that Save Map has written.")
            return retargeting.refuse(self, reason)
        except MapError as error:
            return retargeting.refuse(self, error)
        choices.write_map(context, found)
        choices.redo(choices.of(context), context)
        return {"FINISHED"}
