"""What is tried in a real window; run by `window.py` inside Blender with its GUI.

A generator walks through the checks and yields while Blender goes on living; an app timer resumes it. The backend is
the real process with the made-up method of tests/service, so that the walk takes seconds.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

ZIP, PYTHON, ROOT, OUT = (Path(word) for word in sys.argv[sys.argv.index("--") + 1 :])
PACKAGE = "bl_ext.user_default.menagerie"
PHOTO = ROOT / "tests" / "photos" / "horse.png"
WAIT_SECONDS = 90.0
CALLBACK_SECONDS = 0.010
CALLBACK_WORST_SECONDS = 0.050

CANCEL_SECONDS = 2.0

bpy.context.preferences.view.show_splash = False  # it would swallow keys, and hide the sidebar from the pictures
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


def wait_up_to(holds: Callable[[], bool], seconds: float = 5.0) -> Iterator[float]:
    """Wait until something holds, or so long: the check that follows says which."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        yield 0.1


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


def press(key: str, pointer: bool = True, **modifiers: bool) -> Iterator[float]:
    """Press and release a key, with the pointer moved over the viewport or left where it is."""
    place = view()
    area = place["area"]
    x, y = area.x + area.width // 3, area.y + area.height // 2
    window = place["window"]
    if pointer:
        window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
        yield 0.3
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
    link = module(".link.session")
    check("the zip installs and enables", hasattr(bpy.ops.menagerie, "reconstruct"), bpy.app.version_string)
    child = str(ROOT / "tests" / "service" / "child.py")
    backend = module(".link.process").Backend(PYTHON, ROOT, module(".paths").version(), OUT / "backend.log", entry=(child,))
    link.use(backend)
    took = time_callbacks(link)
    before = names()
    yield from drop_a_photo()
    yield from reconstruct_and_undo(link, before)
    yield from cancel_a_slow_job(link, before)
    slow = sorted(took)[int(0.99 * (len(took) - 1))]
    short = slow <= CALLBACK_SECONDS and max(took) <= CALLBACK_WORST_SECONDS
    check("promise 1: callbacks are short", short, f"p99 {slow * 1e3:.1f} ms of {len(took)}, worst {max(took) * 1e3:.1f} ms")
    yield from wait_while_the_artist_works(link, before)
    yield from look_through_the_camera()
    yield from paint_a_mask()
    yield from pick_one_of_two()
    yield from turntable(link)
    yield from preferences()
    bpy.context.scene.menagerie.photo = str(ROOT / "README.md")
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: link.state.error is not None)
    error = link.state.error
    check("a failure is shown with its remedy", error["code"].startswith("photo") and bool(error["remedy"]), error)
    yield from picture("error.png")
    pid = backend.pid
    link.close()
    yield 2.0
    check("promise 3: no child is left when the add-on closes", not (Path("/proc") / str(pid)).exists() or is_zombie(pid), pid)


def module(name: str) -> Any:
    """A module of the installed add-on."""
    return importlib.import_module(PACKAGE + name)


def time_callbacks(link: Any) -> list[float]:
    """-> a list that fills with the seconds of each tick and each drawing of a panel. Ticks that place a result don't count."""
    took: list[float] = []
    placed: list[bool] = []
    tick, place = link.tick, link.place_if_free

    def timed_tick() -> float | None:
        placed.clear()
        start = time.perf_counter()
        pause: float | None = tick()
        if not placed:
            took.append(time.perf_counter() - start)
        return pause

    def noted_place() -> None:
        placed.append(True)
        place()

    def timed_draw(plain: Callable[..., None]) -> Callable[[Any, Any], None]:
        def draw(self: Any, context: Any) -> None:
            start = time.perf_counter()
            plain(self, context)
            took.append(time.perf_counter() - start)

        return draw

    link.tick, link.place_if_free = timed_tick, noted_place
    panels = module(".panels.main")
    for panel in (panels.MENAGERIE_PT_main, panels.MENAGERIE_PT_creature):
        panel.draw = timed_draw(panel.draw)
    return took


def drop_a_photo() -> Iterator[float]:
    """A picture dropped into the viewport: Blender's own handlers take it as well, so Blender asks which one is meant."""
    view()["area"].spaces.active.show_region_ui = True
    yield 1.0
    asked = call(bpy.ops.wm.drop_import_file, "INVOKE_DEFAULT", directory=str(PHOTO.parent), files=[{"name": PHOTO.name}])
    yield from picture("drop.png")
    yield from press("P", pointer=False)  # "Photo for Menagerie"
    yield from wait_up_to(lambda: bool(bpy.context.scene.menagerie.photo))
    check("a photo dropped into the viewport is the panel's", bpy.context.scene.menagerie.photo == str(PHOTO), asked)
    sidebar = next(region for region in view()["area"].regions if region.type == "UI")
    check("the drop opens the add-on's page", sidebar.active_panel_category == "Menagerie", sidebar.active_panel_category)


def reconstruct_and_undo(link: Any, before: set[str]) -> Iterator[float]:
    """Promise 2: the result is one step of undo, from Object Mode and from modes with an undo of their own."""
    bpy.context.scene.menagerie.photo = str(PHOTO)
    bpy.ops.ed.undo_push(message="Photo chosen")
    frame, active = bpy.context.scene.frame_current, bpy.context.object.name
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: link.state.job is None and names() != before)
    made = names() - before
    check("a finished job is placed by itself", len(made) >= 3, sorted(made))
    same = bpy.context.mode == "OBJECT" and bpy.context.scene.frame_current == frame and bpy.context.object.name == active
    check("mode, selection and frame stay", same, active)
    yield from picture("placed.png")
    yield from press("Z", ctrl=True)
    yield from wait_up_to(lambda: names() == before)
    check("promise 2: one undo removes the creature", names() == before and not left_over(), sorted(names()))
    yield from press("Z", ctrl=True, shift=True)
    yield from wait_up_to(lambda: names() == before | made)
    check("redo brings it back", names() == before | made, sorted(names()))
    yield from press("Z", ctrl=True)
    yield from wait_up_to(lambda: names() == before)


def left_over() -> list[str]:
    """Datablocks of a creature, which an undo must take along."""
    kinds = (bpy.data.armatures, bpy.data.actions, bpy.data.collections, bpy.data.images, bpy.data.materials, bpy.data.cameras)
    return [block.name for kind in kinds for block in kind if block.name.startswith("horse")]


def cancel_a_slow_job(link: Any, before: set[str]) -> Iterator[float]:
    """Promises 1 and 3: the viewport answers while a job runs, and Cancel ends it."""
    slow = OUT / "slow.png"
    slow.write_bytes(PHOTO.read_bytes())
    bpy.context.scene.menagerie.photo = str(slow)
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: link.state.job is not None and link.state.job.stage == "slow" and link.state.job.preview)
    space = view()["area"].spaces.active
    turned = space.region_3d.view_rotation.copy()
    yield from press("NUMPAD_4")
    yield from wait_up_to(lambda: space.region_3d.view_rotation != turned)
    check("promise 1: the view turns while a job runs", space.region_3d.view_rotation != turned and link.state.job is not None)
    yield from picture("running.png")
    start, turns = time.monotonic(), 0
    call(bpy.ops.menagerie.cancel, "INVOKE_DEFAULT", True)
    while link.state.job is not None and turns < 100:
        yield 0.05
        turns += 1
    gone = time.monotonic() - start
    # A window drawn by the processor may take a second for one turn of its loop.
    good = (gone < CANCEL_SECONDS or turns <= 2) and names() == before and link.state.error is None
    check("promise 3: Cancel works", good, f"{gone:.2f} s, {turns} turns of the window")


def wait_while_the_artist_works(link: Any, before: set[str]) -> Iterator[float]:
    """A result waits in modes that have an undo of their own, is placed from there, and is one step of undo there as well."""
    bpy.context.scene.menagerie.photo = str(PHOTO)
    for mode in ("SCULPT", "EDIT", "TEXTURE_PAINT"):
        bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
        call(bpy.ops.object.mode_set, "EXEC_DEFAULT", True, mode=mode)
        call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
        yield from until(lambda: bool(link.state.ready))
        yield 0.5
        check(f"in {mode} the result waits", names() == before and cube_mode() == mode, sorted(names()))
        if mode == "SCULPT":
            yield from picture("waiting.png")
        call(bpy.ops.menagerie.place, "INVOKE_DEFAULT", True)
        check(f"Place puts it down from {mode}", len(names() - before) >= 3 and cube_mode() == mode, sorted(names()))
        yield from press("Z", ctrl=True)
        yield from wait_up_to(lambda: names() == before)
        check(f"promise 2: one undo removes it in {mode}", names() == before and cube_mode() == mode, [sorted(names()), cube_mode()])
        call(bpy.ops.object.mode_set, "EXEC_DEFAULT", True, mode="OBJECT")


def cube_mode() -> str:
    """Mode of the artist's own object."""
    return str(bpy.data.objects["Cube"].mode)


def look_through_the_camera() -> Iterator[float]:
    """A creature with its photo behind it, textured, through its camera."""
    bpy.data.objects.remove(bpy.data.objects["Cube"])  # it would stand in the picture
    before = names()
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: names() != before)
    rig = next(thing for thing in bpy.context.scene.objects if thing.type == "ARMATURE")
    bpy.context.view_layer.objects.active = rig
    call(bpy.ops.menagerie.use_photo_view, "EXEC_DEFAULT", True)
    view()["area"].spaces.active.shading.type = "MATERIAL"
    check("the photo's view is the scene's", bpy.context.scene.camera.name == "horse photo_camera")
    yield 3.0
    yield from picture("view.png")
    view()["area"].spaces.active.shading.type = "SOLID"


def paint_a_mask() -> Iterator[float]:
    """An editor opens with the photo, and a brush of ours in the hand; the artist's own are as before."""
    painting = bpy.context.scene.tool_settings.image_paint
    theirs = {brush.name: brush.blend for brush in bpy.data.brushes}
    call(bpy.ops.menagerie.paint_mask, "INVOKE_DEFAULT", True)
    yield from wait_up_to(lambda: painting.brush is not None and painting.brush.blend == "ERASE_ALPHA")
    yield from picture("mask.png")
    brush = painting.brush
    ours = brush is not None and brush.blend == "ERASE_ALPHA" and brush.name not in theirs
    same = all(bpy.data.brushes[name].blend == blend for name, blend in theirs.items())
    check("a mask is painted with an eraser of ours", ours and same, [brush and brush.name, theirs])
    windows = bpy.context.window_manager.windows
    if len(windows) == 2:
        with bpy.context.temp_override(window=windows[1]):
            bpy.ops.wm.window_close()
    yield 0.3


def pick_one_of_two() -> Iterator[float]:
    """A click in the photo chooses one of two animals, Enter accepts it; a click beside it and Esc leave everything as it was."""
    picking = module(".ops.picking")
    chosen = bpy.context.scene.menagerie
    chosen.photo = str(two_animals())
    for key in ("RET", "ESC"):
        before = chosen.mask_image and picking.read_alpha(chosen.mask_image).copy()
        call(bpy.ops.menagerie.pick_animal, "INVOKE_DEFAULT")
        yield from wait_up_to(lambda: picking.current is not None and bool(picking.editors(picking.current.image)))
        check("a picking begins", picking.current is not None)
        if picking.current is None:
            return
        yield 1.5
        yield from click_at(picking, (0.75, 0.7) if key == "RET" else (0.25, 0.4), ctrl=key == "ESC")
        yield from wait_up_to(lambda: picking.current is None or picking.current.answered == 1, WAIT_SECONDS)
        check(f"a click is answered ({key})", picking.current is not None and picking.current.answered == 1)
        yield from picture(f"pick_{key.lower()}.png")
        yield 0.5
        yield from press_in(editor(picking), key)
        yield from wait_up_to(lambda: picking.current is None)
        alpha = chosen.mask_image and picking.read_alpha(chosen.mask_image)
        if key == "RET":
            height, width = alpha.shape
            one = alpha[int(0.7 * height), int(0.75 * width)] > 0.9 and alpha[:, : width // 2].max() < 0.1
            kept = picking.current is None and chosen.mask_kind == "PAINTED"
            check("a click chooses one of two animals and Enter keeps it", kept and one, [kept, one])
        else:
            same = before is not None and alpha is not None and bool((abs(alpha - before) < 1 / 128).all())
            check("Esc leaves the mask as it was", picking.current is None and same)
    windows = bpy.context.window_manager.windows
    if len(windows) == 2:
        with bpy.context.temp_override(window=windows[1]):
            bpy.ops.wm.window_close()
    chosen.photo = str(PHOTO)
    yield 0.3


def two_animals() -> Path:
    """A cut-out with two islands of like size: about (0.25, 0.4) and (0.75, 0.7) of its width and, from below, its height."""
    image = bpy.data.images.new("two", 600, 400, alpha=True)
    pixels = [0.0] * (600 * 400 * 4)
    for left, bottom in ((50, 110), (370, 220)):
        for row in range(bottom, bottom + 100):
            for column in range(left, left + 180):
                pixels[4 * (row * 600 + column) : 4 * (row * 600 + column) + 4] = (0.4, 0.3, 0.2, 1.0)
    image.pixels.foreach_set(pixels)
    image.filepath_raw, image.file_format = str(OUT / "two.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return OUT / "two.png"


def editor(picking: Any) -> tuple[Any, Any, Any]:
    """Window, area and region of the Image Editor in which is picked."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area in picking.editors(picking.current.image):
                return window, area, next(region for region in area.regions if region.type == "WINDOW")
    raise LookupError("no editor shows the photo")


def click_at(picking: Any, place: tuple[float, float], ctrl: bool) -> Iterator[float]:
    """Click on a place of the photo, in shares of its width and, from below, its height."""
    window, area, region = editor(picking)
    x, y = region.view2d.view_to_region(*place, clip=False)
    yield from press_in((window, area, region), "LEFTMOUSE", (region.x + x, region.y + y), ctrl=ctrl)


def press_in(where: tuple[Any, Any, Any], key: str, at: tuple[int, int] | None = None, **modifiers: bool) -> Iterator[float]:
    """Press and release a key or button with the pointer in an editor."""
    window, area, _ = where
    x, y = at or (area.x + area.width // 2, area.y + area.height // 2)
    window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    yield 0.3
    window.event_simulate(type=key, value="PRESS", x=x, y=y, **modifiers)
    window.event_simulate(type=key, value="RELEASE", x=x, y=y, **modifiers)
    yield 0.5


def turntable(link: Any) -> Iterator[float]:
    """A movie and a GIF, one picture a tick."""
    running = module(".turntable.operator")
    for kind, name in (("MP4", "turntable.mp4"), ("GIF", "turntable.gif")):
        scenes, target = len(bpy.data.scenes), OUT / name
        call(bpy.ops.menagerie.turntable, "EXEC_DEFAULT", filepath=str(target), format=kind, frames=4, size=64)
        yield from until(lambda: running.running is None)
        good = target.is_file() and len(bpy.data.scenes) == scenes
        check(f"the turntable is made between ticks: {kind}", good, link.state.error or "")


def preferences() -> Iterator[float]:
    """The add-on's page of the preferences, in a window of its own."""
    with bpy.context.temp_override(**view()):
        bpy.ops.preferences.addon_show(module=PACKAGE)
    yield from picture("preferences.png")
    windows = bpy.context.window_manager.windows
    check("the preferences open at the add-on", len(windows) == 2)
    if len(windows) == 2:
        for _ in range(20):
            windows[1].event_simulate(type="WHEELDOWNMOUSE", value="PRESS", x=windows[1].width * 2 // 3, y=windows[1].height // 2)
        yield from picture("weights.png")
        with bpy.context.temp_override(window=windows[1]):
            bpy.ops.wm.window_close()
    yield 0.3


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
