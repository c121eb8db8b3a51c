"""Put the creature's motion on another armature: choose it in a list, and it is baked."""

from __future__ import annotations

import bpy

from ..clip import onto
from ..retarget.bone_map import MapError, listed
from . import clipping, retargeting

shown: list[tuple[str, str, str]] = []
"""The list's items: Blender doesn't keep their texts."""


def armatures(operator: MENAGERIE_OT_use_clip_on, context: bpy.types.Context | None) -> list[tuple[str, str, str]]:
    """The other armatures of the scene."""
    rig = clipping.rig_of(context) if context is not None else None
    shown[:] = [(thing.name, thing.name, "") for thing in onto.targets(context, rig)] if rig is not None else []
    return shown


class MENAGERIE_OT_use_clip_on(bpy.types.Operator):
    """Put this creature's motion on another armature: its bones are guessed, and the motion baked as a new action there"""

    bl_idname = "menagerie.use_clip_on"
    bl_label = "Use on..."
    bl_options = {"REGISTER", "UNDO"}
    bl_property = "target"

    target: bpy.props.EnumProperty(name="Armature", items=armatures, options={"SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not clipping.has_clip(cls, context):
            return False
        if not onto.targets(context, clipping.rig_of(context)):
            cls.poll_message_set("There is no other armature in this scene")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        found = onto.targets(context, clipping.rig_of(context))
        picked = [thing for thing in found if thing.select_get()]
        if len(found) == 1 or len(picked) == 1:
            self.target = (picked or found)[0].name
            return self.execute(context)
        context.window_manager.invoke_search_popup(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        rig, target = clipping.rig_of(context), context.scene.objects.get(self.target)
        action = clipping.shown_motion(rig) if rig is not None else None
        if rig is None or target is None or action is None:
            return {"CANCELLED"}
        if target.mode == "EDIT":
            return retargeting.refuse(self, MapError("bad_request", f"{target.name} is being edited.", "Leave Edit Mode first."))
        try:
            done = onto.use_on(context, rig, action, target)
        except MapError as error:
            return retargeting.refuse(self, error)
        stays = "" if done.plays else f" {target.name} goes on playing its own action."
        note = f" Not mapped: {listed(done.rest, 4)}." if done.rest else ""
        self.report({"WARNING"} if done.unsure else {"INFO"}, said(done) + stays + note)
        return {"FINISHED"}


def said(done: onto.Onto) -> str:
    """What came of it, in a sentence."""
    if done.unsure:
        return f"Baked {done.action.name}. Not sure about {listed(done.unsure)}: look at the map in Take a Motion."
    return f"Baked {done.action.name}."
