"""Put an error or a waiting result away."""

from __future__ import annotations

import bpy

from ..link import session


class MENAGERIE_OT_dismiss(bpy.types.Operator):
    """Put this message away"""

    bl_idname = "menagerie.dismiss"
    bl_label = "Dismiss"

    what: bpy.props.EnumProperty(
        items=(("ERROR", "Error", ""), ("RESULT", "Result", "")), options={"HIDDEN", "SKIP_SAVE"}
    )  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.what == "ERROR":
            session.state.error = None
        elif session.state.ready:
            session.state.ready.pop()
        return {"FINISHED"}
