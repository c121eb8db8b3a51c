"""Add a row to the map of bones, or take one away."""

from __future__ import annotations

import bpy

from ..retarget import choices


class MENAGERIE_OT_retarget_rows(bpy.types.Operator):
    """Add a row to the map, or remove the chosen one"""

    bl_idname = "menagerie.retarget_rows"
    bl_label = "Map Row"
    bl_options = {"REGISTER", "UNDO"}

    remove: bpy.props.BoolProperty(default=False, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = choices.of(context)
        if not self.remove:
            parts = {row.part for row in chosen.rows}
            row = chosen.rows.add()
            row.part = next(name for number in range(1, len(parts) + 2) if (name := f"part {number}") not in parts)
            chosen.row = len(chosen.rows) - 1
        elif 0 <= chosen.row < len(chosen.rows):
            chosen.rows.remove(chosen.row)
            chosen.row = max(min(chosen.row, len(chosen.rows) - 1), 0)
            choices.redo(chosen, context)
        return {"FINISHED"}
