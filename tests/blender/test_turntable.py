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
from PIL import Image as Picture

from blender_addon import compat, paths, turntable
from blender_addon.control import ik
from blender_addon.control import rig as controls
from blender_addon.control.limbs import Leg
from blender_addon.link import session
from blender_addon.scene.creature import Creature
from blender_addon.scene.place import place_asset
from blender_addon.turntable import __main__ as command
from blender_addon.turntable import ground, movie, operator, passes, picture, shown
from blender_addon.turntable import turn as turns
from blender_addon.turntable.stage import BACKGROUND, Framing, Look, frame_points, orbit
from tests.blender.button import PYTHON, ROOT, drawn
from tests.blender.creatures import creature, empty_blender, read_creature

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


@pytest.fixture(autouse=True)
def kept_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where unfinished turntables are kept."""
    folder = tmp_path_factory.mktemp("kept")

    def user_folder(*parts: str) -> Path:
        made = folder.joinpath(*parts)
        made.mkdir(parents=True, exist_ok=True)
        return made

    monkeypatch.setattr(paths, "user_folder", user_folder)
    return folder


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
        assert not picture.is_whole(turn.pictures[0])
    turn.rest()
    monkeypatch.setattr(turns, "is_whole", lambda path: False)
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
    with Picture.open(made) as opened:
        assert opened.n_frames == 4
    assert made.read_bytes()[:6] == b"GIF89a" and [file.name for file in tmp_path.iterdir()] == ["turn.gif"]


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


def test_workbench_shows_a_texture_nearly_as_it_is(tmp_path: Path) -> None:
    """A grey as of a photo, packed as a creature's is: lit, it stays within a third of itself; Blender's default halves it."""
    empty_blender()
    placed = place_asset(bpy.context, read_creature())
    node = placed.mesh.data.materials[0].node_tree.nodes["Base Color"]
    node.image.pixels.foreach_set(np.tile(np.float32([GREY, GREY, GREY, 1]), node.image.size[0] * node.image.size[1]))
    turntable.render(bpy.context, [placed.mesh, placed.armature], tmp_path / "turn", frames=2, size=SIZE, format="PNG", ground=False)
    seen = read_picture(tmp_path / "turn" / "0001.png")
    assert abs(seen[covered(seen)].mean() / GREY - 1) < LIT_TOLERANCE


@pytest.fixture
def placed() -> Creature:
    """A made-up creature with an action that swings its neck and walks it a body length on, in ten frames and back."""
    empty_blender()
    made = place_asset(bpy.context, read_creature())
    rig, action = made.armature, bpy.data.actions.new("nod")
    home = compat.curve_home(action, rig)
    for path, values in (("neck.001\"].rotation_quaternion", (0, 0.4, 0)), ("root\"].location", (0, 1, 0))):
        curve = compat.new_curve(home, f'pose.bones["{path}', 1, "nod")
        for frame, value in zip((1, 11, 21), values, strict=True):
            curve.keyframe_points.insert(frame, value)
    compat.assign_action(rig, action)
    bpy.context.scene.frame_set(1)
    return made


def members(made: Creature) -> list[bpy.types.Object]:
    return [made.armature, made.mesh]


def bytes_of(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


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


@pytest.mark.parametrize("motion", turntable.MOTIONS)
def test_the_artists_scene_and_pose_stay_whatever_is_shown(placed: Creature, tmp_path: Path, motion: str) -> None:
    """A pose set by hand over an assigned action is lost at the next frame change: none may happen to the artist's scene."""
    bone = placed.armature.pose.bones["neck.001"]
    bone.rotation_quaternion = (0.6, 0.8, 0, 0)
    bpy.context.view_layer.update()
    scene, before = bpy.context.scene, counts()
    scene.frame_set(7)
    bone.rotation_quaternion = (0.6, 0.8, 0, 0)
    bpy.context.view_layer.update()
    stands = [one.matrix.copy() for one in placed.armature.pose.bones]
    turntable.render(bpy.context, members(placed), tmp_path / "turn.mp4", frames=3, size=SIZE, motion=motion)
    bpy.context.view_layer.update()  # whatever the render has tagged
    assert scene.frame_current == 7 and bpy.context.scene == scene and counts() == before
    assert [one.matrix for one in placed.armature.pose.bones] == stands
    assert placed.mesh.users_scene == (scene,) and placed.armature.animation_data.action.name == "nod"


def test_a_pose_is_held_as_it_stands_and_what_is_done_meanwhile_is_not_seen(placed: Creature, tmp_path: Path) -> None:
    bone = placed.armature.pose.bones["neck.001"]
    bone.rotation_quaternion = (0.6, 0.8, 0, 0)
    bpy.context.view_layer.update()
    turntable.render(bpy.context, members(placed), tmp_path / "held", frames=2, size=SIZE, format="PNG")
    turn = turntable.Turn(bpy.context, members(placed), tmp_path / "busy", Look(2, SIZE), "PNG")
    bone.rotation_quaternion = (1, 0, 0, 0)
    bpy.context.view_layer.update()
    turn.run()
    turn.close()
    assert bytes_of(tmp_path / "held") == bytes_of(tmp_path / "busy")
    turntable.render(bpy.context, members(placed), tmp_path / "other", frames=2, size=SIZE, format="PNG")
    assert bytes_of(tmp_path / "held") != bytes_of(tmp_path / "other")


def test_a_creature_on_ik_is_shown_as_it_stands(placed: Creature) -> None:
    rig, body = placed.armature, placed.mesh
    ik.add_ik(bpy.context, rig)
    leg = next(limb for limb in controls.limbs_of(rig) if isinstance(limb, Leg))
    rig.pose.bones[leg.control].location.z += 0.1
    bpy.context.view_layer.update()
    seen = shown.moment_now([rig, body], bpy.context.evaluated_depsgraph_get())
    source = shown.Source([rig, body])
    try:
        assert np.abs(source.at(1).places[0] - seen.places[0]).max() < 1e-5
    finally:
        source.remove()


def test_a_loop_closes_and_once_ends_at_the_end(placed: Creature) -> None:
    scene = bpy.context.scene
    scene.render.fps = 24
    assert shown.played_range(members(placed)) == (1, 21)
    loop = shown.moments_of(members(placed), Look(48, motion="LOOP"), scene)
    step = loop[1] - loop[0]
    assert loop[0] == 1 and max(loop) < 21 and step == pytest.approx(40 / 48), "two rounds in the turn"
    assert (loop[-1] + step - 1) % 20 == pytest.approx(0, abs=1e-6) or (loop[-1] + step) == pytest.approx(21)
    once = shown.moments_of(members(placed), Look(48, motion="ONCE"), scene)
    assert once[:3] == [1, 2, 3] and once[20:] == [21] * 28
    placed.armature.animation_data_clear()
    with pytest.raises(ValueError, match="no action to play"):
        shown.moments_of(members(placed), Look(48, motion="LOOP"), scene)


def test_the_whole_motion_is_inside_the_frame_and_every_picture_another(placed: Creature, tmp_path: Path) -> None:
    turntable.render(bpy.context, members(placed), tmp_path / "turn", frames=4, size=SIZE, format="PNG", motion="LOOP", ground=False)
    pictures = [read_picture(path) for path in sorted((tmp_path / "turn").iterdir())]
    for seen in pictures:
        rows, columns = np.nonzero(covered(seen))
        assert 0 < rows.min() and rows.max() < SIZE - 1 and 0 < columns.min() and columns.max() < SIZE - 1
    turntable.render(bpy.context, members(placed), tmp_path / "still", frames=4, size=SIZE, format="PNG", ground=False)
    assert covered(pictures[2]).sum() < covered(read_picture(tmp_path / "still" / "0003.png")).sum(), "farther off, to hold the walk"


def test_each_ticked_pass_has_a_file_of_its_own(placed: Creature, tmp_path: Path) -> None:
    before = counts()
    look = Look(size=96, passes=turntable.PASSES, angle=0.6)
    made = turntable.render(bpy.context, members(placed), tmp_path / "horse.png", look, "STILL")
    names = {name: tmp_path / f"horse{name}.png" for name in ("", " clay", " wireframe", " normals", " skeleton")}
    assert made == names[""] and sorted(tmp_path.iterdir()) == sorted(names.values()) and counts() == before
    seen = {name: read_picture(path) for name, path in names.items()}
    body = covered(seen[" normals"]) & (np.ptp(seen[" normals"], axis=2) > 0.05)
    clay, normals = seen[" clay"][body], seen[" normals"][body]
    assert np.ptp(clay, axis=1).max() < 0.15 and clay.std(axis=0).max() > 0.02, "grey, with shape"
    assert seen[" wireframe"][body].mean() < clay.mean() - 0.02, "dark edges over the clay"
    assert normals[:, 2].mean() > 0.6 and normals[:, 0].std() > 0.1 and normals[:, 1].std() > 0.1
    colours = seen[" skeleton"][body]
    assert (np.ptp(colours, axis=1) > 0.3).mean() > 0.02, "bones are coloured and seen through the body"
    assert np.ptp(np.median(colours, axis=0)) < 0.1, "most is glass"


def test_bones_are_drawn_from_head_to_tail_no_thicker_than_they_are_long() -> None:
    bone = shown.Bone(np.zeros(3), np.array([0, 0, 2.0]), np.array([2.0, 0, 0]), "torso")
    corners = passes.octahedron(bone, height=1.0)
    assert (corners[0] == bone.head).all() and (corners[5] == bone.tail).all()
    assert np.abs(corners[1:5, :2]).max() == pytest.approx(passes.STOUT)
    volume = sum(np.linalg.det(corners[face]) for face in passes.OCTAHEDRON)
    assert volume > 0, "its faces look outward"
    tiny = passes.octahedron(shown.Bone(np.zeros(3), np.array([0, 0, 0.01]), np.array([0.01, 0, 0]), "torso"), height=1.0)
    assert np.abs(tiny[1:5, :2]).max() < 0.005


def test_the_ground_is_dark_below_the_creature_and_plain_elsewhere(cube: bpy.types.Object, tmp_path: Path) -> None:
    for name, wanted in (("with", True), ("without", False)):
        turntable.render(bpy.context, [cube], tmp_path / f"{name}.png", format="STILL", size=SIZE, ground=wanted, angle=0.6)
    shaded, plain = read_picture(tmp_path / "with.png"), read_picture(tmp_path / "without.png")
    floor = ~covered(plain)
    assert (shaded[floor] - plain[floor]).max() < 0.01 and (shaded[floor] - plain[floor]).min() < -0.2
    assert np.abs(shaded[~floor] - plain[~floor]).mean() < 0.01
    assert np.abs(shaded[:4] - plain[:4]).max() < 0.01, "nothing above"


def test_the_floor_is_seen_where_a_ray_meets_it() -> None:
    points = np.random.default_rng(0).uniform((-1, -1, 0), (1, 1, 2), (4000, 3))
    framing = Framing.of(points, Look())
    floor = ground.shade_floor(points, framing)
    camera = framing.camera(0.7, 0.5)
    shade = ground.seen_shade(200, framing, camera, floor)
    middle = np.append(framing.centre[:2], framing.floor)
    seen = (middle - camera[:3, 3]) @ camera[:3, :3]
    column, row = (seen[:2] / -seen[2] / math.tan(turntable.stage.FIELD_OF_VIEW / 2) + 1) / 2 * 200
    assert shade[int(row), int(column)] == pytest.approx(floor.shade[ground.CELLS // 2, ground.CELLS // 2], abs=0.02)
    from_below = framing.camera(0.7, -0.5)
    assert not ground.seen_shade(200, framing, from_below, floor).any()


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
