"""What is tried in a real window; run by `window.py` inside Blender with its GUI.

A generator walks through the checks and yields while Blender goes on living; an app timer resumes it. The backend is
the real process with the made-up method of tests/service, so that the walk takes seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy

ZIP, PYTHON, ROOT, OUT = (Path(word) for word in sys.argv[sys.argv.index("--") + 1 :])
PACKAGE = "bl_ext.user_default.menagerie"
PHOTO = ROOT / "tests" / "photos" / "horse.png"
WAIT_SECONDS = 60.0
CALLBACK_SECONDS = 0.010
CALLBACK_WORST_SECONDS = 0.050

seen: dict[str, dict[str, object]] = {}


def check(name: str, good: bool, note: object = "") -> None:
    """Keep one finding."""
    seen[name] = {"good": bool(good), "note": str(note)}


def until(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> Iterator[float]:
    """Wait, with Blender alive, until something holds. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("waited too long")
        yield 0.05


def view() -> dict[str, object]:
    """Overrides for an operator called as if from the 3D viewport."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    return {"window": window, "screen": window.screen, "area": area, "region": region}


def call(operator: Callable[..., object], *words: object, **settings: object) -> object:
    """Call an operator in the viewport."""
    with bpy.context.temp_override(**view()):
        return operator(*words, **settings)


def press(key: str, **modifiers: bool) -> Iterator[float]:
    """Press and release a key with the pointer over the viewport."""
    place = view()
    area = place["area"]
    x, y = area.x + area.width // 3, area.y + area.height // 2
    window = place["window"]
    window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    yield 0.2
    window.event_simulate(type=key, value="PRESS", x=x, y=y, **modifiers)
    window.event_simulate(type=key, value="RELEASE", x=x, y=y, **modifiers)
    yield 0.5


def names() -> set[str]:
    """Every object of the scene."""
    return {thing.name for thing in bpy.context.scene.objects}


def picture(name: str) -> Iterator[float]:
    """A picture of the window into the output folder."""
    yield 1.0
    subprocess.run(["import", "-window", "root", str(OUT / name)], check=True)


def walk() -> Iterator[float]:
    """The checks, in order."""
    bpy.context.preferences.system.use_online_access = False
    bpy.ops.extensions.package_install_files(filepath=str(ZIP), repo="user_default", enable_on_install=True)
    import importlib

    session = importlib.import_module(PACKAGE + ".link.session")
    process = importlib.import_module(PACKAGE + ".link.process")
    operator = importlib.import_module(PACKAGE + ".turntable.operator")
    paths = importlib.import_module(PACKAGE + ".paths")
    check("the zip installs and enables", hasattr(bpy.ops.menagerie, "reconstruct"), bpy.app.version_string)
    child = str(ROOT / "tests" / "service" / "child.py")
    session.use(process.Backend(PYTHON, ROOT, paths.version(), OUT / "backend.log", entry=(child,)))

    ticks: list[float] = []
    plain = session.state.backend.pump

    def timed() -> bool:
        start = time.perf_counter()
        changed: bool = plain()
        ticks.append(time.perf_counter() - start)
        return changed

    session.state.backend.pump = timed
    area = view()["area"]
    area.spaces.active.show_region_ui = True
    yield 0.3
    next(region for region in area.regions if region.type == "UI").active_panel_category = "Menagerie"
    yield 0.3
    bpy.context.scene.menagerie.photo = str(PHOTO)
    bpy.ops.ed.undo_push(message="Photo chosen")
    before, frame, active = names(), bpy.context.scene.frame_current, bpy.context.object.name
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: session.state.job is None)
    yield from until(lambda: names() != before, 10)
    made = names() - before
    check("a finished job is placed by itself", len(made) >= 3, sorted(made))
    check("mode and frame stay", bpy.context.mode == "OBJECT" and bpy.context.scene.frame_current == frame, active)
    slow = sorted(ticks)[int(0.99 * (len(ticks) - 1))]
    short = slow <= CALLBACK_SECONDS and max(ticks) <= CALLBACK_WORST_SECONDS
    check("callbacks are short", short, f"p99 {slow * 1e3:.1f} ms of {len(ticks)}, worst {max(ticks) * 1e3:.1f} ms")
    call(bpy.ops.view3d.view_all)
    yield from picture("placed.png")

    yield from press("Z", ctrl=True)
    check("one undo removes the creature", names() == before, sorted(names()))
    yield from press("Z", ctrl=True, shift=True)
    check("redo brings it back", names() == before | made, sorted(names()))
    yield from press("Z", ctrl=True)

    cube = bpy.data.objects["Cube"]
    bpy.context.view_layer.objects.active = cube
    call(bpy.ops.object.mode_set, mode="SCULPT")
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: bool(session.state.ready))
    yield 0.5
    check("a sculptor is left alone", names() == before and bpy.context.mode == "SCULPT", sorted(names()))
    yield from picture("waiting.png")
    call(bpy.ops.object.mode_set, mode="OBJECT")
    call(bpy.ops.menagerie.place, "INVOKE_DEFAULT", True)
    check("Place puts it down later", len(names() - before) >= 3 and not session.state.ready, sorted(names() - before))

    rig = next(thing for thing in bpy.context.scene.objects if thing.type == "ARMATURE")
    bpy.context.view_layer.objects.active = rig
    scenes, target = len(bpy.data.scenes), OUT / "turntable.mp4"
    call(bpy.ops.menagerie.turntable, "EXEC_DEFAULT", filepath=str(target), frames=4, size=64)
    yield from until(lambda: operator.running is None)
    check("the turntable is made between ticks", target.is_file() and len(bpy.data.scenes) == scenes, session.state.error)

    bpy.context.scene.menagerie.photo = str(ROOT / "README.md")
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: session.state.error is not None)
    error = session.state.error
    check("a failure is shown with its remedy", error["code"].startswith("photo") and bool(error["remedy"]), error)
    yield from picture("error.png")

    pid = session.state.backend.pid
    session.close()
    yield 2.0
    check("no child is left when the add-on closes", not (Path("/proc") / str(pid)).exists() or is_zombie(pid), pid)


def is_zombie(pid: int) -> bool:
    """Ended, and only waiting to be collected."""
    return "\nState:\tZ" in (Path("/proc") / str(pid) / "status").read_text()


steps = walk()


def resume() -> float | None:
    """The timer: go on with the walk; at its end write what was seen and leave Blender."""
    try:
        return next(steps)
    except StopIteration:
        status = 0
    except BaseException:  # noqa: BLE001  (the script's boundary: whatever stopped the walk is written down)
        check("the walk goes to its end", False, traceback.format_exc()[-1500:])
        status = 1
    (OUT / "seen.json").write_text(json.dumps(seen, indent=1))
    sys.stdout.flush()
    # Blender's own end would ask about unsaved changes.
    os._exit(status)


bpy.app.timers.register(resume, first_interval=2.0)
