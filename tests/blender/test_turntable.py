"""Turntables inside Blender: the right pictures, and nothing left behind."""

from __future__ import annotations

import errno
import math
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import turntable
from blender_addon.link import session
from blender_addon.scene.place import place_asset
from blender_addon.turntable import movie, operator
from blender_addon.turntable.stage import BACKGROUND, frame_points, orbit
from tests.blender.button import PYTHON, ROOT, drawn
from tests.blender.creatures import empty_blender, read_creature

pytestmark = pytest.mark.blender5

SIZE = 64
EDGE_TOLERANCE = 0.04
"""How far inside the picture the farthest point may stay, in picture sides: framing is tight."""

TICK_SECONDS = 0.5
"""Of a tick that only starts a program; making the GIF takes longer than that."""

GREY = 0.5
LIT_TOLERANCE = 0.33

COLOUR_TOLERANCE = 0.02
"""sRGB, 0..1: the Standard view shows a flat colour as it is."""


@pytest.fixture
def cube() -> Iterator[bpy.types.Object]:
    """A long box, red on its +X side (the animal's left), off the origin."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_cube_add(location=(3, 2, 1))
    box = bpy.context.object
    box.scale = (0.5, 2.0, 1.0)
    bpy.context.view_layer.update()
    yield box


def counts() -> dict[str, int]:
    """How many datablocks of each kind the file holds; every render makes Blender's own "Render Result"."""
    kinds = [name for name in dir(bpy.data) if isinstance(getattr(bpy.data, name), bpy.types.bpy_prop_collection)]
    return {name: sum(one.name != "Render Result" for one in getattr(bpy.data, name)) for name in kinds}


def read_picture(path: Path) -> np.ndarray:
    """(h, w, 3) in [0, 1], row 0 at the top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    pixels = np.array(image.pixels[:], np.float32).reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
    bpy.data.images.remove(image)
    return pixels


def read_frames(path: Path) -> int:
    """Frames of a movie."""
    clip = bpy.data.movieclips.load(str(path))
    frames = clip.frame_duration
    bpy.data.movieclips.remove(clip)
    return frames


def covered(picture: np.ndarray) -> np.ndarray:
    """(h, w) bool: where the picture differs from its upper left corner."""
    return np.abs(picture - picture[0, 0]).max(axis=2) > 0.02


def test_movie_has_each_picture_once_and_nothing_is_left(cube: bpy.types.Object, tmp_path: Path) -> None:
    before, scene, selected = counts(), bpy.context.scene.name, cube.select_get()
    made = turntable.render(bpy.context, [cube], tmp_path / "turn.mp4", frames=6, size=SIZE)
    assert read_frames(made) == 6
    assert counts() == before
    assert bpy.context.scene.name == scene and cube.select_get() == selected and cube.users_scene == (bpy.context.scene,)
    assert [file.name for file in tmp_path.iterdir()] == ["turn.mp4"]


def test_no_picture_is_doubled_and_each_fills_the_frame(cube: bpy.types.Object, tmp_path: Path) -> None:
    turntable.render(bpy.context, [cube], tmp_path / "turn", frames=6, size=SIZE, format="PNG")
    files = sorted((tmp_path / "turn").iterdir())
    assert [file.name for file in files] == [f"{k:04d}.png" for k in range(1, 7)]
    pictures = [read_picture(file) for file in files]
    for first in range(6):
        for second in range(first):
            # A box looks alike after half a turn only.
            if first - second != 3:
                assert np.abs(pictures[first] - pictures[second]).max() > 0.05
    reach = 0.0
    for picture in pictures:
        rows, columns = np.nonzero(covered(picture))
        reach = max(reach, rows.max() + 1, columns.max() + 1, SIZE - rows.min(), SIZE - columns.min())
        assert 0 < rows.min() and rows.max() < SIZE - 1 and 0 < columns.min() and columns.max() < SIZE - 1
    assert reach > SIZE * (1 - EDGE_TOLERANCE) - 1


def test_a_shorter_turn_leaves_no_pictures_of_a_longer_one_and_all_of_the_artists(cube: bpy.types.Object, tmp_path: Path) -> None:
    folder = tmp_path / "turn"
    turntable.render(bpy.context, [cube], folder, frames=6, size=SIZE, format="PNG")
    theirs = [folder / name for name in ("0009.png", "0005 copy.png", "notes.txt")]
    for path in theirs:
        path.write_bytes(b"render of the artist's own")
    turntable.render(bpy.context, [cube], folder, frames=4, size=SIZE, format="PNG")
    assert sorted(folder.iterdir()) == sorted([*(folder / f"{k:04d}.png" for k in range(1, 5)), *theirs])


NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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
        assert not movie.is_whole(turn.pictures[0])
    turn.rest()
    monkeypatch.setattr(movie, "is_whole", lambda path: False)
    monkeypatch.setattr(movie, "is_full", lambda folder: True)
    operator.running = turn
    assert operator.tick() is None and session.state.error is not None and session.state.error["code"] == "disk_full"


@pytest.mark.parametrize("reason", [RuntimeError("Error: Render error (No space left on device)"), NO_SPACE])
def test_whoever_tells_of_a_full_disk_the_code_is_the_same(reason: Exception) -> None:
    assert operator.failure(reason).code == "disk_full"


@pytest.mark.parametrize("engine", turntable.ENGINES)
def test_the_background_is_shown_as_it_is(cube: bpy.types.Object, tmp_path: Path, engine: str) -> None:
    turntable.render(bpy.context, [cube], tmp_path / "turn", frames=1, size=SIZE, engine=engine, format="PNG")
    expected = [1.055 * value ** (1 / 2.4) - 0.055 for value in BACKGROUND]
    assert np.allclose(read_picture(tmp_path / "turn" / "0001.png")[0, 0], expected, atol=COLOUR_TOLERANCE)


def test_the_first_picture_looks_at_the_face(cube: bpy.types.Object) -> None:
    right, up, back = orbit(0.0, 0.0).T
    assert np.allclose(right, (1, 0, 0)) and np.allclose(up, (0, 0, 1)) and np.allclose(back, (0, -1, 0))
    axes = orbit(1.0, 0.4)
    assert np.allclose(axes.T @ axes, np.eye(3)) and np.linalg.det(axes) > 0


def test_framing_contains_every_point_at_every_angle() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)) * (1, 3, 0.5) + (5, 0, 2)
    centre, distance = frame_points(points, math.radians(20))
    slope = math.tan(turntable.stage.FIELD_OF_VIEW / 2)
    for angle in np.linspace(0, 2 * math.pi, 97):
        seen = (points - centre) @ orbit(angle, math.radians(20))
        assert (np.abs(seen[:, :2]) < slope * (distance - seen[:, 2])[:, None]).all()


def test_what_cannot_be_shown_is_refused(cube: bpy.types.Object, tmp_path: Path) -> None:
    before = counts()
    with pytest.raises(ValueError, match="no mesh"):
        turntable.render(bpy.context, [], tmp_path / "turn.mp4")
    with pytest.raises(ValueError, match="engine"):
        turntable.render(bpy.context, [cube], tmp_path / "turn.mp4", engine="POVRAY")
    with pytest.raises(ValueError, match="backend"):
        turntable.render(bpy.context, [cube], tmp_path / "turn.gif", format="GIF")
    assert counts() == before and not list(tmp_path.iterdir())


@pytest.mark.parametrize("engine", ["EEVEE", "CYCLES"])
def test_lit_engines_show_the_shape(cube: bpy.types.Object, tmp_path: Path, engine: str) -> None:
    before = counts()
    turntable.render(bpy.context, [cube], tmp_path / "turn", frames=1, size=32, engine=engine, format="PNG")
    picture = read_picture(tmp_path / "turn" / "0001.png")
    assert 0.05 < covered(picture).mean() < 0.95
    assert counts() == before


def test_a_gif_is_made_by_the_backend(cube: bpy.types.Object, tmp_path: Path) -> None:
    made = turntable.render(bpy.context, [cube], tmp_path / "turn.gif", frames=4, size=SIZE, format="GIF", backend=(PYTHON, ROOT))
    assert made.read_bytes()[:6] == b"GIF89a" and [file.name for file in tmp_path.iterdir()] == ["turn.gif"]


@pytest.mark.parametrize(("format", "name"), [("MP4", "turn.mp4"), ("GIF", "turn.gif"), ("PNG", "turn")])
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
    before = counts()
    place = (PYTHON, ROOT)
    operator.running = turntable.Turn(bpy.context, [bpy.context.object], tmp_path / "turn.gif", turntable.Look(3, SIZE), "GIF", place)
    for made in (1, 2, 3):
        assert operator.tick() is not None and len(operator.running.pictures) == made
        assert counts() == before and not list(tmp_path.iterdir())
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


def test_workbench_shows_a_texture_nearly_as_it_is(tmp_path: Path) -> None:
    """A grey as of a photo, packed as a creature's is: lit, it stays within a third of itself; Blender's default halves it."""
    empty_blender()
    placed = place_asset(bpy.context, read_creature())
    node = placed.mesh.data.materials[0].node_tree.nodes["Base Color"]
    node.image.pixels.foreach_set(np.tile(np.float32([GREY, GREY, GREY, 1]), node.image.size[0] * node.image.size[1]))
    turntable.render(bpy.context, [placed.mesh, placed.armature], tmp_path / "turn", frames=2, size=SIZE, format="PNG")
    picture = read_picture(tmp_path / "turn" / "0001.png")
    assert abs(picture[covered(picture)].mean() / GREY - 1) < LIT_TOLERANCE
