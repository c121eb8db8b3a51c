"""Dots and lines over the viewport where handles of joints are: which limb is whose, what is pinned. Nothing of it is in the file.

The handles themselves are plain Empties, which a click finds before bones that are drawn in front; Empties have no colour of their own.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
import gpu
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader
from mathutils import Vector

from ..scene import joints
from ..scene.bone_groups import group_of
from ..scene.creature import ROLE

COLOURS = {
    "torso": (1.0, 0.75, 0.1), "neck and head": (0.25, 0.85, 0.3), "tail": (1.0, 0.5, 0.1), "front leg.L": (0.95, 0.2, 0.2),
    "hind leg.L": (0.9, 0.25, 0.75), "front leg.R": (0.2, 0.5, 1.0), "hind leg.R": (0.1, 0.8, 0.9),
}  # fmt: skip
"""Limb -> sRGB. Left legs are warm, right ones cold."""
RIM, WHITE = (0.05, 0.05, 0.05), (1.0, 1.0, 1.0)
FRONT, HIND = ("shoulder", "elbow", "wrist", "front_knuckle", "front_tip"), ("hip", "knee", "hock", "hind_knuckle", "hind_tip")
LIMBS = (("withers", "poll", "muzzle"), ("withers", "tail0"), ("tail0", "tail2", "tail4"), *(
    tuple(f"{joint}.{side}" for joint in leg) for side in "LR" for leg in (FRONT, HIND)
))  # fmt: skip
"""Joints that a line runs through."""
WIDTH, OPACITY = 2.0, 0.8
RADIUS = 5.0
"""Of a dot, pixels at a resolution scale of 1; a pinned one has a white ring outside."""
CORNERS = 20

_handler: Any = None

Places = dict[str, Vector]


def draw() -> None:
    """Blender's callback, after a viewport's own drawing."""
    homes = [home for home in bpy.data.collections if home.get(ROLE) == joints.HANDLES]
    region, view, space = bpy.context.region, bpy.context.region_data, bpy.context.space_data
    if not homes or region is None or view is None or not space.overlay.show_overlays:
        return
    gpu.state.blend_set("ALPHA")
    for home in homes:
        shown = [thing for thing in home.objects if joints.is_handle(thing) and thing.visible_get()]
        at = {thing: location_3d_to_region_2d(region, view, thing.matrix_world.translation) for thing in shown}
        # A duplicate's handles may stand in the same collection: each camera's are a creature's.
        for camera in {thing.parent for thing in shown}:
            places = {thing[joints.POINT]: at[thing] for thing in shown if thing.parent == camera and at[thing] is not None}
            draw_lines(places, region)
        for thing in shown:
            if at[thing] is not None:
                draw_dot(at[thing], COLOURS[group_of(joints.BONES[thing[joints.POINT]])], joints.is_pinned(thing))
    gpu.state.blend_set("NONE")


def draw_lines(places: Places, region: bpy.types.Region) -> None:
    """The limbs of one creature, each in its colour. places: pixels of the region."""
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    for limb in LIMBS:
        ends = [end for pair in zip(limb[:-1], limb[1:], strict=True) if pair[0] in places and pair[1] in places for end in pair]
        if not ends:
            continue
        batch = batch_for_shader(shader, "LINES", {"pos": [(places[end].x, places[end].y, 0.0) for end in ends]})
        shader.bind()
        shader.uniform_float("viewportSize", (region.width, region.height))
        shader.uniform_float("lineWidth", WIDTH * scale())
        shader.uniform_float("color", (*COLOURS[group_of(joints.BONES[limb[-1]])], OPACITY))
        batch.draw(shader)


def draw_dot(place: Vector, colour: tuple[float, float, float], pinned: bool) -> None:
    """A disc with a dark rim at a pixel of the region; of what is pinned a larger one, with a white ring and a dark eye."""
    rings = [(1.9, RIM), (1.65, WHITE), (1.15, RIM), (1.0, colour), (0.35, RIM)] if pinned else [(1.25, RIM), (1.0, colour)]
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    for size, shade in rings:
        corners = [(place.x + size * RADIUS * scale() * x, place.y + size * RADIUS * scale() * y, 0.0) for x, y in CIRCLE]
        triangles = [corner for number in range(1, CORNERS - 1) for corner in (corners[0], corners[number], corners[number + 1])]
        shader.bind()
        shader.uniform_float("color", (*shade, 1.0))
        batch_for_shader(shader, "TRIS", {"pos": triangles}).draw(shader)


CIRCLE = [(math.cos(math.tau * number / CORNERS), math.sin(math.tau * number / CORNERS)) for number in range(CORNERS)]


def scale() -> float:
    """Pixels of the screen to one of the interface's."""
    return float(bpy.context.preferences.system.ui_scale)


def begin() -> None:
    """Draw from now on; in background mode there is nothing to draw in."""
    global _handler
    if not bpy.app.background and _handler is None:
        _handler = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_PIXEL")


def end() -> None:
    """Draw no more."""
    global _handler
    if _handler is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handler, "WINDOW")
        _handler = None
