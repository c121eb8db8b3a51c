"""A scene of its own for a moment: what Rigify's operators do to mode, selection and active object, they do there.

Those operators look at the window's scene, so the window shows the other scene meanwhile; nothing is drawn in between. Enters: the
context. Leaves: that scene; afterwards window, view layer and every 3D view's camera are as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from ...link.errors import LinkError

NAME = "Menagerie control rig"


@contextmanager
def scene_apart(context: bpy.types.Context) -> Iterator[bpy.types.Scene]:
    """An empty scene, the window's own until the end, at the artist's frame. Raises LinkError bad_request without a window."""
    window = context.window or next(iter(context.window_manager.windows), None)
    if window is None:
        raise LinkError("bad_request", "Blender has no window open.", "Run this from Blender's own window.")
    home, layer, frame = window.scene, window.view_layer, window.scene.frame_current_final
    views = [
        (area.spaces.active, area.spaces.active.camera, area.spaces.active.region_3d.view_perspective)
        for area in window.screen.areas
        if area.type == "VIEW_3D"
    ]
    scene = bpy.data.scenes.new(NAME)
    scene.render.fps, scene.render.fps_base = home.render.fps, home.render.fps_base
    scene.frame_set(int(frame // 1), subframe=frame % 1)
    try:
        window.scene = scene
        yield scene
    finally:
        window.scene = home
        window.view_layer = layer
        bpy.data.scenes.remove(scene)
        for space, camera, perspective in views:
            space.camera = camera
            space.region_3d.view_perspective = perspective
