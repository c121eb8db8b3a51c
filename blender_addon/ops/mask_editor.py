"""The Image Editor in which a mask is painted or an animal is picked: one that is there already, else a window of its own.

A window that was opened for it shows the whole photo as large as it fits, with the sidebar at our page: it says there what a
click does and what went wrong. Before an editor is drawn for the first time it has no view and no pages, so a timer does it.
"""

from __future__ import annotations

from contextlib import suppress

import bpy

from ..scene import framing

PAGE = "Menagerie"
DRAWN_SECONDS = 0.2
"""From opening an editor to its first drawing."""

fresh: set[int] = set()
"""Pointers of the windows that were opened and not yet arranged."""
zoomed: set[int] = set()
"""Of those that were, and not yet drawn so."""


def find_editor(context: bpy.types.Context) -> bpy.types.Area | None:
    """An Image Editor of this window, else of another one with the same scene."""
    windows = sorted(context.window_manager.windows, key=lambda window: window != context.window)
    areas = [area for window in windows if window.scene == context.scene for area in window.screen.areas]
    return next((area for area in areas if area.type == "IMAGE_EDITOR"), None)


def open_editor(context: bpy.types.Context, image: bpy.types.Image) -> bpy.types.Area:
    """An Image Editor that shows the image, in a window of its own if there is none."""
    area = find_editor(context)
    if area is None:
        bpy.ops.wm.window_new()
        window = context.window_manager.windows[-1]
        area = window.screen.areas[0]
        area.type = "IMAGE_EDITOR"
        area.spaces.active.show_region_ui = True
        fresh.add(window.as_pointer())
        if not bpy.app.timers.is_registered(arrange):
            bpy.app.timers.register(arrange, first_interval=DRAWN_SECONDS)
    area.spaces.active.image = image
    return area


def arrange() -> float | None:
    """The timer: the whole photo, and our page beside it, in the windows that were opened; when that is drawn, the photo in the middle."""
    drawn = zoomed.copy()
    zoomed.clear()
    zoomed.update(fresh)
    fresh.clear()
    for window in bpy.context.window_manager.windows:
        area = window.screen.areas[0]
        if window.as_pointer() not in drawn | zoomed or area.type != "IMAGE_EDITOR" or area.spaces.active.image is None:
            continue
        regions = {region.type: region for region in area.regions}
        with bpy.context.temp_override(window=window, area=area, region=regions["WINDOW"]):
            if window.as_pointer() in drawn:
                framing.centre_image(area, area.spaces.active.image.size)
            else:
                with suppress(AttributeError, TypeError):  # its pages are not there yet: it opens where Blender likes
                    regions["UI"].active_panel_category = PAGE
                framing.zoom_image(area, area.spaces.active.image.size)
        area.tag_redraw()
    return DRAWN_SECONDS if zoomed else None


def forget() -> None:
    """A timer that is pending when Blender exits crashes it."""
    fresh.clear()
    zoomed.clear()
    if bpy.app.timers.is_registered(arrange):
        bpy.app.timers.unregister(arrange)
