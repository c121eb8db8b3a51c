"""The artist who sits before the window: what they see, press, click and wait for; and what is written down of it.

A step is a generator: it yields seconds for which Blender goes on living. Every call here that needs time is one too. Blender's
y grows upward. Buttons are found as a person finds them, by moving the pointer along the panel, and asked what they do.
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

PACKAGE = "bl_ext.user_default.menagerie"
WAIT_SECONDS = 300.0
DRAWN_SECONDS = 1.0
"""From a change to its being drawn by a processor, before a picture is taken."""
HOVER_SECONDS = 0.06
ROW_PIXELS = 16
"""Less than the height of a button: a pointer that moves so far misses none."""
MARK = 100
"""Pixels: lower windows are none of a person's."""
LEFT = 1 / 3
"""Of the sidebar's width: inside every button, and of two side by side in the first."""


@dataclass
class Setting:
    """What `walk.py` was started with. out: the folder for pictures; seen: finding -> whether it is good, and a note."""

    zip: Path = Path()
    python: Path = Path()
    root: Path = Path()
    out: Path = Path()
    seen: dict[str, dict[str, object]] = field(default_factory=dict)
    pictures: int = 0

    @property
    def photo(self) -> Path:
        """The sample photo, among the artist's own files."""
        path = Path.home() / "horse.png"
        if not path.exists():
            shutil.copyfile(self.root / "tests" / "photos" / "horse.png", path)
        return path


setting = Setting()
"""Of this Blender; `walk.py` fills it."""


def check(name: str, good: bool, note: object = "") -> None:
    """Keep one finding."""
    setting.seen[name] = {"good": bool(good), "note": str(note)}


def module(name: str) -> Any:
    """A module of the installed add-on."""
    return importlib.import_module(PACKAGE + name)


def until(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> Iterator[float]:
    """Wait, with Blender alive, until something holds. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("waited too long")
        yield 0.05


def wait_up_to(holds: Callable[[], bool], seconds: float = 5.0) -> Iterator[float]:
    """Wait until something holds, or so long: the check that follows says which."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        yield 0.1


def picture(name: str) -> Iterator[float]:
    """A picture of the window into the output folder; pictures are numbered in their order."""
    yield DRAWN_SECONDS
    setting.pictures += 1
    subprocess.run(["import", "-window", "root", str(setting.out / f"{setting.pictures:02d}-{name}.png")], check=True)


# --- Where things are ---


def view(kind: str = "WINDOW") -> dict[str, Any]:
    """Overrides for an operator called as if from the 3D viewport; kind: of the region, "UI" for the sidebar."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == kind)
    return {"window": window, "screen": window.screen, "area": area, "region": region}


def names() -> set[str]:
    """Every object of the scene."""
    return {thing.name for thing in bpy.context.scene.objects}


def call(operator: Callable[..., object], *words: object, **settings: object) -> object:
    """Call an operator in the viewport."""
    with bpy.context.temp_override(**view()):
        return operator(*words, **settings)


def show_whole() -> Iterator[float]:
    """Move a window that was opened beside the first onto the screen: without a window manager it may stand over its edge."""
    yield DRAWN_SECONDS
    found = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "."], capture_output=True, text=True, check=False)
    for name in found.stdout.split():
        told = subprocess.run(["xdotool", "getwindowgeometry", "--shell", name], capture_output=True, text=True, check=False).stdout
        place = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
        if MARK < int(place.get("HEIGHT", 0)) < bpy.context.window_manager.windows[0].height and int(place["Y"]) < 0:
            subprocess.run(["xdotool", "windowmove", name, place["X"], "20"], check=False)
    yield DRAWN_SECONDS


def close_second_window() -> Iterator[float]:
    """Close the window that was opened beside the first."""
    windows = bpy.context.window_manager.windows
    if len(windows) == 2:
        with bpy.context.temp_override(window=windows[1]):
            bpy.ops.wm.window_close()
    yield 0.3


# --- Hands ---


def move(window: Any, x: int, y: int) -> None:
    """Move the pointer."""
    window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=int(x), y=int(y))


def press_at(window: Any, key: str, x: int, y: int, **modifiers: bool) -> Iterator[float]:
    """Press and release a key or button with the pointer at a place of the window."""
    x, y = int(x), int(y)
    move(window, x, y)
    yield 0.3
    window.event_simulate(type=key, value="PRESS", x=x, y=y, **modifiers)
    window.event_simulate(type=key, value="RELEASE", x=x, y=y, **modifiers)
    yield 0.5


def press(key: str, pointer: bool = True, **modifiers: bool) -> Iterator[float]:
    """Press and release a key, with the pointer moved over the viewport or left where it is."""
    place = view()
    area, window = place["area"], place["window"]
    x, y = area.x + area.width // 3, area.y + area.height // 2
    if pointer:
        yield from press_at(window, key, x, y, **modifiers)
        return
    window.event_simulate(type=key, value="PRESS", x=x, y=y, **modifiers)
    window.event_simulate(type=key, value="RELEASE", x=x, y=y, **modifiers)
    yield 0.5


DIGITS = "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split()
KEYS = {"-": "MINUS", ".": "PERIOD", "/": "SLASH", " ": "SPACE", **{str(number): name for number, name in enumerate(DIGITS)}}
"""Key of a character that is no letter."""


def write(window: Any, x: int, y: int, text: str) -> Iterator[float]:
    """Type a text with the pointer at a place."""
    for letter in text:
        key = KEYS.get(letter, letter.upper() if letter.isascii() and letter.isalpha() else "A")
        window.event_simulate(type=key, value="PRESS", unicode=letter, x=int(x), y=int(y))
        window.event_simulate(type=key, value="RELEASE", x=int(x), y=int(y))
        yield 0.01
    yield 0.2


# --- Buttons ---


def show_sidebar(page: str = "Menagerie") -> Iterator[float]:
    """Open the sidebar at a page."""
    view()["area"].spaces.active.show_region_ui = True
    region = view("UI")["region"]
    yield from wait_up_to(lambda: region.width > 1 and region.active_panel_category != "UNSUPPORTED")
    yield DRAWN_SECONDS
    region.active_panel_category = page
    region.tag_redraw()
    yield DRAWN_SECONDS


def under_pointer(place: dict[str, Any]) -> str:
    """What the button under the pointer does: an operator's or a property's name, "" for no button."""
    manager = bpy.context.window_manager
    manager.clipboard = ""
    with bpy.context.temp_override(**place):
        for operator, words in ((bpy.ops.ui.copy_python_command_button, {}), (bpy.ops.ui.copy_data_path_button, {"full_path": True})):
            if operator.poll():
                operator(**words)
            if manager.clipboard:
                break
    found = re.sub(r"^bpy\.ops\.", "", str(manager.clipboard)).split("(")[0]
    return found.rsplit(".scenes", 1)[-1]


def find_button(name: str, across: float = LEFT) -> Iterator[float]:
    """Move the pointer down the sidebar, at this share of its width, until the button of this operator or property is under it. The place
    is in `found`."""
    place = view("UI")
    region, window = place["region"], place["window"]
    x = region.x + int(across * region.width)
    found.clear()
    for y in range(region.y + region.height - 1, region.y, -ROW_PIXELS):
        move(window, x, y)
        yield HOVER_SECONDS
        if name in under_pointer(place):
            found.update(window=window, x=x, y=y)
            return


found: dict[str, Any] = {}
"""Window, x and y of the button that `find_button` looked for; empty if there is none."""


def click_button(name: str, across: float = LEFT) -> Iterator[float]:
    """Press the sidebar's button of this operator or property. Raises LookupError where there is none."""
    yield from find_button(name, across)
    if not found:
        raise LookupError(f"no button of {name} in the sidebar")
    yield from press_at(found["window"], "LEFTMOUSE", found["x"], found["y"])


def write_into(name: str, text: str) -> Iterator[float]:
    """Replace the text in the sidebar's field of this property. Raises LookupError where there is none."""
    yield from find_button(name)
    if not found:
        raise LookupError(f"no field of {name} in the sidebar")
    window, x, y = found["window"], found["x"], found["y"]
    yield from press_at(window, "LEFTMOUSE", x, y)
    yield from press_at(window, "LEFTMOUSE", x, y)
    yield from press_at(window, "A", x, y, ctrl=True)
    yield from write(window, x, y, text)
    yield from press_at(window, "RET", x, y)
