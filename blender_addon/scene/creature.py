"""Which objects are one creature: any object enters, the armature it belongs to or the whole creature leaves.

What Blender itself keeps up to date decides first: an armature modifier, a parent, a camera's focus. Duplicating remaps these,
renaming and moving to other collections leave them alone. The number that a creature's parts share comes second: duplicates
share it too, so it decides only where one armature has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy

ROLE = "menagerie_role"
"""Custom property of our objects and pose assets: armature, mesh, camera, photo, control_rig; photo_pose, rest_pose."""
NUMBER = "menagerie_number"
"""Custom property of the same: one number a creature. (Pointers would keep what the artist deletes.)"""


@dataclass(frozen=True)
class Creature:
    """What stands in the scene for one asset. photo: None where Blender cannot show the photo's format."""

    collection: bpy.types.Collection
    mesh: bpy.types.Object
    armature: bpy.types.Object
    camera: bpy.types.Object | None
    photo: bpy.types.Object | None
    photo_pose: bpy.types.Action | None
    rest_pose: bpy.types.Action | None
    actions: tuple[bpy.types.Action, ...] = ()


def fresh_number() -> int:
    """A number that no creature of this file has."""
    return 1 + max((block.get(NUMBER, 0) for block in bpy.data.objects), default=0)


def armatures_of(thing: bpy.types.Object | None) -> Iterator[bpy.types.Object]:
    """The armatures that an object may belong to, the nearest relation first: itself, what its modifiers and its camera name, its
    parents' likewise; of our parts also the one with the part's number, before all in a collection of the part's."""
    part = thing
    while thing is not None:
        if thing.type == "ARMATURE":
            yield thing
        yield from (m.object for m in thing.modifiers if m.type == "ARMATURE" and m.object is not None)
        if thing.type == "CAMERA" and thing.data.dof.focus_object is not None:
            yield thing.data.dof.focus_object
        thing = thing.parent
    if part is not None and part.get(ROLE):
        yield from sorted(numbered("armature", part.get(NUMBER)), key=lambda rig: order(rig, part))


def find_creature(rig: bpy.types.Object) -> Creature | None:
    """The creature of an armature of ours, None where no mesh of ours belongs to it or it was deleted."""
    if rig.get(ROLE) != "armature" or not rig.users_collection:
        return None
    number = None if twins(rig) else rig.get(NUMBER)
    bodies = [thing for thing in parts("mesh") if rig in armatures_of_mesh(thing)]
    body = nearest(rig, bodies or [thing for thing in numbered("mesh", number) if not armatures_of_mesh(thing)])
    if body is None:
        return None
    cameras = [thing for thing in parts("camera") if thing.type == "CAMERA" and thing.data.dof.focus_object == rig]
    camera = nearest(rig, cameras or numbered("camera", number))
    planes = [thing for thing in parts("photo") if camera is not None and thing.parent == camera]
    photo = nearest(rig, planes or numbered("photo", number))
    given = rig.get(NUMBER)
    poses = {action[ROLE]: action for action in bpy.data.actions if action.get(ROLE) and given is not None and action.get(NUMBER) == given}
    return Creature(rig.users_collection[0], body, rig, camera, photo, poses.get("photo_pose"), poses.get("rest_pose"))


def control_rig_of(rig: bpy.types.Object | None) -> bpy.types.Object | None:
    """The control rig that a creature's armature follows: the one that it carries."""
    return next((thing for thing in parts("control_rig") if thing.parent == rig), None) if rig is not None else None


def twins(rig: bpy.types.Object) -> list[bpy.types.Object]:
    """Other armatures with this one's number: its duplicates, or what it is a duplicate of."""
    return [thing for thing in numbered("armature", rig.get(NUMBER)) if thing != rig]


def parts(role: str) -> Iterator[bpy.types.Object]:
    """Every object of ours in this role that stands somewhere."""
    return (thing for thing in bpy.data.objects if thing.get(ROLE) == role and thing.users_collection)


def numbered(role: str, number: int | None) -> list[bpy.types.Object]:
    """Those of them with this number."""
    return [thing for thing in parts(role) if number is not None and thing.get(NUMBER) == number]


def armatures_of_mesh(body: bpy.types.Object) -> list[bpy.types.Object]:
    """The armatures that bend a mesh, or else the one that carries it."""
    bending = [m.object for m in body.modifiers if m.type == "ARMATURE" and m.object is not None]
    carrying = [body.parent] if body.parent is not None and body.parent.type == "ARMATURE" else []
    return bending or carrying


def nearest(rig: bpy.types.Object, things: list[bpy.types.Object]) -> bpy.types.Object | None:
    """Of several the one in a collection with the armature, then the first by name: a copy's name is the longer one."""
    return min(things, key=lambda thing: order(thing, rig), default=None)


def order(thing: bpy.types.Object, other: bpy.types.Object) -> tuple[bool, int, str]:
    """Key that sorts things of `other`'s collections first, then by name."""
    apart = not set(thing.users_collection) & set(other.users_collection)
    return apart, len(thing.name), thing.name
