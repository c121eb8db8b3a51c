"""Switch limbs between IK and FK without a change of pose."""

from __future__ import annotations

import bpy

from ..control import rig as rigs
from ..control import snap
from . import posing

ALL = "ALL"
"""Instead of a limb's control: all of them."""


class MENAGERIE_OT_switch_ik(bpy.types.Operator):
    """Switch between IK controls and the bones' own rotations; the pose stays"""

    bl_idname = "menagerie.switch_ik"
    bl_label = "Switch IK and FK"
    bl_options = {"REGISTER", "UNDO"}

    control: bpy.props.StringProperty(
        name="Control", description="The control bone that holds the limb's switch, or ALL", default=ALL, options={"HIDDEN"}
    )  # type: ignore[valid-type]
    to: bpy.props.EnumProperty(
        name="To", items=(("IK", "IK", "The controls show the pose"), ("FK", "FK", "The bones' own rotations show the pose")), default="IK"
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return posing.has_rig(cls, context)

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        if properties.to == "IK":
            return "Lay the IK controls onto the pose and switch to them"
        return "Write the pose into the bones' own rotations and switch to them"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return posing.pose(self, context, self.switch)

    def switch(self, context: bpy.types.Context, rig: bpy.types.Object) -> list[str]:
        """The bones whose channels changed."""
        limbs = [limb for limb in rigs.limbs_of(rig) if self.control in (limb.control, ALL)]
        return (snap.to_ik if self.to == "IK" else snap.to_fk)(context, rig, limbs)
