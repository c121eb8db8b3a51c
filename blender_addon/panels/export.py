"""Export: a button a format. The choices stand in the file window that it opens."""

from __future__ import annotations

import bpy

from ..link import session
from .main import Sidebar


class MENAGERIE_PT_export(Sidebar, bpy.types.Panel):
    """The creature for other programs."""

    bl_idname = "MENAGERIE_PT_export"
    bl_parent_id = "MENAGERIE_PT_creature"
    bl_label = "Export"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session.creature_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        grid = self.layout.row(align=True)
        for form, label in (("GLTF", "glTF"), ("FBX", "FBX"), ("USD", "USD")):
            grid.operator("menagerie.export_creature", text=label, icon="EXPORT").form = form
