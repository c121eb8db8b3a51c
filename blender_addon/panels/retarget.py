"""The sub-panel that takes a motion from another armature or a file: source, map, options, Preview and Bake."""

from __future__ import annotations

import bpy

from ..control.rig import ours
from ..retarget import choices, preview
from ..retarget.bone_map import listed
from .main import Sidebar, wrapped


class MENAGERIE_UL_map(bpy.types.UIList):
    """The map: the source's bones, and the creature's beside them."""

    bl_idname = "MENAGERIE_UL_map"

    def draw_item(
        self, context: bpy.types.Context, layout: bpy.types.UILayout, data: object, item: choices.MenagerieMapRow, icon: int,
        active: object, attribute: str,
    ) -> None:  # fmt: skip
        row = layout.split(factor=0.5, align=True)
        incomplete = not (item.source.strip() and item.target.strip())
        row.label(text=shortened(item.source) or f"({item.part})", icon="UNLINKED" if incomplete else "NONE")
        row.label(text=shortened(item.target) or "-")


class MENAGERIE_PT_retarget(Sidebar, bpy.types.Panel):
    """Motion from another armature or a file."""

    bl_idname = "MENAGERIE_PT_retarget"
    bl_parent_id = "MENAGERIE_PT_main"
    bl_label = "Take a Motion"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return choices.target_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        chosen, owner = choices.of(context), choices.target_of(context)
        column = self.layout.column()
        column.label(text=f"For {owner.name}", icon="ARMATURE_DATA")
        column.row(align=True).prop(chosen, "kind", expand=True)
        if chosen.kind == "FILE":
            column.prop(chosen, "path", text="")
        else:
            column.prop(chosen, "source", text="")
            column.prop(chosen, "action", text="")
        options = column.column(align=True)
        options.prop(chosen, "root")
        options.prop(chosen, "feet")
        options.prop(chosen, "stance")
        options.prop(chosen, "add_travel")
        options.prop(chosen, "limits")
        row = column.row(align=True)
        row.scale_y = 1.3
        if preview.is_on(owner):
            row.operator("menagerie.retarget_preview_end", icon="LOOP_BACK")
        else:
            row.operator("menagerie.retarget_preview", icon="HIDE_OFF")
        row.operator("menagerie.retarget_bake", icon="ACTION")
        bound = bound_bones(owner)
        if bound:
            wrapped(column, f"Constraints on {bound} bones of {owner.name} will act on top of the motion.", "INFO")


class MENAGERIE_PT_retarget_map(Sidebar, bpy.types.Panel):
    """Which bones go together."""

    bl_idname = "MENAGERIE_PT_retarget_map"
    bl_parent_id = "MENAGERIE_PT_retarget"
    bl_label = "Bone Map"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        chosen, owner = choices.of(context), choices.target_of(context)
        column = self.layout.column()
        column.operator("menagerie.retarget_guess", icon="VIEWZOOM")
        row = column.row()
        row.template_list("MENAGERIE_UL_map", "", chosen, "rows", chosen, "row", rows=6)
        buttons = row.column(align=True)
        buttons.operator("menagerie.retarget_rows", text="", icon="ADD").remove = False
        buttons.operator("menagerie.retarget_rows", text="", icon="REMOVE").remove = True
        if 0 <= chosen.row < len(chosen.rows):
            item = chosen.rows[chosen.row]
            column.prop(item, "part")
            column.prop(item, "source")
            column.prop(item, "target")
        row = column.row(align=True)
        row.operator("menagerie.retarget_load_map", icon="FILEBROWSER")
        row.operator("menagerie.retarget_save_map", icon="FILE_TICK")
        if chosen.unsure:
            wrapped(column, f"Not sure about {chosen.unsure}.", "QUESTION")
        if len(chosen.rows):
            rest = choices.left_over(context, owner)
            if rest:
                wrapped(column, f"Not mapped: {listed(rest)}.", "INFO")


def shortened(names: str) -> str:
    """Bones of a row in a word that fits the narrow list: the first, and how many follow it; "" for none."""
    bones = choices.bones_in(names)
    return bones[0] + (f" +{len(bones) - 1}" if len(bones) > 1 else "") if bones else ""


def bound_bones(rig: bpy.types.Object) -> int:
    """How many bones have constraints that act on whatever the bones play. Those of Add IK give way to it."""
    return sum(any(not one.mute and one.influence > 0 and one not in ours(bone) for one in bone.constraints) for bone in rig.pose.bones)
