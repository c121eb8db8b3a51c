"""Hand a leg of the control rig over to IK or FK, in the pose it stands in."""

from __future__ import annotations

import bpy

from ..control.rigify import legs, names
from ..link import session
from ..scene.creature import control_rig_of

FAR = 0.01
"""Of the body's length: what a joint may go on switching without a word about it."""


class MENAGERIE_OT_switch_leg(bpy.types.Operator):
    """Hand the leg over where it stands. IK: a control at the foot; FK: each bone turns by itself"""

    bl_idname = "menagerie.switch_leg"
    bl_label = "Switch Leg"
    bl_options = {"REGISTER", "UNDO"}

    leg: bpy.props.EnumProperty(
        name="Leg", items=[(leg, leg.capitalize(), "") for leg in names.LEGS] + [("ALL", "All Legs", "")], default="ALL"
    )  # type: ignore[valid-type]
    to: bpy.props.EnumProperty(
        name="To", items=(("IK", "IK", "A control at the foot moves the leg"), ("FK", "FK", "Each bone turns by itself"))
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        control = control_rig_of(session.creature_of(context))
        if control is None:
            cls.poll_message_set("Make a control rig first")
            return False
        if control.name not in context.view_layer.objects:
            cls.poll_message_set("The control rig is not in this view layer")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        control = control_rig_of(session.creature_of(context))
        chosen = list(names.LEGS) if self.leg == "ALL" else [self.leg]
        went = {leg: legs.switch(control, leg, self.to == "FK") for leg in chosen if legs.is_fk(control, leg) != (self.to == "FK")}
        far = [leg for leg, distance in went.items() if distance > FAR * legs.body_length(control)]
        if far:  # it was stretched or pulled out of reach
            self.report({"WARNING"}, f"{self.to} comes as near as it can: {', '.join(far)} moved a little")
        return {"FINISHED"}
