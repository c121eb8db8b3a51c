"""What a turntable shows: a pose held or a motion played, each pass, the ground; and the artist's own pose stays as it was."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import turntable
from blender_addon.control import ik
from blender_addon.control import rig as controls
from blender_addon.control.limbs import Leg
from blender_addon.scene.creature import Creature
from blender_addon.turntable import ground, passes, shown
from blender_addon.turntable.stage import Framing, Look
from tests.blender.turntables import SIZE, bytes_of, counts, covered, members, nodding_creature, read_picture

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("kept_folder")]


@pytest.fixture
def placed() -> Creature:
    return nodding_creature()


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
