"""Steps in an Asset Browser: all ready motions are listed with their pictures, and one that is clicked there goes to the creature."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from tests.gui import artist
from tests.gui.artist import DRAWN_SECONDS, call, check, close_second_window, module, picture, press_at, wait_up_to
from tests.gui.creature import choose, rig

FIRST = (60, 60)
"""Pixels from the upper left corner of the browser's list into its first picture."""


def take_an_asset() -> Iterator[float]:
    """The button, a browser in a window of its own, a click on the first motion, its button at the side."""
    choose(rig())
    call(bpy.ops.menagerie.add_motion_library, "EXEC_DEFAULT")
    libraries = bpy.context.preferences.filepaths.asset_libraries
    check("the motions are an asset library", any(library.name == "Menagerie" for library in libraries))
    call(bpy.ops.wm.window_new, "INVOKE_DEFAULT")
    yield DRAWN_SECONDS
    window = bpy.context.window_manager.windows[-1]
    area = max(window.screen.areas, key=lambda area: area.width * area.height)
    area.ui_type = "ASSETS"
    yield DRAWN_SECONDS
    space = area.spaces.active
    yield from wait_up_to(lambda: space.params is not None)
    space.params.asset_library_reference = "Menagerie"
    space.show_region_tool_props = True
    yield from wait_up_to(lambda: False, 4.0)  # it reads the library beside
    yield from picture("asset-browser")
    region = next(region for region in area.regions if region.type == "WINDOW")
    yield from press_at(window, "LEFTMOUSE", region.x + FIRST[0], region.y + region.height - FIRST[1])
    yield DRAWN_SECONDS
    yield from picture("asset-chosen")
    with bpy.context.temp_override(window=window, area=area, region=region):
        chosen = module(".motions.assets").motion_of(bpy.context.asset)
        check("a motion is chosen in the Asset Browser", bool(chosen), chosen)
        if chosen:
            bpy.ops.menagerie.apply_motion_asset("EXEC_DEFAULT", True)
    action = rig().animation_data.action if rig().animation_data is not None else None
    check("the creature plays it", bool(chosen) and action is not None and action.menagerie_motion.motion == chosen, action and action.name)
    yield from close_second_window()
    yield from artist.picture("asset-applied")
