"""The panel "Posing" below the creature: whole poses, pose assets, IK with a switch for each limb."""

from __future__ import annotations

import bpy

from ..control import rig as rigs
from ..control.limbs import SWITCH, Leg
from ..control.snap import switch_of
from ..ops.posing import rig_of
from .main import Sidebar, wrapped

WIDE = 0.68
"""Of a limb's row, what its slider takes; the rest is the button's."""
SIDES = {"L": "Left", "R": "Right"}


class MENAGERIE_PT_posing(Sidebar, bpy.types.Panel):
    """Poses and IK of the creature that is meant."""

    bl_idname = "MENAGERIE_PT_posing"
    bl_parent_id = "MENAGERIE_PT_creature"
    bl_label = "Posing"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return rig_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        rig = rig_of(context)
        if rig is None:
            return
        layout = self.layout
        row = layout.row(align=True)
        row.operator("menagerie.rest_pose", text="Rest")
        row.operator("menagerie.photo_pose", text="Photo")
        row.operator("menagerie.mirror_pose", text="Mirror")
        layout.operator("menagerie.save_pose", icon="ASSET_MANAGER")
        if not rigs.has_controls(rig):
            layout.operator("menagerie.add_ik", icon="CON_KINEMATIC")
            return
        if rigs.is_stale(rig):
            wrapped(layout, "The bones rest elsewhere than the controls", "INFO")
            layout.operator("menagerie.refit_ik", icon="FILE_REFRESH")
        draw_switches(layout, rig)
        layout.operator("menagerie.remove_ik", icon="X")


def draw_switches(layout: bpy.types.UILayout, rig: bpy.types.Object) -> None:
    """A slider a limb from FK to IK, and a button that switches without a change of pose."""
    column = layout.column(align=True)
    for limb in rigs.limbs_of(rig):
        bone = rig.pose.bones[limb.control]
        row = column.split(factor=WIDE, align=True)  # else the limb's name is cut off
        row.prop(bone, f'["{SWITCH}"]', text=label(limb.name) if isinstance(limb, Leg) else "Head", slider=True)
        to = "FK" if switch_of(rig, limb) > 0.5 else "IK"
        button = row.operator("menagerie.switch_ik", text=f"To {to}")
        button.control, button.to = limb.control, to
    row = column.row(align=True)
    for to in ("IK", "FK"):
        button = row.operator("menagerie.switch_ik", text=f"All to {to}")
        button.control, button.to = "ALL", to


def label(leg: str) -> str:
    """`front leg.L` -> `Front Left`."""
    kind, side = leg.split(" leg.")
    return f"{kind.capitalize()} {SIDES[side]}"
