"""Steps with what else the add-on shows: a turntable between ticks, the preferences, a failure with its remedy, the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from tests.gui import artist
from tests.gui.artist import DRAWN_SECONDS, PACKAGE, call, check, close_second_window, module, picture, show_whole, until, view

SCROLLED = 6
"""Steps of the wheel to the next picture."""


def turntable(link: Any) -> Iterator[float]:
    """A movie and a GIF, one picture a tick."""
    running = module(".turntable.operator")
    for kind, name in (("MP4", "turntable.mp4"), ("GIF", "turntable.gif")):
        scenes, target = len(bpy.data.scenes), artist.setting.out / name
        call(bpy.ops.menagerie.turntable, "EXEC_DEFAULT", filepath=str(target), format=kind, frames=4, size=64)
        yield from until(lambda: running.running is None)
        good = target.is_file() and len(bpy.data.scenes) == scenes
        check(f"the turntable is made between ticks: {kind}", good, link.state.error or "")


def every_panel() -> Iterator[float]:
    """Each panel of the sidebar that has something to say of what is chosen, open, on a page of its own: nothing is cut off or empty."""
    region = view("UI")["region"]
    kinds = [*module(".panels").CLASSES, module(".turntable.operator").MENAGERIE_PT_turntable]
    for kind in kinds:
        name = kind.__name__.removeprefix("MENAGERIE_PT_")
        if not issubclass(kind, bpy.types.Panel) or kind.bl_space_type != "VIEW_3D" or name == "main":
            continue
        if hasattr(kind, "poll") and not kind.poll(bpy.context):
            continue
        pair = page_of(kind, name)
        region.tag_redraw()
        yield DRAWN_SECONDS  # it has its page when it has been drawn
        region.active_panel_category = name
        region.tag_redraw()
        yield from picture(f"panel-{name.replace('_', '-')}")
        for made in reversed(pair):
            bpy.utils.unregister_class(made)
    region.active_panel_category = "Menagerie"


def page_of(kind: Any, name: str) -> tuple[Any, Any]:
    """A page of the sidebar with one open sub-panel that draws what that of the add-on draws."""
    where = {"bl_space_type": "VIEW_3D", "bl_region_type": "UI", "bl_category": name}
    page = type(f"LOOK_PT_{name}", (bpy.types.Panel,), {**where, "bl_label": "Menagerie", "draw": lambda self, context: None})
    own = {"bl_label": kind.bl_label, "bl_parent_id": page.__name__, "draw": kind.draw}
    if hasattr(kind, "draw_header_preset"):
        own["draw_header_preset"] = kind.draw_header_preset
    inner = type(f"LOOK_PT_{name}_inner", (bpy.types.Panel,), {**where, **own})
    for made in (page, inner):
        bpy.utils.register_class(made)
    return page, inner


def preferences() -> Iterator[float]:
    """The add-on's page of the preferences, in a window of its own, from its top to its end."""
    with bpy.context.temp_override(**view()):
        bpy.ops.preferences.addon_show(module=PACKAGE)
    yield from show_whole()
    yield from picture("preferences")
    windows = bpy.context.window_manager.windows
    check("the preferences open at the add-on", len(windows) == 2)
    if len(windows) < 2:
        return
    window = windows[1]
    area = window.screen.areas[0]
    region = next(region for region in area.regions if region.type == "WINDOW")
    for page in ("weights", "end"):
        with bpy.context.temp_override(window=window, area=area, region=region):
            for _ in range(SCROLLED):
                bpy.ops.view2d.scroll_down()
        yield from picture(f"preferences-{page}")
    yield from close_second_window()


def failure(link: Any) -> Iterator[float]:
    """A file that is no photo: what happened and what to do are said in the sidebar."""
    bpy.context.scene.menagerie.photo = str(artist.setting.root / "README.md")
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: link.state.error is not None)
    error = link.state.error
    check("a failure is shown with its remedy", error["code"].startswith("photo") and bool(error["remedy"]), error)
    yield from picture("failure")


def end(link: Any, pid: int) -> Iterator[float]:
    """Promise 3: the add-on closes and its child is gone. pid: of the child."""
    link.close()
    yield 2.0
    check("promise 3: no child is left when the add-on closes", not (Path("/proc") / str(pid)).exists() or is_zombie(pid), pid)


def is_zombie(pid: int) -> bool:
    """Ended, and only waiting to be collected."""
    return "\nState:\tZ" in (Path("/proc") / str(pid) / "status").read_text()
