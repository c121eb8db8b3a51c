"""Look through the photo's camera: the one operator that touches the scene's camera and resolution."""

from __future__ import annotations

import bpy

from ..link import session
from ..link.errors import LinkError
from ..scene import framing
from ..scene.creature import find_creature
from . import fit


class MENAGERIE_OT_use_photo_view(bpy.types.Operator):
    """Make the creature's photo camera the scene's, with the photo's resolution, and look through it"""

    bl_idname = "menagerie.use_photo_view"
    bl_label = "Use This Photo's View"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session.creature_of(context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        armature = session.creature_of(context)
        creature = find_creature(armature) if armature is not None else None
        if armature is None or creature is None or creature.camera is None:
            return fit.refuse(self, LinkError("bad_request", "This creature has no photo camera any more.", "Reconstruct the photo again."))
        size = session.read_record(armature).get("photo_size")
        if not size:
            return fit.refuse(self, LinkError("bad_request", "The photo's size is not known.", "Reconstruct the photo again."))
        scene = context.scene
        scene.camera = creature.camera
        scene.render.resolution_x, scene.render.resolution_y = size
        scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0
        if context.space_data is not None and context.space_data.type == "VIEW_3D":
            framing.look_through(context.area, creature.camera, size)
        return {"FINISHED"}
