"""What an artist does, step by step, by mouse and keyboard, with the real method: from the zip to a posed, mirrored creature."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d

from tests.gui import artist, jobs, seconds
from tests.gui.artist import (
    DRAWN_SECONDS,
    PACKAGE,
    call,
    check,
    click_button,
    close_second_window,
    names,
    picture,
    press,
    press_at,
    show_sidebar,
    show_whole,
    until,
    view,
    wait_up_to,
    write_into,
)

PATIENCE_SECONDS = 1500.0
"""For a reconstruction, with a window drawn by the same cores; a quiet machine needs half a minute."""
LOOK_SECONDS = 4.0
"""Between two turns of the view; a window without a graphics card keeps a core while it turns."""
DEGREES = 0.01
"""Of a turn that was typed in."""
SAME = 1e-4
"""Of a length in the armature's units: a mirrored pose's joints."""


def install_from_disk() -> Iterator[float]:
    """The zip, through the file browser that "Install from Disk" in the preferences opens."""
    window = bpy.context.window_manager.windows[0]
    artist.move(window, window.width // 2, window.height // 2)  # a window opens where the pointer is
    yield DRAWN_SECONDS
    with bpy.context.temp_override(**view()):
        bpy.ops.screen.userpref_show("INVOKE_DEFAULT", section="EXTENSIONS")
    yield from show_whole()
    window = bpy.context.window_manager.windows[-1]
    area = window.screen.areas[0]
    yield from picture("get-extensions")
    with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
        bpy.ops.extensions.package_install_files("INVOKE_DEFAULT")
    yield from show_whole()
    window, area = next(
        (window, area)
        for window in bpy.context.window_manager.windows
        for area in window.screen.areas
        if area.type == "FILE_BROWSER"
    )  # fmt: skip
    params = area.spaces.active.params
    params.directory, params.filename = bytes(artist.setting.zip.parent), artist.setting.zip.name
    yield from picture("install-from-disk")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.file.execute("INVOKE_DEFAULT")
    yield from wait_up_to(lambda: PACKAGE in bpy.context.preferences.addons, 60.0)
    yield from picture("installed")
    check("Install from Disk installs and enables the zip", PACKAGE in bpy.context.preferences.addons, bpy.app.version_string)
    yield from close_second_window()


def choose_environment() -> Iterator[float]:
    """The backend's own environment, as the preferences offer it."""
    bpy.context.preferences.addons[PACKAGE].preferences.python_path = str(artist.setting.python)
    yield from show_sidebar()
    yield from picture("empty-panel")


def choose_photo() -> Iterator[float]:
    """The photo's path, written into its field."""
    yield from write_into("menagerie.photo", str(artist.setting.photo))
    check("the photo is written into its field", bpy.context.scene.menagerie.photo == str(artist.setting.photo))
    yield from picture("photo")


def reconstruct(link: Any, gaps: seconds.Gaps | None = None) -> Iterator[float]:
    """Press Reconstruct and wait until the creature stands there. gaps: turn the view meanwhile, and keep them."""
    before = names()
    yield from click_button("menagerie.reconstruct")
    start = time.monotonic()
    yield from until(lambda: link.state.job is not None or link.state.error is not None)
    if gaps is not None:
        yield from turn_meanwhile(link, gaps)
    yield from until(lambda: link.state.job is None, PATIENCE_SECONDS)
    took = time.monotonic() - start
    yield from wait_up_to(lambda: names() != before)
    check("Reconstruct places a creature", len(names() - before) >= 3, [f"{took:.0f} s", link.state.error])
    yield from picture("placed")


def turn_meanwhile(link: Any, gaps: seconds.Gaps) -> Iterator[float]:
    """Turn the view as long as the job goes on."""
    space, turned, end = view()["area"].spaces.active, False, time.monotonic() + PATIENCE_SECONDS
    gaps.during("with a job")
    while link.state.job is not None and time.monotonic() < end:
        rotation = space.region_3d.view_rotation.copy()
        yield from press("NUMPAD_4")
        yield LOOK_SECONDS
        if not turned and space.region_3d.view_rotation != rotation:
            turned = True
            gaps.during("")  # the picture itself keeps the thread
            yield from picture("running")
            gaps.during("with a job")
    gaps.during("")
    check("the view turns meanwhile", turned, gaps.describe("with a job"))


def undo_and_redo() -> Iterator[float]:
    """One Ctrl+Z takes the creature away, Ctrl+Shift+Z brings it back."""
    made = names()
    yield from press("Z", ctrl=True)
    yield from wait_up_to(lambda: names() != made)
    gone = made - names()
    yield from picture("undone")
    yield from press("Z", ctrl=True, shift=True)
    yield from wait_up_to(lambda: names() == made)
    check("undo takes the creature away and redo brings it back", len(gone) >= 3 and names() == made, sorted(gone))
    yield from picture("redone")


def cancel_another(link: Any) -> Iterator[float]:
    """A second job, of the better quality, which shows its picture; ended by its Cancel button."""
    before = names()
    bpy.context.scene.menagerie.quality = "fine"
    yield from click_button("menagerie.reconstruct")
    yield from until(lambda: link.state.job is None or bool(link.state.job.preview), PATIENCE_SECONDS)
    check("a job shows its picture", link.state.job is not None, link.state.error)
    yield from picture("picture")
    yield from artist.find_button("menagerie.cancel")
    check("Cancel stands where Reconstruct was", bool(artist.found))
    if not artist.found:
        return
    window, x, y = artist.found["window"], artist.found["x"], artist.found["y"]
    window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y)
    yield from jobs.stop(link, time.monotonic(), names() == before)
    yield from picture("cancelled")
    bpy.context.scene.menagerie.quality = "fast"


def rig() -> bpy.types.Object:
    """The creature's armature."""
    return next(thing for thing in bpy.context.scene.objects if thing.type == "ARMATURE")


def choose(thing: bpy.types.Object) -> None:
    """Select one object and make it the active one."""
    for other in bpy.context.selected_objects:
        other.select_set(False)
    thing.select_set(True)
    bpy.context.view_layer.objects.active = thing


def look_at_it() -> Iterator[float]:
    """Through the photo's camera, textured; then from the side with the creature filling the view."""
    bpy.data.objects["Cube"].hide_set(True)
    yield from click_button("menagerie.use_photo_view")
    # Material Preview would compile its shaders for minutes without a graphics card.
    view()["area"].spaces.active.shading.color_type = "TEXTURE"
    check("the photo's view is the scene's", bpy.context.scene.camera.name.endswith("photo_camera"))
    yield DRAWN_SECONDS
    check_framing()
    yield from picture("photo-view")
    for thing in bpy.context.selected_objects:
        thing.select_set(False)
    rig().select_set(True)
    bpy.context.view_layer.objects.active = rig()
    yield from press("NUMPAD_3")
    for key in ("NUMPAD_PERIOD", "NUMPAD_MINUS", "NUMPAD_MINUS"):
        yield from press(key)
    yield DRAWN_SECONDS
    yield from picture("from-the-side")


def check_framing() -> None:
    """Where Blender draws the camera's frame, nothing lies over it."""
    place, camera = view(), bpy.context.scene.camera
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=bpy.context.scene)]
    spots = [location_3d_to_region_2d(place["region"], place["area"].spaces.active.region_3d, corner) for corner in corners]
    free = artist.module(".scene.framing").free_part(place["area"])
    inside = all(free.left <= spot.x <= free.right and free.bottom <= spot.y <= free.top for spot in spots)
    check("the whole photo is seen beside the sidebar", inside, [free, [tuple(map(round, spot)) for spot in spots]])


def pose_a_bone() -> Iterator[float]:
    """Ctrl+Tab into Pose Mode, a click on the head, R X X 30: it turns, and nothing else."""
    yield from press("TAB", ctrl=True)
    yield from wait_up_to(lambda: rig().mode == "POSE")
    check("Ctrl Tab goes into Pose Mode", rig().mode == "POSE")
    head = rig().pose.bones["head"]
    before = {bone.name: bone.matrix_basis.copy() for bone in rig().pose.bones}
    place = view()
    at = location_3d_to_region_2d(place["region"], place["area"].spaces.active.region_3d, rig().matrix_world @ head.center)
    x, y = place["region"].x + at.x, place["region"].y + at.y
    yield from press_at(place["window"], "LEFTMOUSE", x, y)
    active = rig().data.bones.active
    check("a click selects the bone under it", active is not None and active.name == "head", active and active.name)
    rig().data.bones.active = rig().data.bones["head"]
    for key in ("R", "X", "X"):
        yield from press_at(place["window"], key, x, y)
    yield from artist.write(place["window"], x, y, "30")
    yield from press_at(place["window"], "RET", x, y)
    angle = math.degrees(before["head"].to_quaternion().rotation_difference(head.matrix_basis.to_quaternion()).angle)
    check("the head turns by what was typed", abs(angle - 30) < DEGREES, f"{angle:.2f} degrees")
    turned = [bone.name for bone in rig().pose.bones if bone.matrix_basis != before[bone.name]]
    check("the posed bone turns and no other", turned == ["head"], turned)
    yield from picture("posed")


def mirror_a_pose() -> Iterator[float]:
    """Copy, and Paste Pose Flipped: every joint where its counterpart's reflection was."""
    before = {bone.name: bone.head.copy() for bone in rig().pose.bones}
    yield from press("A")
    yield from press("C", ctrl=True)
    yield from press("V", ctrl=True, shift=True)
    yield from wait_up_to(lambda: rig().pose.bones["toe.L"].head != before["toe.L"])
    bpy.context.view_layer.update()
    off = 0.0
    for bone in rig().pose.bones:
        was = before[bpy.utils.flip_name(bone.name)]
        off = max(off, abs(bone.head.x + was.x), abs(bone.head.y - was.y), abs(bone.head.z - was.z))
    check("Paste Pose Flipped is the reflection", off <= SAME, f"{off:.1e}")
    yield from picture("mirrored")
    yield from press("Z", ctrl=True)
    call(bpy.ops.object.mode_set, "EXEC_DEFAULT", True, mode="OBJECT")
