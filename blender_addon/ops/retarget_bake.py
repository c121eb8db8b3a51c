"""Bake the chosen motion into one new action of the creature."""

from __future__ import annotations

import bpy

from .. import compat
from ..control import ik
from ..retarget import baking, choices, preview
from ..retarget.bone_map import MapError, listed
from ..scene import joints
from . import retargeting


class MENAGERIE_OT_retarget_bake(bpy.types.Operator):
    """Write the motion into one new action. A creature that plays nothing plays it; one that plays an action of yours goes on with it"""

    bl_idname = "menagerie.retarget_bake"
    bl_label = "Bake"
    bl_options = {"REGISTER", "UNDO"}

    replace: bpy.props.BoolProperty(
        name="Play It", description="Play the new action also where the creature plays another one, which is kept", default=False
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return retargeting.has_both(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        owner = choices.target_of(context)
        try:
            rig, played, result = choices.transfer(context, owner)
        except MapError as error:
            return retargeting.refuse(self, error)
        if preview.is_on(owner):
            preview.end(owner)
        action = baking.write_action(owner, rig, played, result, f"{owner.name} {played.name}")
        action.use_fake_user = True
        own = owner.animation_data.action if owner.animation_data is not None else None
        if own is None or self.replace:
            if own is not None:
                own.use_fake_user = True
            ik.follow_channels(context, owner)
            compat.assign_action(owner, action)
            joints.put_away(owner)
        rest = choices.left_over(context, owner)
        stays = "" if own is None or self.replace else f" {owner.name} goes on playing {own.name}."
        note = f" Not mapped: {listed(rest, 4)}." if rest else ""
        self.report({"INFO"}, f"Baked {action.name}, {len(played.frames)} frames.{stays}{note}")
        return {"FINISHED"}
