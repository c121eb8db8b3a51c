"""Custom shapes: small wire meshes, one of a kind in a file, shared between creatures.

They stand in a collection that no scene has, so nothing shows, renders or exports them but the bones that wear them. Shapes are of
size 1 in a bone's axes: +Y along the bone, +X to the animal's right; for a foot's control +Y is forward and +Z up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import bpy

COLLECTION = "Menagerie shapes"
SHAPE = "menagerie_shape"
"""Custom property of a shape's object: which one it is."""
HEAD = 0.13
"""Size of an arrow's head."""

Points = list[tuple[float, float, float]]
Lines = list[tuple[int, int]]


def loop(points: Points, closed: bool = True) -> tuple[Points, Lines]:
    """The points in one line, back to the first if closed."""
    count = len(points)
    return points, [(at, (at + 1) % count) for at in range(count if closed else count - 1)]


def join(*parts: tuple[Points, Lines]) -> tuple[Points, Lines]:
    """Several drawings as one."""
    points: Points = []
    lines: Lines = []
    for own, edges in parts:
        lines += [(a + len(points), b + len(points)) for a, b in edges]
        points += own
    return points, lines


def circle(radius: float = 1.0, at: float = 0.0, count: int = 32) -> tuple[Points, Lines]:
    """Around the bone, at height `at` along it."""
    turns = [math.tau * step / count for step in range(count)]
    return loop([(radius * math.cos(turn), at, radius * math.sin(turn)) for turn in turns])


def turned(drawing: tuple[Points, Lines], axes: str) -> tuple[Points, Lines]:
    """The drawing with its axes renamed: "yxz" swaps X and Y."""
    points, lines = drawing
    order = ["xyz".index(axis) for axis in axes]
    return [(point[order[0]], point[order[1]], point[order[2]]) for point in points], lines


def ring() -> tuple[Points, Lines]:
    """A bone of the creature's own."""
    return circle()


def drum() -> tuple[Points, Lines]:
    """The hips: what carries the body."""
    posts = [loop([(x, -0.25, z), (x, 0.25, z)], closed=False) for x, z in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    return join(circle(1, -0.25), circle(1, 0.25), *posts)


def ground() -> tuple[Points, Lines]:
    """The root: a ring on the ground with an arrow to where the animal faces, in the armature's axes."""
    flat = [(-0.12, -0.99), (-0.12, -1.2), (-0.26, -1.2), (0, -1.5), (0.26, -1.2), (0.12, -1.2), (0.12, -0.99)]
    return join(turned(circle(1, count=48), "xzy"), loop([(x, y, 0.0) for x, y in flat], closed=False))


def sole() -> tuple[Points, Lines]:
    """The foot's control, flat on the ground: a rounded sole from heel to past the tip, and where it points."""
    corners = [((0.6, 0.65), 0.0), ((-0.6, 0.65), 90.0), ((-0.6, -0.75), 180.0), ((0.6, -0.75), 270.0)]
    points: Points = []
    for (x, y), start in corners:
        for step in range(5):
            turn = math.radians(start + 22.5 * step)
            points.append((x + 0.4 * math.cos(turn), y + 0.4 * math.sin(turn), 0.0))
    nose: Points = [(-0.3, 1.05, 0.0), (0.0, 1.4, 0.0), (0.3, 1.05, 0.0)]
    return join(loop(points), loop(nose, closed=False))


def roll() -> tuple[Points, Lines]:
    """Lifts the heel: an arc about the bend axis with a head at both ends."""
    steps = [math.radians(90 + 50 * (step / 12 * 2 - 1)) for step in range(13)]
    arc: Points = [(0.0, math.sin(turn), math.cos(turn)) for turn in steps]
    heads = []
    for end, inner in ((arc[0], arc[1]), (arc[-1], arc[-2])):
        along = (end[1] - inner[1], end[2] - inner[2])
        length = math.hypot(*along)
        y, z = along[0] / length * HEAD, along[1] / length * HEAD
        heads.append(loop([(0.0, end[1] - y - z, end[2] - z + y), end, (0.0, end[1] - y + z, end[2] - z - y)], closed=False))
    return join(loop(arc, closed=False), *heads)


def ball() -> tuple[Points, Lines]:
    """A pole: three circles."""
    flat = circle(count=20)
    return join(flat, turned(flat, "yxz"), turned(flat, "xzy"))


def curl() -> tuple[Points, Lines]:
    """A bend: a ring with four arrows outward."""
    arrows = []
    for x, z in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        base = [(x * 1.04 + side * z * HEAD, 0.0, z * 1.04 - side * x * HEAD) for side in (-1, 1)]
        arrows.append(loop([base[0], (x * 1.2, 0.0, z * 1.2), base[1]]))
    return join(circle(), *arrows)


def box() -> tuple[Points, Lines]:
    """The head's control: a box around the bone, from its head to its tail."""
    points: Points = [(x, y, z) for y in (0.0, 1.0) for x, z in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return points, [(a + 4 * end, (a + 1) % 4 + 4 * end) for end in (0, 1) for a in range(4)] + [(a, a + 4) for a in range(4)]


def bow() -> tuple[Points, Lines]:
    """A toe: half a ring over its upper side, which is the local +Z of a bone that points forward."""
    turns = [math.pi * step / 16 for step in range(17)]
    return loop([(math.cos(turn), 0.0, math.sin(turn)) for turn in turns])


DRAWINGS: dict[str, Callable[[], tuple[Points, Lines]]] = {
    "ring": ring, "drum": drum, "ground": ground, "sole": sole, "roll": roll, "ball": ball, "curl": curl, "box": box, "bow": bow,
}  # fmt: skip
"""Every shape by name."""


def shape(kind: str) -> bpy.types.Object:
    """The file's one object with that drawing, made where it is missing. Raises KeyError for a kind that isn't drawn."""
    collection = home()
    for thing in collection.objects:
        if thing.get(SHAPE) == kind:
            return thing
    points, lines = DRAWINGS[kind]()
    mesh = bpy.data.meshes.new(f"Menagerie {kind}")
    mesh.from_pydata(points, lines, [])
    thing = bpy.data.objects.new(f"Menagerie {kind}", mesh)
    thing[SHAPE] = kind
    collection.objects.link(thing)
    return thing


def home() -> bpy.types.Collection:
    """The collection of shapes; a fake user keeps it in the file although no scene has it."""
    found = next((collection for collection in bpy.data.collections if collection.get(SHAPE) and collection.library is None), None)
    if found is not None:
        return found
    collection = bpy.data.collections.new(COLLECTION)
    collection[SHAPE] = True
    collection.use_fake_user = True
    collection.hide_render = True
    return collection


def is_ours(thing: bpy.types.Object | None) -> bool:
    """True for a shape of ours, also for none: a bone that wears what an artist chose is left alone."""
    return thing is None or SHAPE in thing


def wear(
    bone: bpy.types.PoseBone,
    kind: str,
    scale: Sequence[float],
    place: Sequence[float] = (0.0, 0.0, 0.0),
    turned: Sequence[float] = (0.0, 0.0, 0.0),
    shown_at: bpy.types.PoseBone | None = None,
) -> None:
    """Gives a bone a shape: scale and place in the armature's units along the bone's axes, turned in Euler radians; drawn where another
    bone stands if one is named. Keeps what an artist has chosen instead."""
    if not is_ours(bone.custom_shape):
        return
    bone.custom_shape = shape(kind)
    bone.use_custom_shape_bone_size = False
    bone.custom_shape_scale_xyz, bone.custom_shape_translation, bone.custom_shape_rotation_euler = scale, place, turned
    bone.custom_shape_transform = shown_at
