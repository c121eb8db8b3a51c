"""Turntables made between ticks: Blender goes on meanwhile, what is cancelled resumes, and what fails says why and leaves nothing."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

import bpy
import pytest

from blender_addon import turntable
from blender_addon.link import session
from blender_addon.scene.creature import Creature
from blender_addon.turntable import movie, operator, picture
from blender_addon.turntable import turn as turns
from blender_addon.turntable.stage import Look
from tests.blender.button import PYTHON, ROOT, drawn
from tests.blender.turntables import SIZE, bytes_of, counts, members, nodding_creature

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("kept_folder")]

TICK_SECONDS = 0.5
"""Of a tick that only starts a program; making the GIF takes longer than that."""

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def placed() -> Creature:
    return nodding_creature()


def fail(reason: Exception) -> None:
    raise reason


@pytest.mark.parametrize("format", ["PNG", "MP4"])
@pytest.mark.usefixtures("add_on")
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    bpy.ops.mesh.primitive_cube_add()
    before = counts()
    if format == "PNG":
        monkeypatch.setattr(Path, "write_bytes", lambda *words: fail(NO_SPACE))
    else:
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1 << 30, 1 << 30, 0))  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="The disk is full"):
        bpy.ops.menagerie.turntable(filepath=str(tmp_path / "turn"), frames=2, size=SIZE, format=format)
    operator.running = turntable.Turn(bpy.context, [bpy.context.object], tmp_path / "turn.mp4", turntable.Look(2, SIZE), format)
    while operator.tick() is not None:
        pass
    assert session.state.error is not None and session.state.error["code"] == "disk_full"
    assert counts() == before and not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("add_on")
def test_a_picture_that_is_not_whole_is_put_into_no_movie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender makes an empty file where the disk of the temporary pictures is full, and a movie of those ends Blender."""
    bpy.ops.mesh.primitive_cube_add()
    turn = turntable.Turn(bpy.context, [bpy.context.object], tmp_path / "turn.mp4", turntable.Look(2, SIZE))
    turn.step()
    whole = turn.pictures[0].read_bytes()
    for damaged in (b"", whole[:-1]):
        turn.pictures[0].write_bytes(damaged)
        assert not picture.is_whole(turn.pictures[0])
    turn.rest()
    monkeypatch.setattr(turns, "is_whole", lambda path: False)
    monkeypatch.setattr(movie, "is_full", lambda folder: True)
    operator.running = turn
    assert operator.tick() is None and session.state.error is not None and session.state.error["code"] == "disk_full"


@pytest.mark.parametrize("reason", [RuntimeError("Error: Render error (No space left on device)"), NO_SPACE])
def test_whoever_tells_of_a_full_disk_the_code_is_the_same(reason: Exception) -> None:
    assert operator.failure(reason).code == "disk_full"


@pytest.mark.parametrize(("format", "name"), [("MP4", "turn.mp4"), ("GIF", "turn.gif"), ("PNG", "turn"), ("STILL", "turn.png")])
@pytest.mark.usefixtures("add_on")
def test_the_operator_makes_every_format_and_corrects_the_files_ending(tmp_path: Path, format: str, name: str) -> None:
    bpy.ops.mesh.primitive_cube_add()
    before = counts()
    words = {"frames": 4, "size": SIZE, "engine": "WORKBENCH", "elevation": 0.5, "format": format}
    assert bpy.ops.menagerie.turntable(filepath=str(tmp_path / "turn.gif"), **words) == {"FINISHED"}
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert counts() == before


@pytest.mark.usefixtures("add_on")
def test_the_timer_makes_one_picture_a_tick_and_leaves_nothing_between(tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.keyframe_insert("location", frame=1)
    bpy.context.object.location.x = 0.5  # by hand, over its action
    bpy.context.view_layer.update()
    before = counts()
    place = (PYTHON, ROOT)
    operator.running = turntable.Turn(bpy.context, [bpy.context.object], tmp_path / "turn.gif", turntable.Look(3, SIZE), "GIF", place)
    for made in (1, 2, 3):
        assert operator.tick() is not None and len(operator.running.pictures) == made
        assert counts() == before and not list(tmp_path.iterdir())
        bpy.context.view_layer.update()
        assert bpy.context.object.location.x == 0.5
        assert f"Turntable {made} of 3" in drawn(operator.MENAGERIE_PT_turntable)
    start = time.perf_counter()
    assert operator.tick() is not None, "the GIF is made by another program meanwhile"
    assert time.perf_counter() - start < TICK_SECONDS
    while operator.tick() is not None:
        time.sleep(0.05)
    assert operator.running is None and session.state.error is None and [file.name for file in tmp_path.iterdir()] == ["turn.gif"]


@pytest.mark.usefixtures("add_on")
def test_a_cancelled_turntable_writes_nothing(tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    before = counts()
    operator.running = turntable.Turn(bpy.context, [bpy.context.object], tmp_path / "turn.mp4", turntable.Look(3, SIZE))
    operator.tick()
    assert bpy.ops.menagerie.turntable_cancel() == {"FINISHED"}
    assert operator.tick() is None and counts() == before and not list(tmp_path.iterdir())


@pytest.mark.usefixtures("add_on")
def test_what_is_deleted_meanwhile_stops_the_turntable_with_a_reason(tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    operator.running = turntable.Turn(bpy.context, [bpy.context.object], tmp_path / "turn.mp4", turntable.Look(3, SIZE))
    operator.tick()
    bpy.data.objects.remove(bpy.context.object)
    assert operator.tick() is None and operator.running is None
    assert session.state.error is not None and "gone" in session.state.error["sentence"] and not list(tmp_path.iterdir())


def test_a_cancelled_turntable_goes_on_and_ends_as_if_it_had_not_been(placed: Creature, tmp_path: Path, kept_folder: Path) -> None:
    look = Look(4, SIZE, passes=("TEXTURE", "CLAY"))
    first = turntable.Turn(bpy.context, members(placed), tmp_path / "turn", look, "PNG")
    for _ in range(6):
        first.step()
    first.close()
    assert not list(tmp_path.iterdir())
    again = turntable.Turn(bpy.context, members(placed), tmp_path / "turn", look, "PNG")
    assert len(again.pictures) == 6 and again.fraction == 0.75
    again.run()
    again.close()
    assert not list((kept_folder / "turntables").iterdir()), "what is finished leaves no pictures behind"
    turntable.render(bpy.context, members(placed), tmp_path / "whole", look, "PNG")
    for name in ("turn", "turn clay"):
        assert bytes_of(tmp_path / name) == bytes_of(tmp_path / name.replace("turn", "whole"))


def repaint(made: Creature) -> None:
    image = made.mesh.data.materials[0].node_tree.nodes["Base Color"].image
    image.pixels[0] = 1 - image.pixels[0]


CHANGES = {
    "pose": lambda made: setattr(made.armature.pose.bones["head"], "rotation_quaternion", (0.9, 0.4, 0, 0)),
    "shape": lambda made: setattr(made.mesh.data.vertices[0], "co", (0, 0, 2)),
    "texture": repaint,
    "material": lambda made: setattr(
        made.mesh.data.materials[0].node_tree.nodes["Principled BSDF"].inputs["Roughness"], "default_value", 0.1
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_creature_starts_anew(placed: Creature, tmp_path: Path, change: str) -> None:
    placed.armature.animation_data_clear()
    first = turntable.Turn(bpy.context, members(placed), tmp_path / "turn", Look(3, SIZE), "PNG")
    first.step()
    first.close()
    assert len(turntable.Turn(bpy.context, members(placed), tmp_path / "turn", Look(3, SIZE), "PNG").pictures) == 1
    assert not turntable.Turn(bpy.context, members(placed), tmp_path / "turn", Look(3, 2 * SIZE), "PNG").pictures
    CHANGES[change](placed)
    bpy.context.view_layer.update()
    assert not turntable.Turn(bpy.context, members(placed), tmp_path / "turn", Look(3, SIZE), "PNG").pictures


def test_only_so_many_unfinished_turntables_are_kept(cube: bpy.types.Object, tmp_path: Path, kept_folder: Path) -> None:
    for size in range(SIZE, SIZE + 8):
        turntable.Turn(bpy.context, [cube], tmp_path / "turn", Look(2, size), "PNG")
    assert len(list((kept_folder / "turntables").iterdir())) == turns.kept.KEPT
