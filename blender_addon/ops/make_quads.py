"""A symmetric mesh of quads for the active creature; its triangles are kept."""

from __future__ import annotations

import bpy

from .. import topology
from ..link import session
from ..link.errors import LinkError
from ..scene.creature import Creature, find_creature
from . import fit

MODE_REMEDY = "Go back to Object Mode and try again."


def meant(context: bpy.types.Context) -> Creature | None:
    """The creature that the artist means, if it is whole."""
    rig = session.creature_of(context)
    return find_creature(rig) if rig is not None else None


def check_mode(creature: Creature) -> None:
    """Raises LinkError bad_request where mesh or bones are being edited."""
    if creature.mesh.mode != "OBJECT" or creature.armature.mode == "EDIT":
        raise LinkError("bad_request", f"{creature.mesh.name} is being edited.", MODE_REMEDY)


class MENAGERIE_OT_make_quads(bpy.types.Operator):
    """Make a clean, symmetric mesh of quads with UVs, weights and the texture carried over; takes some seconds. The triangles are kept"""

    bl_idname = "menagerie.make_quads"
    bl_label = "Quads"
    bl_options = {"REGISTER", "UNDO"}

    faces: bpy.props.IntProperty(
        name="Faces", description="About how many quads", default=topology.QUADS, min=topology.FEWEST, max=topology.MOST
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.has_creature(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        creature = meant(context)
        try:
            if creature is None:
                raise LinkError("bad_request", "The creature has no mesh.", "Undo what removed it.")
            check_mode(creature)
            topology.put_on_quads(context, creature.mesh, creature.armature, self.faces)
        except LinkError as error:
            return fit.refuse(self, error)
        return {"FINISHED"}
