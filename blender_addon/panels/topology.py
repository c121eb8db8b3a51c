"""The sidebar's sub-panel "Topology": triangles or quads."""

from __future__ import annotations

import bpy

from .. import topology
from ..link import session
from ..scene.creature import find_creature
from .main import Sidebar


class MENAGERIE_PT_topology(Sidebar, bpy.types.Panel):
    """Which mesh the creature wears."""

    bl_idname = "MENAGERIE_PT_topology"
    bl_parent_id = "MENAGERIE_PT_creature"
    bl_label = "Topology"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        rig = session.creature_of(context)
        creature = find_creature(rig) if rig is not None else None
        if creature is None:
            return
        body, column = creature.mesh, self.layout.column()
        quads, spare = topology.wears_quads(body), topology.spare_of(body)
        kind = "quads" if quads else "triangles"
        column.label(text=f"{len(body.data.polygons):,} {kind}", icon="MESH_GRID" if quads else "MESH_DATA")
        if spare is not None:
            column.operator("menagerie.swap_topology", text="Back to Triangles" if quads else "Back to Quads", icon="ARROW_LEFTRIGHT")
        column.operator("menagerie.make_quads", text="Quads" if spare is None else "Make Quads Anew", icon="MESH_GRID")
