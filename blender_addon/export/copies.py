"""What is exported: copies of the creature's armature and meshes, in a scene apart, freed of all that no engine wants.

The armature's copy has one root and its deforming bones, no constraint, no widget, no driver. Copies carry the originals' names for as
long as they stand, since exporters write names of objects; the originals get theirs back whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import bpy
from mathutils import Matrix

from .. import compat
from ..control import poses
from ..control.rigify import bake, snap
from ..control.rigify.apart import scene_apart
from ..scene.creature import NUMBER, ROLE
from ..scene.motion import turn_to
from . import names

ROOT = "root"
UNREAL_ARMATURE = "Armature"
"""Unreal makes a bone of the armature's object, unless that is its name."""
POSE_ROLES = ("photo_pose", "rest_pose")


@dataclass
class Copies:
    """scene: the window's own meanwhile; rig, bodies: the copies; names: the creature's bone -> its exported name."""

    scene: bpy.types.Scene
    rig: bpy.types.Object
    bodies: list[bpy.types.Object]
    names: dict[str, str]


def bodies_of(rig: bpy.types.Object) -> list[bpy.types.Object]:
    """The meshes that an armature bends or carries: the creature's, and what the artist gave it."""
    return [
        thing
        for thing in bpy.data.objects
        if thing.type == "MESH" and thing.users_collection
        and (thing.parent == rig or any(m.type == "ARMATURE" and m.object == rig for m in thing.modifiers))
    ]  # fmt: skip


def actions_of(rig: bpy.types.Object) -> list[bpy.types.Action]:
    """The creature's motions: those that came with it or were baked for it, the one that it plays, and those of its NLA tracks."""
    number, animation = rig.get(NUMBER), rig.animation_data
    own: list[bpy.types.Action | None] = [
        a for a in bpy.data.actions if number is not None and a.get(NUMBER) == number and a.get(ROLE) not in POSE_ROLES
    ]
    if animation is not None:
        own += [animation.action, *(strip.action for track in animation.nla_tracks for strip in track.strips)]
    bones = {f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"]' for bone in rig.pose.bones}
    return [a for a in dict.fromkeys(own) if a is not None and any(c.data_path.rpartition(".")[0] in bones for c in compat.curves_of(a))]


@contextmanager
def standing_copies(context: bpy.types.Context, rig: bpy.types.Object, style: str, stance: str) -> Iterator[Copies]:
    """Copies of the creature in the pose in which it is seen now, or for the stance REST at rest, for PHOTO as in its photo; everything
    of theirs is gone afterwards. Raises LinkError bad_request where the photo's pose isn't known."""
    pose = snap.pose_of(rig)
    originals = [rig, *bodies_of(rig)]
    before = {kind: set(getattr(bpy.data, kind)) for kind in KINDS}
    with names_lent() as lend:
        try:
            with scene_apart(context) as scene:
                made = {thing: copy_of(thing, scene) for thing in originals}
                for thing, copy in made.items():
                    lend(thing, copy)
                    lend(thing.data, copy.data)
                twin = made[rig]
                if style == "UNREAL":
                    twin.name = UNREAL_ARMATURE
                bodies = [copy for thing, copy in made.items() if thing is not rig]
                for copy in bodies:
                    hang(copy, rig, twin)
                stand(twin, rig, pose, stance)
                keep_deforming(twin)
                renamed = rename_bones(twin, bodies, style)
                scene.view_layers[0].update()
                yield Copies(scene, twin, bodies, renamed)
        finally:
            for kind in KINDS:
                bpy.data.batch_remove([block for block in getattr(bpy.data, kind) if block not in before[kind]])


KINDS = ("objects", "meshes", "armatures", "materials", "images", "actions")
"""Kinds of data that may be made for an export, users before what they use."""


@contextmanager
def names_lent() -> Iterator[Callable[[bpy.types.ID, bpy.types.ID], None]]:
    """Gives a function that lends an original's name to its copy; after the copies are gone the originals have theirs again."""
    lent: list[tuple[bpy.types.ID, str]] = []

    def lend(original: bpy.types.ID, copy: bpy.types.ID) -> None:
        name = original.name
        lent.append((original, name))
        original.name = f"{name} lent"[-63:]
        copy.name = name

    try:
        yield lend
    finally:
        for original, name in lent:
            original.name = name


def copy_of(thing: bpy.types.Object, scene: bpy.types.Scene) -> bpy.types.Object:
    """A copy with data of its own, in the scene, with nothing that drives it."""
    copy = thing.copy()
    copy.data = thing.data.copy()
    copy.animation_data_clear()
    copy.data.animation_data_clear()
    copy.constraints.clear()
    copy.hide_viewport = copy.hide_render = False
    scene.collection.objects.link(copy)
    copy.matrix_world = thing.matrix_world
    return copy


def hang(copy: bpy.types.Object, rig: bpy.types.Object, twin: bpy.types.Object) -> None:
    """Lets a mesh's copy belong to the armature's copy."""
    for modifier in copy.modifiers:
        if modifier.type == "ARMATURE" and modifier.object == rig:
            modifier.object = twin
    if copy.parent == rig:
        place = copy.matrix_world.copy()
        copy.parent = twin
        copy.matrix_world = place


def stand(twin: bpy.types.Object, rig: bpy.types.Object, pose: snap.Pose, stance: str) -> None:
    """The armature's copy holds the pose by its own channels."""
    twin.data.pose_position = "POSE"
    for bone in twin.pose.bones:
        for constraint in list(bone.constraints):
            bone.constraints.remove(constraint)
        bone.custom_shape = None
        basis = Matrix() if stance in ("REST", "PHOTO") else bake.local(rig.pose.bones[bone.name], pose)
        turn_to(bone, basis.to_quaternion())
        bone.location, bone.scale = basis.translation, basis.to_scale()
    if stance == "PHOTO":
        poses.write_photo_pose(rig, twin)


def keep_deforming(twin: bpy.types.Object) -> None:
    """Removes the bones that neither deform nor carry one that does; what has no parent becomes the root's child."""
    bpy.context.view_layer.objects.active = twin
    bpy.ops.object.mode_set(mode="EDIT")
    bones = twin.data.edit_bones
    kept = {each.name for bone in bones if bone.use_deform for each in (bone, *bone.parent_recursive)} | {ROOT} & set(bones.keys())
    for bone in [bone for bone in bones if bone.name not in kept]:
        bones.remove(bone)
    tops = [bone for bone in bones if bone.parent is None]
    first = next((bone for bone in tops if bone.name == ROOT), tops[0] if tops else None)
    for bone in tops:
        if bone != first:
            bone.parent = first
    bpy.ops.object.mode_set(mode="OBJECT")


def rename_bones(twin: bpy.types.Object, bodies: Sequence[bpy.types.Object], style: str) -> dict[str, str]:
    """Gives bones and their vertex groups the engine's names -> old name to new."""
    renamed = names.engine_names([bone.name for bone in twin.data.bones], style)
    for bone in twin.data.bones:
        bone.name = renamed[bone.name]
    for body in bodies:  # where Blender has not renamed them with the bones
        if any(m.type == "ARMATURE" and m.object == twin for m in body.modifiers):
            for group in body.vertex_groups:
                group.name = renamed.get(group.name, group.name)
    return renamed
