"""Lay the creature's joints over its photo, as handles that can be dragged."""

from __future__ import annotations

import bpy

from ..link import session
from ..link.errors import LinkError
from ..scene import framing, joints, watch
from ..scene.creature import Creature, find_creature
from . import fit


class MENAGERIE_OT_show_joints(bpy.types.Operator):
    """Lay the joints over the photo. Drag with G, seen through the photo's camera, those that are wrong, then press Refit"""

    bl_idname = "menagerie.show_joints"
    bl_label = "Show Joints"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        rig = session.creature_of(context)
        if session.read_record(rig).get("method") == "animate":
            cls.poll_message_set("Joints are dragged over a photo; pose a clip's creature by its bones")
            return False
        return rig is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        rig = session.creature_of(context)
        creature = find_creature(rig) if rig is not None else None
        record = session.read_record(rig)
        if creature is None or creature.camera is None:
            return fit.refuse(self, LinkError("bad_request", "This creature has no photo camera any more.", "Reconstruct the photo again."))
        if not record.get("joints") or not record.get("photo_size"):
            return fit.refuse(self, LinkError("bad_request", "It isn't known where the photo shows the joints.", "Press Update first."))
        watch.tidy()
        if not joints.bring_back(creature):
            joints.lay(creature, record)
        if context.space_data is not None and context.space_data.type == "VIEW_3D" and context.scene.camera == creature.camera:
            if context.space_data.region_3d.view_perspective != "CAMERA":
                framing.look_through(context.area, creature.camera, record["photo_size"])
        return {"FINISHED"}


def shown(context: bpy.types.Context) -> tuple[Creature, list[bpy.types.Object]] | None:
    """The creature that is meant and its handles, if they are shown."""
    if not joints.any_shown():
        return None
    rig = session.creature_of(context)
    creature = find_creature(rig) if rig is not None else None
    things = joints.handles(creature) if creature is not None else []
    if creature is not None and all(home.hide_viewport for home in joints.homes_of(creature)):
        return None
    return (creature, things) if creature is not None and things else None
