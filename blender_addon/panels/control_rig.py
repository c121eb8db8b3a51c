"""The control rig: made, its legs switched, its controls shown and hidden, baked, removed. No script of Rigify's is needed for this."""

from __future__ import annotations

import bpy

from ..control.rigify import addon, legs, names, skeleton
from ..link import session
from ..scene.creature import control_rig_of
from .main import Sidebar, wrapped


class MENAGERIE_PT_control_rig(Sidebar, bpy.types.Panel):
    """Rigify's controls for the creature."""

    bl_idname = "MENAGERIE_PT_control_rig"
    bl_parent_id = "MENAGERIE_PT_creature"
    bl_label = "Control Rig"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session.creature_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        rig = session.creature_of(context)
        control = control_rig_of(rig)
        column = self.layout.column()
        if control is not None:
            draw_legs(column, control)
            draw_collections(column, control)
            column.operator("menagerie.bake_control_rig", icon="ACTION")
        else:
            column.operator("menagerie.make_control_rig", icon="ARMATURE_DATA")
            if not addon.is_enabled():
                wrapped(column, "Switches on Rigify, which comes with Blender", "INFO")
        if control is not None or skeleton.ties(rig):
            column.operator("menagerie.remove_control_rig", icon="X")


def draw_legs(layout: bpy.types.UILayout, control: bpy.types.Object) -> None:
    """A row a leg: IK or FK; in IK how far it stretches and whether a control points the knee."""
    for leg in names.LEGS:
        row = layout.row(align=True)
        row.label(text=leg.capitalize())
        fk = legs.is_fk(control, leg)
        for kind in ("IK", "FK"):
            button = row.operator("menagerie.switch_leg", text=kind, depress=fk == (kind == "FK"))
            button.leg, button.to = leg, kind
        bone = control.pose.bones[names.switch_bone(leg)]
        row.prop(bone, f'["{legs.POLE}"]', text="", icon="CON_TRACKTO", toggle=True)
    row = layout.row(align=True)
    for kind in ("IK", "FK"):
        button = row.operator("menagerie.switch_leg", text=f"All {kind}")
        button.leg, button.to = "ALL", kind


def draw_collections(layout: bpy.types.UILayout, control: bpy.types.Object) -> None:
    """Which controls are in view."""
    grid = layout.grid_flow(columns=2, row_major=True, align=True)
    for collection in control.data.collections_all:
        if not collection.name.startswith(("ORG", "MCH", "DEF")):
            grid.prop(collection, "is_visible", text=collection.name, toggle=True)
