"""In the Asset Browser: a ready motion that is chosen there goes to the creature, by a button at the side or the context menu."""

from __future__ import annotations

import bpy

from ..motions import apply, assets


class MENAGERIE_PT_motion_asset(bpy.types.Panel):
    """For a ready motion that is chosen."""

    bl_idname = "MENAGERIE_PT_motion_asset"
    bl_label = "Menagerie"
    bl_space_type = "FILE_BROWSER"
    bl_region_type = "TOOL_PROPS"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_motion(context)

    def draw(self, context: bpy.types.Context) -> None:
        rig = apply.rig_of(context)
        column = self.layout.column()
        column.label(text=f"For {rig.name}" if rig is not None else "Select a creature", icon="ARMATURE_DATA")
        row = column.row()
        row.scale_y = 1.5
        row.operator("menagerie.apply_motion_asset", text="Apply Motion", icon="PLAY")


def is_motion(context: bpy.types.Context) -> bool:
    """Whether one of our motions is chosen in an Asset Browser."""
    return bool(assets.motion_of(getattr(context, "asset", None)))


def draw_menu(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    """In the Asset Browser's context menu."""
    if is_motion(context):
        menu.layout.operator("menagerie.apply_motion_asset", icon="PLAY")
        menu.layout.separator()


def begin() -> None:
    """Add ours to Blender's menu."""
    bpy.types.ASSETBROWSER_MT_context_menu.prepend(draw_menu)


def end() -> None:
    """Take it out again."""
    bpy.types.ASSETBROWSER_MT_context_menu.remove(draw_menu)
