"""Lines between the handles of joints, drawn over the viewport: which dots are one limb. Nothing of it is in the file."""

from __future__ import annotations

from typing import Any

import bpy
import gpu
from gpu_extras.batch import batch_for_shader
from mathutils import Vector

from ..scene import dots, joints
from ..scene.bone_groups import group_of
from ..scene.creature import ROLE

FRONT, HIND = ("shoulder", "elbow", "wrist", "front_knuckle", "front_tip"), ("hip", "knee", "hock", "hind_knuckle", "hind_tip")
LIMBS = (("withers", "poll", "muzzle"), ("withers", "tail0"), ("tail0", "tail2", "tail4"), *(
    tuple(f"{joint}.{side}" for joint in leg) for side in "LR" for leg in (FRONT, HIND)
))  # fmt: skip
"""Joints that a line runs through."""
WIDTH, OPACITY = 2.0, 0.8

_handler: Any = None


def draw() -> None:
    """Blender's callback, after a viewport's own drawing."""
    homes = [home for home in bpy.data.collections if home.get(ROLE) == joints.HANDLES]
    region = bpy.context.region
    if not homes or region is None or not bpy.context.space_data.overlay.show_overlays:
        return
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    gpu.state.blend_set("ALPHA")
    for home in homes:
        # Of two creatures' handles in one collection (a duplicate's) each is joined to its own camera's.
        for camera in {thing.parent for thing in home.objects if joints.is_handle(thing) and thing.visible_get()}:
            shown = [thing for thing in home.objects if thing.parent == camera and joints.is_handle(thing) and thing.visible_get()]
            draw_lines(shader, {thing[joints.POINT]: thing.matrix_world.translation for thing in shown}, region)
    gpu.state.blend_set("NONE")


def draw_lines(shader: gpu.types.GPUShader, places: dict[str, Vector], region: bpy.types.Region) -> None:
    """The lines of one creature, each limb in its colour."""
    for limb in LIMBS:
        ends = [end for pair in zip(limb[:-1], limb[1:], strict=True) if pair[0] in places and pair[1] in places for end in pair]
        if not ends:
            continue
        batch = batch_for_shader(shader, "LINES", {"pos": [places[end] for end in ends]})
        shader.bind()
        shader.uniform_float("viewportSize", (region.width, region.height))
        shader.uniform_float("lineWidth", WIDTH)
        shader.uniform_float("color", (*dots.COLOURS[group_of(joints.BONES[limb[-1]])], OPACITY))
        batch.draw(shader)


def begin() -> None:
    """Draw from now on; in background mode there is nothing to draw in."""
    global _handler
    if not bpy.app.background and _handler is None:
        _handler = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_VIEW")


def end() -> None:
    """Draw no more."""
    global _handler
    if _handler is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handler, "WINDOW")
        _handler = None
