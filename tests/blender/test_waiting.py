"""A result is placed by itself where the artist waits for it, and waits as "Ready: Place" where they are elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.link import session
from blender_addon.panels import main as panel
from tests import promise
from tests.blender.button import PATIENCE, choose_photo, drawn, everything, finish_unplaced, reconstruct
from tests.blender.creatures import empty_blender

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

WATCHED_SECONDS = 4.0


def finish_as_the_timer_does(folder: Path, plan: session.Plan | None = None, meanwhile: Callable[[], object] | None = None) -> None:
    """Start a job and call the timer's function until it has ended; `meanwhile` is what the artist does after the start."""
    if plan is None:
        photo = choose_photo(folder)
        plan = session.Plan(str(photo), str(session.new_folder()), {}, bpy.context.scene.name, "ram")
    session.begin(bpy.context, plan)
    if meanwhile is not None:
        meanwhile()
    deadline = time.monotonic() + PATIENCE
    while session.state.job is not None:
        assert time.monotonic() < deadline
        session.tick()
        time.sleep(0.01)


def add_cube() -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add()
    return bpy.context.object


def test_a_result_is_placed_by_itself_in_object_mode(tmp_path: Path) -> None:
    finish_as_the_timer_does(tmp_path)
    assert bpy.data.objects["ram"].type == "ARMATURE" and not session.state.ready and session.state.error is None


@pytest.mark.parametrize("mode", ["EDIT", "SCULPT", "WEIGHT_PAINT", "TEXTURE_PAINT"])
def test_in_another_mode_it_waits_and_can_be_placed_from_there(tmp_path: Path, mode: str) -> None:
    cube = add_cube()
    bpy.context.scene.frame_set(7)
    before = everything()
    finish_as_the_timer_does(tmp_path, meanwhile=lambda: bpy.ops.object.mode_set(mode=mode))
    assert len(session.state.ready) == 1 and everything() == before and cube.mode == mode
    assert "Ready: Place ram" in drawn(panel.MENAGERIE_PT_main)
    assert bpy.ops.menagerie.place() == {"FINISHED"}
    assert cube.mode == mode and bpy.context.object == cube and bpy.context.selected_objects == [cube]
    assert bpy.context.scene.frame_current == 7 and bpy.data.objects.get("ram") is not None
    bpy.ops.object.mode_set(mode="OBJECT")


def test_in_another_scene_it_waits_and_is_placed_where_the_artist_asks(tmp_path: Path) -> None:
    first, other = bpy.context.scene, bpy.data.scenes.new("other")
    finish_as_the_timer_does(tmp_path, meanwhile=lambda: setattr(bpy.context.window, "scene", other))
    assert bpy.context.scene == other and len(session.state.ready) == 1 and not bpy.data.objects
    assert bpy.ops.menagerie.place() == {"FINISHED"}
    assert bpy.data.objects["ram"].users_scene == (other,) and not first.objects


def test_while_blender_renders_it_waits_and_place_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "rendering", lambda: True)
    finish_as_the_timer_does(tmp_path)
    assert len(session.state.ready) == 1 and not bpy.data.objects and not bpy.ops.menagerie.place.poll()
    monkeypatch.undo()
    assert bpy.ops.menagerie.place() == {"FINISHED"}


def test_in_another_file_it_waits_and_never_takes_a_creature_of_the_same_name_for_its_own(tmp_path: Path) -> None:
    reconstruct(tmp_path)
    path = tmp_path / "other.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    plan = session.again(bpy.context, seed=3)
    finish_as_the_timer_does(tmp_path, plan, meanwhile=lambda: bpy.ops.wm.open_mainfile(filepath=str(path)))
    mesh = bpy.data.objects["ram mesh"].data
    assert len(session.state.ready) == 1 and "Ready: Place ram" in drawn(panel.MENAGERIE_PT_main)
    assert bpy.ops.menagerie.place() == {"FINISHED"}
    assert bpy.data.objects["ram mesh"].data == mesh and bpy.data.objects.get("ram.001") is not None


def hide_collection(rig: bpy.types.Object) -> None:
    bpy.context.view_layer.layer_collection.children[rig.users_collection[0].name].exclude = True


def edit_mesh(rig: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = next(child for child in rig.children if child.type == "MESH")
    bpy.ops.object.mode_set(mode="EDIT")


def pose(rig: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="POSE")


@pytest.mark.parametrize("elsewhere", [hide_collection, edit_mesh, pose])
def test_a_creature_that_is_hidden_edited_or_posed_is_not_replaced_under_the_artist(tmp_path: Path, elsewhere: Any) -> None:
    rig = reconstruct(tmp_path)
    body = next(child for child in rig.children if child.type == "MESH")
    mesh, mode = body.data, bpy.context.mode
    plan = session.again(bpy.context, seed=3)
    finish_as_the_timer_does(tmp_path, plan, meanwhile=lambda: elsewhere(rig))
    assert body.data == mesh and len(session.state.ready) == 1 and session.read_record(rig)["settings"].get("seed") != 3
    if elsewhere is edit_mesh:
        with pytest.raises(RuntimeError, match="being edited"):
            bpy.ops.menagerie.place()
        assert len(session.state.ready) == 1, "a refusal that the artist can mend keeps the result"
        bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.menagerie.place() == {"FINISHED"}
    assert session.read_record(rig)["settings"]["seed"] == 3 and bpy.context.mode in (mode, "POSE")


def test_a_waiting_result_can_be_dismissed(tmp_path: Path) -> None:
    finish_unplaced(tmp_path)
    bpy.ops.menagerie.dismiss(what="RESULT")
    assert not session.state.ready and not bpy.ops.menagerie.place.poll()


def test_a_creature_that_was_deleted_meanwhile_is_made_anew(tmp_path: Path) -> None:
    reconstruct(tmp_path)
    plan = session.again(bpy.context)
    session.begin(bpy.context, plan)
    empty_blender()
    bpy.context.scene.name = plan.scene
    session.finish(bpy.context, PATIENCE)
    assert bpy.data.objects.get("ram") is not None


def test_promise_1_callbacks_are_short_while_a_job_runs(tmp_path: Path) -> None:
    rig = reconstruct(tmp_path)
    bpy.context.view_layer.objects.active = rig
    photo = choose_photo(tmp_path, "slow")
    plan = session.Plan(str(photo), str(session.new_folder()), {}, bpy.context.scene.name, "slow")
    took: list[promise.Took] = []
    with promise.own_garbage_only():
        promise.timed(took, lambda: session.begin(bpy.context, plan))
        end = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < end:
            promise.timed(took, session.tick)
            for kind in (panel.MENAGERIE_PT_main, panel.MENAGERIE_PT_creature):
                promise.timed(took, lambda kind=kind: drawn(kind))
            time.sleep(0.01)
        assert session.state.job is not None and session.state.job.stage == "slow"
        promise.timed(took, session.cancel)
        while session.state.job is not None:
            promise.timed(took, session.tick)
            time.sleep(0.01)
    slow, worst = promise.slow_and_worst(took)
    assert slow < promise.CALLBACK_SECONDS and worst < promise.WORST_SECONDS
