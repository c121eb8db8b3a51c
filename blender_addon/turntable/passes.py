"""The dress of each pass: copies of the meshes enter (`shown`); objects on the stage leave, with what the pass adds.

TEXTURE shows the materials. CLAY is a plain grey. WIREFRAME lays every edge over the clay as a thin dark bar. NORMALS is Workbench's
normal matcap. SKELETON draws each bone as a solid octahedron in its group's colour inside a body of glass.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from .. import compat
from .shown import Bone, Moment, palette_colour
from .stage import NAME, Framing, Stage

CLAY = (0.42, 0.39, 0.36)
INK = (0.03, 0.03, 0.035)
GLASS = (0.75, 0.77, 0.8, 0.22)
"""Linear colours; the last with how much of it is seen."""
BAR = 0.0011
"""Thickness of an edge, of the camera's distance."""
LIFT = 0.4
"""How far an edge stands out, of its thickness."""
THICK = 0.12
"""Half a bone's greatest width, of its length; there it is this far along:"""
WAIST = 0.18
SLIM, STOUT = 0.016, 0.03
"""And of the creature's height at least and at most: a short bone is to be seen, and a long one is no club."""
STUBBY = 0.3
"""But of its length at most."""

OCTAHEDRON = np.array([[0, 2, 1], [0, 3, 2], [0, 4, 3], [0, 1, 4], [5, 1, 2], [5, 2, 3], [5, 3, 4], [5, 4, 1]])
"""Faces over head, four corners of the waist, tail."""


def dress(stage: Stage, meshes: Sequence[bpy.types.Mesh], moment: Moment, framing: Framing) -> None:
    """Put the copies onto the stage; they and what is added go with it."""
    for mesh in meshes:
        stage.keep(mesh)
        thing = stage.place(NAME, mesh)
        if stage.name in ("CLAY", "WIREFRAME"):
            wear(stage, thing, CLAY)
        elif stage.name == "SKELETON":
            thing.color = GLASS
        if stage.name == "WIREFRAME":
            add_wires(stage, mesh, framing)
    if stage.name == "SKELETON":
        add_bones(stage, moment.bones, framing)


def wear(stage: Stage, thing: bpy.types.Object, colour: tuple[float, float, float]) -> None:
    """One plain colour in any engine."""
    thing.color = (*colour, 1.0)
    material = stage.keep(bpy.data.materials.new(NAME))
    compat.use_material_nodes(material)
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value, shader.inputs["Roughness"].default_value = (*colour, 1.0), 0.7
    thing.data.materials.clear()
    thing.data.materials.append(material)


def add_wires(stage: Stage, mesh: bpy.types.Mesh, framing: Framing) -> None:
    """Every edge of the mesh as a bar."""
    wires = stage.place(NAME + " Wires", stage.keep(mesh.copy()))
    wear(stage, wires, INK)
    modifier = wires.modifiers.new("Wires", "WIREFRAME")
    modifier.thickness = BAR * framing.distance
    modifier.offset, modifier.use_even_offset = LIFT, False


def add_bones(stage: Stage, bones: Sequence[Bone], framing: Framing) -> None:
    """One mesh a colour."""
    for group in sorted({bone.group for bone in bones}):
        parts = [octahedron(bone, framing.height) for bone in bones if bone.group == group]
        faces = np.concatenate([OCTAHEDRON + 6 * number for number in range(len(parts))])
        mesh = stage.keep(bpy.data.meshes.new(f"{NAME} {group}"))
        mesh.from_pydata(np.concatenate(parts).tolist(), [], faces.tolist())
        thing = stage.place(mesh.name, mesh)
        thing.color = (*palette_colour(group), 1.0)


def octahedron(bone: Bone, height: float) -> np.ndarray:
    """(6, 3) head, waist, tail, as Blender draws bones. height: of the creature."""
    along = bone.tail - bone.head
    length = max(float(np.linalg.norm(along)), 1e-9)
    half = min(max(THICK * length, SLIM * height), STOUT * height, STUBBY * length)
    across = bone.width / max(float(np.linalg.norm(bone.width)), 1e-9) * half
    beside = np.cross(along / length, across)
    waist = bone.head + along * WAIST
    return np.stack([bone.head, waist + across, waist + beside, waist - across, waist - beside, bone.tail])
