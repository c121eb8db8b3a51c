"""A creature's joints as handles over its photo: what the artist drags is pinned.

Enters: where a result's joints are seen (photo pixels, from its report). Leaves: small Empties before the photo's camera, parented to
it, and the pixels of those that were moved. A handle moves in one plane across the camera's view and nowhere else, so what it means is
the same from wherever it is dragged. Handles stand in a collection of their own within the creature's, are not rendered, and are seen
through the creature. Their state is in their properties: it is saved, undone and duplicated with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Vector

from .creature import NUMBER, ROLE, Creature

HANDLE, HANDLES = "joint", "joints"
"""Roles (`creature.ROLE`) of a handle, and of the collection that holds a creature's."""
POINT = "menagerie_point"
"""Custom property of a handle: the joint's name."""
LAID = "menagerie_laid"
"""Of the same: x and y at which it was laid, in the camera's frame."""
PINNED = "menagerie_pinned"
"""Of the same: whether the result that it was laid for had it pinned there."""

LEG = ("shoulder", "elbow", "wrist", "front_knuckle", "front_tip", "hip", "knee", "hock", "hind_knuckle", "hind_tip")
SHOWN = ("muzzle", "poll", "withers", "tail0", "tail2", "tail4", *(f"{joint}.{side}" for side in "LR" for joint in LEG))
"""Joints with a handle, of all that a result has: what can be seen in a photo. The trunk follows them."""
BONES = {
    "muzzle": "head", "poll": "head", "withers": "neck.001", "tail0": "tail.001", "tail2": "tail.002", "tail4": "tail.004",
    **{f"{joint}.{side}": f"{'front_thigh' if number < 5 else 'thigh'}.{side}" for side in "LR" for number, joint in enumerate(LEG)},
}  # fmt: skip
"""Joint -> a bone whose colour it has."""

TITLES = {
    "tail0": "tail base", "tail2": "tail middle", "tail4": "tail tip", "front_tip": "front foot", "hind_tip": "hind foot",
    "poll": "poll (top of the head)", "front_knuckle": "front knuckle", "hind_knuckle": "hind knuckle",
}  # fmt: skip
"""Names of joints for people, where the template's own say less."""

NEARER = 0.6
"""How far before the camera the handles stand, over the distance of the creature's nearest joint."""
SIZE, LARGER = 0.008, 1.6
"""A handle's radius over the diagonal of the joints' box, and how much larger a pinned one is."""
STILL_PX = 0.05
"""Photo pixels by which a handle may have moved and still count as left alone."""

Places = Mapping[str, Iterable[float]]


@dataclass(frozen=True)
class Lens:
    """How a photo camera sees its photo: focal length in pixels, and its size (width, height)."""

    focal_px: float
    size: tuple[int, int]

    def to_plane(self, x: float, y: float, depth: float) -> Vector:
        """A photo pixel -> the point there, camera frame (looking along -Z)."""
        width, height = self.size
        return Vector(((x - width / 2) * depth / self.focal_px, (height / 2 - y) * depth / self.focal_px, -depth))

    def to_pixel(self, place: Vector) -> tuple[float, float]:
        """A point before the camera, camera frame -> the photo's pixel that shows it."""
        scale = self.focal_px / max(-place.z, 1e-9)
        return self.size[0] / 2 + place.x * scale, self.size[1] / 2 - place.y * scale


def lens_of(camera: bpy.types.Object, size: tuple[int, int]) -> Lens:
    """Of a photo camera as it is now; its sensor lies along the photo's longer side (`view.aim_camera`)."""
    data = camera.data
    sensor = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    return Lens(data.lens / sensor * max(size), size)


def lay(creature: Creature, record: Mapping[str, Any]) -> list[bpy.types.Object]:
    """Handles of a creature with a camera where its record (`session.read_record`) has the joints: those it had are laid anew, others
    are made, what the result was told to keep is pinned. -> all of them."""
    camera, joints = creature.camera, {name: place for name, place in record["joints"].items() if name in BONES}
    assert camera is not None
    lens = lens_of(camera, tuple(record["photo_size"]))
    depth = plane_depth(creature)
    pins = record["settings"].get("pins") or {}
    spread = [max(place[axis] for place in joints.values()) - min(place[axis] for place in joints.values()) for axis in (0, 1)]
    size = SIZE * max(1.0, float(Vector(spread).length)) * depth / lens.focal_px
    standing = {thing[POINT]: thing for thing in handles(creature)}
    home = collection_of(creature)
    for name in joints.keys() - standing.keys():
        standing[name] = build_handle(creature, camera, name)
        home.objects.link(standing[name])
    for name in standing.keys() - joints.keys():
        bpy.data.objects.remove(standing.pop(name))
    for name, thing in standing.items():
        thing.parent = camera
        thing.matrix_parent_inverse.identity()
        x, y = pins.get(name) or joints[name]
        put(thing, lens.to_plane(x, y, depth), size, name in pins)
    return list(standing.values())


def build_handle(creature: Creature, camera: bpy.types.Object, name: str) -> bpy.types.Object:
    """A handle of a joint, not yet linked or laid."""
    thing = bpy.data.objects.new(f"{creature.armature.name} {name}", None)
    thing[ROLE], thing[NUMBER], thing[POINT] = HANDLE, creature.armature.get(NUMBER, 0), name
    thing.empty_display_type = "SPHERE"
    thing.show_in_front = True  # so that a click finds it before bones that are
    thing.hide_render = True
    thing.lock_rotation = thing.lock_scale = (True, True, True)
    thing.lock_location = (False, False, True)
    return thing


def put(thing: bpy.types.Object, place: Vector, size: float, pinned: bool) -> None:
    """Lay a handle at a point of the camera's frame."""
    thing.location, thing.rotation_euler, thing.scale = place, (0, 0, 0), (1, 1, 1)
    thing[LAID], thing[PINNED] = list(place[:2]), pinned
    thing["menagerie_size"] = size
    show(thing)


def show(thing: bpy.types.Object) -> None:
    """Let a handle look as what it is: larger if it is pinned (`panels.joint_marks` draws a dot over it)."""
    size = thing["menagerie_size"] * (LARGER if is_pinned(thing) else 1.0)
    if abs(thing.empty_display_size - size) > 1e-6 * size:
        thing.empty_display_size = size


def was_moved(thing: bpy.types.Object) -> bool:
    """Whether the artist has dragged a handle since it was laid."""
    gap = (Vector(thing[LAID]) - thing.location.xy).length
    return gap > 1e-5 * max(1e-6, -thing.location.z)


def is_pinned(thing: bpy.types.Object) -> bool:
    """Whether a handle says where its joint is."""
    return bool(thing.get(PINNED)) or was_moved(thing)


def title(thing: bpy.types.Object) -> str:
    """A handle's joint for people: `hind_tip.L` is the left hind tip."""
    stem, _, side = thing[POINT].partition(".")
    words = TITLES.get(stem, stem.replace("_", " "))
    return f"{'Left' if side == 'L' else 'Right'} {words}" if side else words.capitalize()


def unpin(thing: bpy.types.Object, creature: Creature, record: Mapping[str, Any]) -> None:
    """Put a handle back where the result has its joint, nothing said of it."""
    assert creature.camera is not None
    lens = lens_of(creature.camera, tuple(record["photo_size"]))
    x, y = record["joints"][thing[POINT]]
    put(thing, lens.to_plane(x, y, -thing.location.z), thing["menagerie_size"], False)


def pins_of(creature: Creature, size: tuple[int, int]) -> dict[str, list[float]]:
    """Photo pixels [x, y] of a creature's pinned joints, by name; size: the photo's (width, height)."""
    if creature.camera is None:
        return {}
    lens = lens_of(creature.camera, size)
    return {
        thing[POINT]: [round(value, 2) for value in lens.to_pixel(thing.location)] for thing in handles(creature) if is_pinned(thing)
    }


def handles(creature: Creature) -> list[bpy.types.Object]:
    """The handles of a creature's camera."""
    if creature.camera is None:
        return []
    return [thing for thing in creature.camera.children if is_handle(thing)]


def any_shown() -> bool:
    """Whether any creature's handles are shown: soon told, for panels of scenes with many objects."""
    return any(home.get(ROLE) == HANDLES and not home.hide_viewport for home in bpy.data.collections)


def put_away(rig: bpy.types.Object) -> None:
    """Hide a creature's handles, for it is leaving the photo's pose, over which they lie. What was dragged is kept."""
    for home in bpy.data.collections:
        if home.get(ROLE) == HANDLES and any(is_handle(thing) and focus_of(thing.parent) == rig for thing in home.objects):
            home.hide_viewport = True


def bring_back(creature: Creature) -> bool:
    """Show the handles that were put away -> whether there were any."""
    hidden = {home for home in homes_of(creature) if home.hide_viewport}
    for home in hidden:
        home.hide_viewport = False
    return bool(hidden)


def focus_of(camera: bpy.types.Object | None) -> bpy.types.Object | None:
    """The armature of a photo camera's creature."""
    return camera.data.dof.focus_object if camera is not None and camera.type == "CAMERA" else None


def is_handle(thing: bpy.types.ID | None) -> bool:
    """Whether that is one of ours, whole."""
    return isinstance(thing, bpy.types.Object) and thing.get(ROLE) == HANDLE and thing.get(POINT) in BONES and LAID in thing


def plane_depth(creature: Creature) -> float:
    """How far before the camera the handles stand: nearer than the creature, so that a click finds them first."""
    camera, rig = creature.camera, creature.armature
    assert camera is not None
    back = camera.matrix_basis.inverted() if camera.parent is None else camera.matrix_world.inverted()
    here = rig.matrix_basis if rig.parent is None else rig.matrix_world
    depths = [-(back @ (here @ bone.head)).z for bone in rig.pose.bones]
    return NEARER * max(min(depths), 0.1 * max(depths), 1e-3)


def homes_of(creature: Creature) -> list[bpy.types.Collection]:
    """The collections that hold a creature's handles: one, unless the artist has moved some."""
    return list(dict.fromkeys(home for thing in handles(creature) for home in thing.users_collection if home.get(ROLE) == HANDLES))


def collection_of(creature: Creature) -> bpy.types.Collection:
    """The collection of the creature's handles, made within the creature's where there is none."""
    standing = homes_of(creature)
    if standing:
        return standing[0]
    home = bpy.data.collections.new(f"{creature.armature.name} joints")
    home[ROLE], home.hide_render = HANDLES, True
    creature.collection.children.link(home)
    return home


def remove(things: Iterable[bpy.types.Object]) -> None:
    """Remove handles, and of their collections what is empty."""
    homes = set()
    for thing in list(things):
        homes |= {home for home in thing.users_collection if home.get(ROLE) == HANDLES}
        bpy.data.objects.remove(thing)
    for home in homes:
        if not home.objects:
            bpy.data.collections.remove(home)
