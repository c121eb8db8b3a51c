"""Rest, photo and mirrored pose; Blender's own X-mirror and Paste Pose Flipped on our rigs; saved poses; the buttons and the panel."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np
import pytest
from mathutils import Euler, Quaternion

from blender_addon import compat
from blender_addon.control import ik, poses, preview, snap
from blender_addon.control import rig as rigs
from blender_addon.panels.posing import MENAGERIE_PT_posing
from blender_addon.scene.creature import Creature
from tests.blender.button import drawn
from tests.blender.creatures import empty_blender, evaluated_vertices, read_creature
from tests.blender.photo_creatures import photo_creatures
from tests.blender.posed import Pose, assert_same, place, pose_of

pytestmark = pytest.mark.blender5

MIRROR_TOLERANCE = 1e-4
"""How far a mirrored pose may be from the reflection."""
FLIP = np.diag([-1.0, 1, 1, 1])


@pytest.fixture
def placed(add_on: None) -> Iterator[Creature]:
    """The made-up creature in its photo's pose, active, with the add-on enabled."""
    creature = place(read_creature())
    bpy.context.view_layer.objects.active = creature.armature
    yield creature


def reflection(pose: Pose) -> Pose:
    """The pose as a mirror at X = 0 shows it, each bone under its other side's name."""
    return {bpy.utils.flip_name(name): FLIP @ matrix @ FLIP for name, matrix in pose.items()}


def farthest(one: Pose, other: Pose) -> float:
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def channels(rig: bpy.types.Object) -> dict[str, tuple[object, ...]]:
    """All channels of all bones, to the bit."""
    return {
        bone.name: (*bone.location, *bone.rotation_quaternion, *bone.rotation_euler, *bone.rotation_axis_angle, *bone.scale, bone.get("ik"))
        for bone in rig.pose.bones
    }


def curves(rig: bpy.types.Object) -> list[str]:
    action = rig.animation_data.action if rig.animation_data is not None else None
    return [curve.data_path for curve in compat.curves_of(action)] if action is not None else []


@pytest.mark.parametrize("with_ik", [False, True], ids=["fk", "ik"])
@pytest.mark.parametrize("name", ["horse", "dog", "giraffe", "lion-2"])
def test_mirrored_once_it_is_the_reflection_and_twice_what_was(name: str, with_ik: bool) -> None:
    empty_blender()
    creature = place(photo_creatures(name)[name], name)
    rig = creature.armature
    rig.pose.bones["root"].location.x += 0.2
    rig.pose.bones["shin.L"].rotation_mode = rig.pose.bones["shin.R"].rotation_mode = "ZXY"
    rig.pose.bones["chest"].rotation_mode = "AXIS_ANGLE"
    rig.pose.bones["chest"].rotation_axis_angle = (0.2, 0, 0.6, 0.8)
    if with_ik:
        ik.add_ik(bpy.context, rig)
        rig.pose.bones["foot_ik.L"].location.z += 0.05
        rig.pose.bones["spine_bend"].rotation_quaternion = Euler((0.1, 0.1, 0.3)).to_quaternion()
        snap.to_fk(bpy.context, rig, rigs.legs(rig)[1:2])
    before, numbers = pose_of(rig), channels(rig)
    body = evaluated_vertices(creature.mesh)
    poses.mirror_pose(bpy.context, rig)
    assert farthest(reflection(before), pose_of(rig)) < MIRROR_TOLERANCE
    assert farthest(before, pose_of(rig)) > 0.05, "the pose wasn't symmetric"
    # Of a mirrored mesh the vertices are the reflection, too.
    rest = np.array([vertex.co for vertex in creature.mesh.data.vertices])
    twins = [int(np.linalg.norm(rest - spot, axis=1).argmin()) for spot in rest[::50] * [-1, 1, 1]]
    assert np.abs(evaluated_vertices(creature.mesh)[twins] - body[::50] * [-1, 1, 1]).max() < MIRROR_TOLERANCE
    poses.mirror_pose(bpy.context, rig)
    assert channels(rig) == numbers
    assert farthest(before, pose_of(rig)) < 1e-6


def test_mirroring_between_rotation_modes() -> None:
    empty_blender()
    rig = place(read_creature()).armature
    rig.pose.bones["thigh.L"].rotation_mode = "YZX"
    rig.pose.bones["thigh.L"].rotation_euler = (0.3, -0.2, 0.5)
    before = pose_of(rig)
    poses.mirror_pose(bpy.context, rig)
    assert farthest(reflection(before), pose_of(rig)) < MIRROR_TOLERANCE
    poses.mirror_pose(bpy.context, rig)
    assert farthest(before, pose_of(rig)) < MIRROR_TOLERANCE


@pytest.mark.parametrize("with_ik", [False, True], ids=["fk", "ik"])
def test_paste_pose_flipped_is_the_reflection(placed: Creature, with_ik: bool) -> None:
    rig = placed.armature
    if with_ik:
        bpy.ops.menagerie.add_ik()
        rig.pose.bones["foot_ik.L"].location.z += 0.05
    before = pose_of(rig)
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.select_all(action="SELECT")
    bpy.ops.pose.copy()
    bpy.ops.pose.paste(flipped=True)
    assert farthest(reflection(before), pose_of(rig)) < MIRROR_TOLERANCE


def test_x_mirror_moves_the_other_side_alike(placed: Creature) -> None:
    rig = placed.armature
    bpy.ops.menagerie.rest_pose()
    bpy.ops.menagerie.add_ik()
    bpy.ops.object.mode_set(mode="POSE")
    rig.pose.use_mirror_x = True
    bpy.ops.pose.select_all(action="DESELECT")
    compat.select_bone(rig, "foot_ik.L")
    bpy.ops.transform.translate(value=(0.05, -0.1, 0.08))
    after = pose_of(rig)
    assert after["foot.L"][2, 3] - rig.data.bones["foot.L"].head_local.z > 0.05
    assert farthest(reflection(after), after) < MIRROR_TOLERANCE


@pytest.mark.parametrize("with_ik", [False, True], ids=["fk", "ik"])
def test_rest_and_photo_pose(placed: Creature, with_ik: bool) -> None:
    rig = placed.armature
    photo = pose_of(rig)
    rig.pose.bones["shin.L"].rotation_mode = "XYZ"
    if with_ik:
        bpy.ops.menagerie.add_ik()
        rig.pose.bones["foot_ik.L"].location.z += 0.1
        rig.pose.bones["tail_bend"].rotation_quaternion = Quaternion((1, 0, 0), 0.5)
    rig.pose.bones["hips"].scale = (1.1, 1, 1)
    assert bpy.ops.menagerie.rest_pose() == {"FINISHED"}
    rest = pose_of(rig)
    assert max(np.abs(rest[name] - np.array(rig.data.bones[name].matrix_local)).max() for name in rest) < 1e-5
    assert bpy.ops.menagerie.photo_pose() == {"FINISHED"}
    assert_same(rig, photo, pose_of(rig))
    assert rig.pose.bones["shin.L"].rotation_mode == "XYZ"
    assert not curves(rig), "nothing is keyed"


def test_with_auto_key_they_key_what_they_pose(placed: Creature) -> None:
    rig, tools = placed.armature, bpy.context.scene.tool_settings
    bpy.ops.menagerie.add_ik()
    rig.pose.bones["shin.L"].rotation_mode = "XYZ"
    tools.use_keyframe_insert_auto = True
    try:
        bpy.context.scene.frame_set(7)
        assert bpy.ops.menagerie.mirror_pose() == {"FINISHED"}
        keyed = set(curves(rig))
        expected = {
            'pose.bones["shin.L"].rotation_euler', 'pose.bones["root"].location', 'pose.bones["foot_ik.L"].location',
            'pose.bones["foot_ik.L"]["ik"]', 'pose.bones["head"].rotation_quaternion',
        }  # fmt: skip
        assert expected <= keyed
        assert 'pose.bones["shin.L"].rotation_quaternion' not in keyed and 'pose.bones["shin.L"].location' not in keyed
        mirrored = pose_of(rig)
        bpy.context.scene.frame_set(20)
        bpy.ops.menagerie.rest_pose()
        bpy.context.scene.frame_set(7)
        assert_same(rig, mirrored, pose_of(rig))
        bpy.context.scene.frame_set(20)
        bpy.ops.menagerie.switch_ik(control="foot_ik.L", to="FK")
        bpy.context.scene.frame_set(7)
        assert rig.pose.bones["foot_ik.L"]["ik"] == 1.0
        bpy.context.scene.frame_set(20)
        assert rig.pose.bones["foot_ik.L"]["ik"] == 0.0
    finally:
        tools.use_keyframe_insert_auto = False


def test_the_buttons_leave_mode_selection_and_frame(placed: Creature) -> None:
    rig = placed.armature
    bpy.context.scene.frame_set(3)
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.select_all(action="DESELECT")
    compat.select_bone(rig, "head")
    for step in ("add_ik", "rest_pose", "photo_pose", "mirror_pose", "switch_ik", "save_pose", "remove_ik"):
        assert getattr(bpy.ops.menagerie, step)() == {"FINISHED"}, step
        assert bpy.context.mode == "POSE" and bpy.context.object == rig and bpy.context.scene.frame_current == 3
        assert [bone.name for bone in bpy.context.selected_pose_bones] == ["head"], step
    assert rig.animation_data is None


@pytest.mark.parametrize("with_ik", [False, True], ids=["fk", "ik"])
def test_a_saved_pose_is_an_asset_that_brings_the_pose_back(placed: Creature, with_ik: bool) -> None:
    rig = placed.armature
    if with_ik:
        bpy.ops.menagerie.add_ik()
        rig.pose.bones["foot_ik.L"].location.z += 0.1
        rig.pose.bones["spine_bend"].rotation_quaternion = Quaternion((0, 0, 1), 0.5)
    rig.pose.bones["jaw"].rotation_quaternion = Quaternion((1, 0, 0), -0.3)
    posed, numbers = pose_of(rig), channels(rig)
    assert bpy.ops.menagerie.save_pose(name="yawn") == {"FINISHED"}
    assert channels(rig) == numbers and (rig.animation_data is None or rig.animation_data.action is None)
    action = bpy.data.actions["yawn"]
    assert action.asset_data is not None and action.frame_range[0] == action.frame_range[1]
    assert tuple(action.preview.image_size) == (preview.SIDE, preview.SIDE)
    pixels = np.array(action.preview.image_pixels_float).reshape(preview.SIDE, preview.SIDE, 4)
    covered = pixels[..., 3] > 0.5
    assert 0.1 < covered.mean() < 0.8 and pixels[covered][:, :3].std() > 0.02
    bpy.ops.menagerie.rest_pose()
    rig.pose.apply_pose_from_action(action)
    assert_same(rig, posed, pose_of(rig))
    # It holds on a creature without controls as well.
    other = place(read_creature(), "other").armature
    other.pose.apply_pose_from_action(action)
    assert_same(other, posed, pose_of(other))


def test_the_panel_shows_what_can_be_done(placed: Creature) -> None:
    said = drawn(MENAGERIE_PT_posing)
    assert {"menagerie.rest_pose", "menagerie.photo_pose", "menagerie.mirror_pose", "menagerie.save_pose", "menagerie.add_ik"} <= set(said)
    assert "menagerie.remove_ik" not in said
    bpy.ops.menagerie.add_ik()
    said = drawn(MENAGERIE_PT_posing)
    assert "menagerie.add_ik" not in said and "menagerie.remove_ik" in said
    assert said.count("menagerie.switch_ik") == 7 and said.count('["ik"]') == 5 and "Hind Right" in said and "To FK" in said
    bpy.ops.menagerie.switch_ik(control="foot_ik.R", to="FK")
    assert snap.switch_of(placed.armature, rigs.legs(placed.armature)[3]) == 0.0


def test_bones_edited_by_hand_offer_a_refit(placed: Creature) -> None:
    rig = placed.armature
    bpy.ops.menagerie.rest_pose()
    bpy.ops.menagerie.add_ik()
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones["shin.L"].tail.z += 0.04  # the hock, and with it the foot's head
    assert not bpy.ops.menagerie.refit_ik.poll()
    bpy.ops.object.mode_set(mode="POSE")
    assert "menagerie.refit_ik" in drawn(MENAGERIE_PT_posing)
    assert bpy.ops.menagerie.refit_ik() == {"FINISHED"}
    assert "menagerie.refit_ik" not in drawn(MENAGERIE_PT_posing)
    rest = pose_of(rig)
    assert max(np.abs(rest[name] - np.array(rig.data.bones[name].matrix_local)).max() for name in rest) < 1e-5


def test_a_duplicate_has_controls_of_its_own(placed: Creature) -> None:
    bpy.ops.menagerie.add_ik()
    for thing in (placed.armature, placed.mesh):
        thing.select_set(True)
    bpy.ops.object.duplicate(linked=True)
    copy = bpy.context.object
    assert copy != placed.armature and copy.data == placed.armature.data
    before = pose_of(placed.armature)
    copy.pose.bones["foot_ik.L"].location.z += 0.1
    pose_of(copy)
    assert abs(copy.pose.bones["foot.L"].matrix.translation.z - before["foot.L"][2, 3]) > 0.05
    assert farthest(before, pose_of(placed.armature)) < 1e-6
    assert bpy.ops.menagerie.remove_ik() == {"FINISHED"}
    assert not rigs.has_controls(copy) and rigs.has_controls(placed.armature)
    assert farthest(before, pose_of(placed.armature)) < 1e-6


def test_a_rig_at_rest_position_is_refused_with_a_remedy(placed: Creature) -> None:
    placed.armature.data.pose_position = "REST"
    with pytest.raises(RuntimeError, match="Pose Position"):
        bpy.ops.menagerie.add_ik()
    assert not rigs.has_controls(placed.armature)


def test_without_a_creature_the_buttons_are_off(add_on: None) -> None:
    assert not bpy.ops.menagerie.add_ik.poll() and not bpy.ops.menagerie.mirror_pose.poll()
