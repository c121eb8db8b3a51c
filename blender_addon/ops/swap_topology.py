"""From quads back to triangles, and again to quads: both meshes are kept."""

from __future__ import annotations

import bpy

from .. import topology
from ..link.errors import LinkError
from . import fit
from .make_quads import check_mode, meant


class MENAGERIE_OT_swap_topology(bpy.types.Operator):
    """Show the creature's other mesh; nothing of either is lost"""

    bl_idname = "menagerie.swap_topology"
    bl_label = "Back to Triangles"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        creature = meant(context)
        return fit.idle() and creature is not None and topology.spare_of(creature.mesh) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        creature = meant(context)
        try:
            if creature is None or topology.spare_of(creature.mesh) is None:
                raise LinkError("bad_request", "The creature has one mesh only.", "Press Quads first.")
            check_mode(creature)
        except LinkError as error:
            return fit.refuse(self, error)
        topology.swap(creature.mesh)
        return {"FINISHED"}
