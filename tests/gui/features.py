"""Steps with a creature that stands there: joints put right, IK, whole poses, a ready motion, quads, a turntable."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import bpy

from tests.gui import artist
from tests.gui.artist import DRAWN_SECONDS, call, check, module, names, picture, press, until, view
from tests.gui.creature import PATIENCE_SECONDS, choose, rig


def attempt(name: str, steps: Iterator[float]) -> Iterator[float]:
    """Take the steps; what stops them is a finding, and the walk goes on."""
    try:
        yield from steps
    except (RuntimeError, LookupError, TimeoutError, AttributeError, TypeError, StopIteration):
        check(name, False, traceback.format_exc()[-700:])
        yield from picture(f"stopped-{name.replace(' ', '-')}")


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
    call(bpy.ops.object.mode_set, "EXEC_DEFAULT", True, mode="POSE")  # in which bones have their colours
    call(bpy.ops.pose.select_all, "EXEC_DEFAULT", True, action="SELECT")
    yield from picture("ik")
    call(bpy.ops.object.mode_set, "EXEC_DEFAULT", True, mode="OBJECT")
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


def retarget() -> Iterator[float]:
    """A BVH file's motion onto the creature: guessed, shown on trial, baked into an action of its own."""
    owner, file = rig(), artist.setting.out / "walk.bvh"
    choose(owner)
    walk = next(action for action in bpy.data.actions if action.name.startswith(f"{owner.name} ") and "Walk" in action.name)
    module(".compat").assign_action(owner, walk)
    call(bpy.ops.export_anim.bvh, "EXEC_DEFAULT", filepath=str(file), frame_start=1, frame_end=20)
    owner.animation_data.action = None
    chosen, baked = bpy.context.scene.menagerie_retarget, set(bpy.data.actions)
    chosen.kind, chosen.path = "FILE", str(file)
    call(bpy.ops.menagerie.retarget_guess, "INVOKE_DEFAULT", True)
    check("a bone map is guessed", len(chosen.rows) > 5, [f"{row.part}: {row.source} -> {row.target}" for row in chosen.rows][:3])
    call(bpy.ops.menagerie.retarget_preview, "INVOKE_DEFAULT", True)
    bpy.context.scene.frame_set(8)
    yield from picture("retarget-preview")
    call(bpy.ops.menagerie.retarget_bake, "INVOKE_DEFAULT", True)
    action = owner.animation_data.action
    check("the motion is baked and plays", action is not None and action not in baked, action and action.name)
    bpy.context.scene.frame_set(15)
    yield from picture("retarget-baked")


PASSES = {"CLAY", "WIREFRAME", "NORMALS", "SKELETON"}


def turn(link: Any) -> Iterator[float]:
    """A turntable of four frames with every pass; a picture of each pass is beside the pictures of the window."""
    running = module(".turntable.operator")
    folder = artist.setting.out / "turntable"
    folder.mkdir(exist_ok=True)
    target = folder / "creature.mp4"
    call(bpy.ops.menagerie.turntable, "EXEC_DEFAULT", filepath=str(target), format="MP4", frames=4, size=96, passes=PASSES, motion="LOOP")
    yield from until(lambda: running.running is None or len(running.running.pictures) > 1, PATIENCE_SECONDS)
    yield from picture("turntable-running")
    yield from until(lambda: running.running is None, PATIENCE_SECONDS)
    written = sorted(path.name for path in folder.glob("*.mp4"))
    check("a movie of every pass is written", link.state.error is None and len(written) == 1 + len(PASSES), [written, link.state.error])
    still = folder / "still.png"
    call(bpy.ops.menagerie.turntable, "EXEC_DEFAULT", filepath=str(still), format="STILL", size=256, passes=PASSES, motion="HOLD")
    yield from until(lambda: running.running is None, PATIENCE_SECONDS)
    check("a still of every pass is written", len(list(folder.glob("*.png"))) == 1 + len(PASSES), sorted(folder.glob("*.png")))
