"""The pose that is seen as an asset of the pose library."""

from __future__ import annotations

import bpy

from ..control import pose_asset
from ..scene.creature import find_creature
from . import posing


class MENAGERIE_OT_save_pose(bpy.types.Operator):
    """Save the creature's pose as an asset with a picture, for the pose library. It fits every quadruped of Menagerie"""

    bl_idname = "menagerie.save_pose"
    bl_label = "Save Pose"
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.StringProperty(name="Name", description="Name of the pose in the asset browser")  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return posing.has_rig(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        rig = posing.rig_of(context)
        self.name = f"{rig.name} pose" if rig is not None else ""
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return posing.pose(self, context, self.save)

    def save(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        """Make the asset and tell its name, which Blender numbers where there is one of that name."""
        creature = find_creature(rig)
        action = pose_asset.save_pose(context, rig, None if creature is None else creature.mesh, self.name or f"{rig.name} pose")
        self.report({"INFO"}, f"Saved {action.name}")
