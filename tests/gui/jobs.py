"""Steps with the made-up method: a photo is dropped, jobs are started, cancelled, placed and undone, wherever the artist is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import bpy

from tests.gui import artist
from tests.gui.artist import call, check, names, picture, press, until, view, wait_up_to

CANCEL_SECONDS = 2.0
"""Promise 3."""


def drop_a_photo() -> Iterator[float]:
    """A picture dropped into the viewport: Blender's own handlers take it as well, so Blender asks which one is meant."""
    view()["area"].spaces.active.show_region_ui = True
    yield 1.0
    photo = artist.setting.photo
    asked = call(bpy.ops.wm.drop_import_file, "INVOKE_DEFAULT", directory=str(photo.parent), files=[{"name": photo.name}])
    yield from picture("drop")
    yield from press("P", pointer=False)  # "Photo for Menagerie"
    yield from wait_up_to(lambda: bool(bpy.context.scene.menagerie.photo))
    check("a photo dropped into the viewport is the panel's", bpy.context.scene.menagerie.photo == str(photo), asked)
    page = view("UI")["region"].active_panel_category
    check("the drop opens the add-on's page", page == "Menagerie", page)


def reconstruct_and_undo(link: Any, before: set[str]) -> Iterator[float]:
    """Promise 2: the result is one step of undo, from Object Mode and from modes with an undo of their own."""
    bpy.context.scene.menagerie.photo = str(artist.setting.photo)
    bpy.ops.ed.undo_push(message="Photo chosen")
    frame, active = bpy.context.scene.frame_current, bpy.context.object.name
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: link.state.job is None and names() != before)
    made = names() - before
    check("a finished job is placed by itself", len(made) >= 3, sorted(made))
    same = bpy.context.mode == "OBJECT" and bpy.context.scene.frame_current == frame and bpy.context.object.name == active
    check("mode, selection and frame stay", same, active)
    yield from picture("placed")
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
    slow = artist.setting.out / "slow.png"
    slow.write_bytes(artist.setting.photo.read_bytes())
    bpy.context.scene.menagerie.photo = str(slow)
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: link.state.job is not None and link.state.job.stage == "slow" and link.state.job.preview)
    space = view()["area"].spaces.active
    turned = space.region_3d.view_rotation.copy()
    yield from press("NUMPAD_4")
    yield from wait_up_to(lambda: space.region_3d.view_rotation != turned)
    check("promise 1: the view turns while a job runs", space.region_3d.view_rotation != turned and link.state.job is not None)
    yield from picture("running")
    start = time.monotonic()
    call(bpy.ops.menagerie.cancel, "INVOKE_DEFAULT", True)
    yield from stop(link, start, names() == before)


def stop(link: Any, start: float, same: bool) -> Iterator[float]:
    """Promise 3, after Cancel was pressed at this monotonic time. same: the scene is as it was before the job."""
    turns = 0
    while link.state.job is not None and turns < 100:
        yield 0.05
        turns += 1
    gone = time.monotonic() - start
    # A window drawn by the processor may take a second for one turn of its loop.
    good = (gone < CANCEL_SECONDS or turns <= 2) and same and link.state.error is None and link.state.job is None
    check("promise 3: Cancel works", good, f"{gone:.2f} s, {turns} turns of the window")


def wait_while_the_artist_works(link: Any, before: set[str]) -> Iterator[float]:
    """A result waits in modes that have an undo of their own, is placed from there, and is one step of undo there as well."""
    bpy.context.scene.menagerie.photo = str(artist.setting.photo)
    for mode in ("SCULPT", "EDIT", "TEXTURE_PAINT"):
        bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
        call(bpy.ops.object.mode_set, "EXEC_DEFAULT", True, mode=mode)
        call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
        yield from until(lambda: bool(link.state.ready))
        yield 0.5
        check(f"in {mode} the result waits", names() == before and cube_mode() == mode, sorted(names()))
        if mode == "SCULPT":
            yield from picture("waiting")
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
    # Material Preview would compile its shaders for minutes without a graphics card.
    view()["area"].spaces.active.shading.color_type = "TEXTURE"
    check("the photo's view is the scene's", bpy.context.scene.camera.name == "horse photo_camera")
    yield from picture("view")
