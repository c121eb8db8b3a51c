"""Turntables inside Blender: the right pictures in every format, and nothing left behind."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from PIL import Image as Picture

from blender_addon import turntable
from blender_addon.scene.place import place_asset
from blender_addon.turntable import __main__ as command
from blender_addon.turntable import picture
from blender_addon.turntable.stage import BACKGROUND, frame_points, orbit
from tests.blender.button import PYTHON, ROOT
from tests.blender.creatures import creature, empty_blender, read_creature
from tests.blender.turntables import SIZE, counts, covered, read_frames, read_picture

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("kept_folder")]

EDGE_TOLERANCE = 0.04
"""How far inside the picture the farthest point may stay, in picture sides: framing is tight."""

GREY = 0.5
LIT_TOLERANCE = 0.33

COLOUR_TOLERANCE = 0.02
"""sRGB, 0..1: the Standard view shows a flat colour as it is."""


def test_movie_has_each_picture_once_and_nothing_is_left(cube: bpy.types.Object, tmp_path: Path) -> None:
    before, scene, selected = counts(), bpy.context.scene.name, cube.select_get()
    made = turntable.render(bpy.context, [cube], tmp_path / "turn.mp4", frames=6, size=SIZE)
    assert read_frames(made) == 6
    assert counts() == before
    assert bpy.context.scene.name == scene and cube.select_get() == selected and cube.users_scene == (bpy.context.scene,)
    assert [file.name for file in tmp_path.iterdir()] == ["turn.mp4"]


def test_no_picture_is_doubled_and_each_fills_the_frame(cube: bpy.types.Object, tmp_path: Path) -> None:
    turntable.render(bpy.context, [cube], tmp_path / "turn", frames=6, size=SIZE, format="PNG", ground=False)
    files = sorted((tmp_path / "turn").iterdir())
    assert [file.name for file in files] == [f"{k:04d}.png" for k in range(1, 7)]
    pictures = [read_picture(file) for file in files]
    for first in range(6):
        for second in range(first):
            # A box looks alike after half a turn only.
            if first - second != 3:
                assert np.abs(pictures[first] - pictures[second]).max() > 0.05
    reach = 0.0
    for seen in pictures:
        rows, columns = np.nonzero(covered(seen))
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
    with Picture.open(made) as opened:
        assert opened.n_frames == 4
    assert made.read_bytes()[:6] == b"GIF89a" and [file.name for file in tmp_path.iterdir()] == ["turn.gif"]


def test_workbench_shows_a_texture_nearly_as_it_is(tmp_path: Path) -> None:
    """A grey as of a photo, packed as a creature's is: lit, it stays within a third of itself; Blender's default halves it."""
    empty_blender()
    placed = place_asset(bpy.context, read_creature())
    node = placed.mesh.data.materials[0].node_tree.nodes["Base Color"]
    node.image.pixels.foreach_set(np.tile(np.float32([GREY, GREY, GREY, 1]), node.image.size[0] * node.image.size[1]))
    turntable.render(bpy.context, [placed.mesh, placed.armature], tmp_path / "turn", frames=2, size=SIZE, format="PNG", ground=False)
    seen = read_picture(tmp_path / "turn" / "0001.png")
    assert abs(seen[covered(seen)].mean() / GREY - 1) < LIT_TOLERANCE


def test_pictures_are_written_as_they_are_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3)) / 255
    picture.write_png(tmp_path / "made.png", pixels[::-1])
    assert picture.is_whole(tmp_path / "made.png") and [path.name for path in tmp_path.iterdir()] == ["made.png"]
    assert np.abs(read_picture(tmp_path / "made.png") - pixels).max() < 1e-6


def test_a_folder_of_assets_from_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "assets", tmp_path / "out"
    (folder / "doe").mkdir(parents=True)
    (folder / "doe" / "asset.safetensors").write_bytes(creature()[1])
    (folder / "ram.safetensors").write_bytes(creature()[1])
    (folder / "broken.safetensors").write_bytes(b"nothing")
    words = [str(folder), "--out", str(out), "--frames", "2", "--size", str(SIZE), "--pass", "CLAY"]
    assert command.main(words) == 1
    said = capfd.readouterr()
    assert "broken" in said.err and "damaged" in said.err
    assert {path.name for path in out.iterdir()} == {"doe.mp4", "doe clay.mp4", "ram.mp4", "ram clay.mp4"}
    stamp = (out / "doe.mp4").stat().st_mtime_ns
    (folder / "broken.safetensors").unlink()
    assert command.main(words) == 0 and "doe.mp4 is there" in capfd.readouterr().out
    assert (out / "doe.mp4").stat().st_mtime_ns == stamp
    with pytest.raises(SystemExit):
        command.main([str(folder), "--out", str(out), "--format", "GIF"])
