"""What a turntable shows: the artist's meshes and armatures enter; plain copies of them leave, at one moment of their motion.

Held, the pose is the one that stands now, hand-set bones too, taken down when the turntable begins: what the artist does to the bones
meanwhile is not seen. Played, each moment is evaluated on twins in a scene made for it, so that the artist's keeps its frame and pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from ..scene.bone_groups import PALETTES, group_of
from .stage import NAME, Look

FRAMING_MOMENTS = 24
"""At how many moments of a motion its bounds are taken, at most."""


@dataclass(frozen=True)
class Bone:
    """head, tail: (3,) world; width: (3,) world, along the bone's X axis, as long as the bone; group: of `bone_groups`."""

    head: np.ndarray
    tail: np.ndarray
    width: np.ndarray
    group: str


@dataclass(frozen=True)
class Moment:
    """places: for each mesh (v, 3) world positions; bones: those that deform."""

    places: tuple[np.ndarray, ...]
    bones: tuple[Bone, ...]


def moment_now(objects: Sequence[bpy.types.Object], depsgraph: bpy.types.Depsgraph) -> Moment:
    """How a dependency graph has the objects."""
    bones = [bone for thing in objects if thing.type == "ARMATURE" for bone in posed_bones(thing.evaluated_get(depsgraph))]
    return Moment(tuple(places_of(thing.evaluated_get(depsgraph)) for thing in objects if thing.type == "MESH"), tuple(bones))


class Source:
    """Twins of the objects in a scene of their own, to be evaluated at any time; `remove` removes them.

    Linking an object to another scene would evaluate its action anew where it stands, and a pose set by hand over that action would
    be lost: so twins, and of all that they hang on too.
    """

    def __init__(self, objects: Sequence[bpy.types.Object]) -> None:
        self.scene = bpy.data.scenes.new(NAME + " Source")
        everything = list(dict.fromkeys([*objects, *relatives(objects)]))
        twins = {thing: thing.copy() for thing in everything}
        self._twins = list(twins.values())
        self._shown = [twins[thing] for thing in objects]
        for twin in self._twins:
            twin.hide_viewport = False
            self.scene.collection.objects.link(twin)
            for holder, name, thing in links_of(twin):
                setattr(holder, name, twins.get(thing, thing))  # what an object names of itself, its copy names of the copy
        self.layer = self.scene.view_layers[0]

    def at(self, frame: float) -> Moment:
        """The moment at a frame of the objects' actions."""
        self.scene.frame_set(int(np.floor(frame)), subframe=frame % 1)
        self.layer.update()
        return moment_now(self._shown, self.layer.depsgraph)

    def copies(self, moment: Moment) -> list[bpy.types.Mesh]:
        """A mesh datablock for each mesh as the moment has it, used by nothing. Raises ValueError where one has changed since."""
        self.layer.update()
        made: list[bpy.types.Mesh] = []
        for thing, places in zip([twin for twin in self._shown if twin.type == "MESH"], moment.places, strict=True):
            shown = thing.evaluated_get(self.layer.depsgraph)
            copy = bpy.data.meshes.new_from_object(shown, depsgraph=self.layer.depsgraph)
            made.append(copy)
            if len(copy.vertices) != len(places):
                bpy.data.batch_remove(made)
                raise ValueError(f"{thing.data.name} has changed")
            if shown.matrix_world.determinant() < 0:
                copy.flip_normals()
            copy.vertices.foreach_set("co", places.astype(np.float32).ravel())
            copy.update()
        return made

    def remove(self) -> None:
        """Remove the scene and the twins."""
        bpy.data.batch_remove([self.scene, *self._twins])


def links_of(thing: bpy.types.Object) -> list[tuple[bpy.types.bpy_struct, str, bpy.types.Object]]:
    """Where an object names another that it hangs on: (holder, property, the other)."""
    bones = list(thing.pose.bones) if thing.pose is not None else []
    holders = [thing, *thing.modifiers, *thing.constraints, *(constraint for bone in bones for constraint in bone.constraints)]
    found = []
    for holder in holders:
        for kind in holder.bl_rna.properties if holder is not thing else [thing.bl_rna.properties["parent"]]:
            if kind.type == "POINTER" and not kind.is_readonly and isinstance(other := getattr(holder, kind.identifier), bpy.types.Object):
                found.append((holder, kind.identifier, other))
    animation = thing.animation_data
    for curve in animation.drivers if animation is not None else []:
        for target in (target for variable in curve.driver.variables for target in variable.targets):
            if isinstance(target.id, bpy.types.Object):
                found.append((target, "id", target.id))
    return found


def relatives(objects: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    """All that the objects hang on: parents, and what modifiers, constraints and drivers name."""
    found: list[bpy.types.Object] = []
    waiting = list(objects)
    while waiting:
        fresh = [other for _, _, other in links_of(waiting.pop()) if other not in found]
        found += fresh
        waiting += fresh
    return found


def places_of(posed: bpy.types.Object) -> np.ndarray:
    """(v, 3) float64 world positions of an evaluated mesh object."""
    mesh = posed.to_mesh()
    flat = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", flat)
    posed.to_mesh_clear()
    world = np.array(posed.matrix_world, np.float64)
    return flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def posed_bones(rig: bpy.types.Object) -> list[Bone]:
    """The deforming bones of an evaluated armature object."""
    found = []
    for bone in rig.pose.bones:
        if bone.bone.use_deform:
            matrix = np.array(rig.matrix_world @ bone.matrix)
            head, tail = matrix[:3, 3], matrix[:3, 3] + matrix[:3, 1] * bone.length
            found.append(Bone(head, tail, matrix[:3, 0] * bone.length, group_of(bone.name)))
    return found


def moments_of(objects: Sequence[bpy.types.Object], look: Look, scene: bpy.types.Scene) -> list[float]:
    """(look.frames,) the frame of each picture. Raises ValueError where a motion is to be played and there is none."""
    if look.motion == "HOLD":
        return [scene.frame_current_final] * look.frames
    first, last = played_range(objects)
    length = last - first
    step = scene.render.fps / scene.render.fps_base / look.fps
    if look.motion == "ONCE":
        return [min(first + picture * step, last) for picture in range(look.frames)]
    rounds = max(1, round(look.frames * step / length))  # whole ones: the speed bends a little, and the turn closes
    return [first + picture * rounds * length / look.frames % length for picture in range(look.frames)]


def played_range(objects: Sequence[bpy.types.Object]) -> tuple[float, float]:
    """First and last frame of the objects' actions and strips. Raises ValueError where there is no motion."""
    ranges: list[tuple[float, float]] = []
    for thing in objects:
        animation = thing.animation_data
        if animation is not None and animation.action is not None:
            ranges.append(tuple(animation.action.frame_range))
        elif animation is not None:
            ranges += [(strip.frame_start, strip.frame_end) for track in animation.nla_tracks if not track.mute for strip in track.strips]
    if not ranges or max(last for _, last in ranges) - min(first for first, _ in ranges) <= 0:
        raise ValueError("there is no action to play: assign one, or hold the pose")
    return min(first for first, _ in ranges), max(last for _, last in ranges)


def palette_colour(group: str) -> tuple[float, float, float]:
    """Linear colour of a bone group's palette in Blender's default theme."""
    return tuple((value / 255) ** 2.2 for value in PALETTE_COLOURS[PALETTES[group]])  # type: ignore[return-value]


PALETTE_COLOURS = {
    "THEME01": (214, 62, 62), "THEME02": (247, 138, 64), "THEME03": (245, 201, 70), "THEME04": (112, 193, 92), "THEME05": (186, 86, 200),
    "THEME06": (66, 118, 222), "THEME07": (74, 192, 214), "THEME09": (140, 140, 150), "THEME10": (120, 120, 120),
}  # fmt: skip
"""sRGB of the bone colours: as Blender's palettes go, lighter where those are too dark to be seen inside a body."""
