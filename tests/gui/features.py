"""Steps with a creature that stands there: joints put right, IK, whole poses, a ready motion, quads, a turntable."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import bpy

from tests.gui import artist
from tests.gui.artist import DRAWN_SECONDS, call, check, module, names, picture, press, until, view
from tests.gui.creature import PATIENCE_SECONDS, rig


def attempt(name: str, steps: Iterator[float]) -> Iterator[float]:
    """Take the steps; what stops them is a finding, and the walk goes on."""
    try:
        yield from steps
    except (RuntimeError, LookupError, TimeoutError, AttributeError, TypeError, StopIteration):
        check(name, False, traceback.format_exc()[-700:])
        yield from picture(f"stopped-{name.replace(' ', '-')}")


def choose(thing: bpy.types.Object) -> None:
    """Select one object and make it the active one."""
    for other in bpy.context.selected_objects:
        other.select_set(False)
    thing.select_set(True)
    bpy.context.view_layer.objects.active = thing


def drag_a_joint(link: Any) -> Iterator[float]:
    """Show Joints, drag one with G, Refit."""
    bpy.data.objects["Cube"].hide_set(True)
    view()["area"].spaces.active.shading.color_type = "TEXTURE"
    choose(rig())
    before = names()
    call(bpy.ops.menagerie.show_joints, "INVOKE_DEFAULT", True)
    yield DRAWN_SECONDS
    call(bpy.ops.menagerie.use_photo_view, "EXEC_DEFAULT", True)
    handles = sorted(names() - before)
    check("joints lie over the photo as handles", bool(handles), handles[:4])
    yield from picture("joints")
    handle = bpy.data.objects[handles[0]]
    choose(handle)
    place = handle.matrix_world.translation.copy()
    yield from press("G")
    x, y = view()["region"].width // 3, view()["region"].height // 2
    artist.move(view()["window"], view()["region"].x + x + 12, view()["region"].y + y)
    yield DRAWN_SECONDS
    yield from press("LEFTMOUSE", pointer=False)
    check("a joint is dragged", (handle.matrix_world.translation - place).length > 0, handle.name)
    yield from picture("dragged")
    call(bpy.ops.menagerie.refit, "INVOKE_DEFAULT", True)
    yield from until(lambda: link.state.job is None, PATIENCE_SECONDS)
    yield DRAWN_SECONDS
    check("Refit ends well", link.state.error is None, link.state.error)
    yield from picture("refitted")
    call(bpy.ops.menagerie.hide_joints, "INVOKE_DEFAULT", True)


def use_ik() -> Iterator[float]:
    """Add IK, seen from the side; its controls; both switches keep the pose."""
    choose(rig())
    call(bpy.ops.menagerie.add_ik, "INVOKE_DEFAULT", True)
    for key in ("NUMPAD_3", "NUMPAD_PERIOD", "NUMPAD_MINUS"):
        yield from press(key)
    yield from picture("ik")
    feet = {name: rig().pose.bones[name].head.copy() for name in ("toe.L", "front_toe.R")}
    for to in ("FK", "IK"):
        call(bpy.ops.menagerie.switch_ik, "EXEC_DEFAULT", True, control="ALL", to=to)
        bpy.context.view_layer.update()
        off = max((rig().pose.bones[name].head - place).length for name, place in feet.items())
        check(f"the switch to {to} keeps the pose", off < 1e-3, f"{off:.1e}")
    yield from picture("ik-switched")


def take_poses() -> Iterator[float]:
    """Mirror, rest and photo pose."""
    for name in ("mirror_pose", "rest_pose", "photo_pose"):
        call(getattr(bpy.ops.menagerie, name), "INVOKE_DEFAULT", True)
        yield from picture(name.replace("_", "-"))


def take_a_motion() -> Iterator[float]:
    """One click and the creature walks."""
    shared = module(".motions.library").load()
    name = next(name for name, motion in shared.motions.items() if motion.kind == "walk")
    call(bpy.ops.menagerie.apply_motion, "INVOKE_DEFAULT", True, motion=name)
    animation = rig().animation_data
    check("a ready motion is assigned", animation is not None and animation.action is not None, name)
    for frame in (5, 15):
        bpy.context.scene.frame_set(frame)
        yield from picture(f"walk-{frame}")


def turn() -> Iterator[float]:
    """A turntable of four frames."""
    running = module(".turntable.operator")
    target = artist.setting.out / "creature.mp4"
    call(bpy.ops.menagerie.turntable, "EXEC_DEFAULT", filepath=str(target), format="MP4", frames=4, size=64)
    yield from until(lambda: running.running is None, PATIENCE_SECONDS)
    check("the turntable is written", target.is_file())
    yield from picture("turntable")
