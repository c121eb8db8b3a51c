"""The IK/FK switch keeps the pose: on the pose of every sample photo, and on every frame of a walk, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest
from mathutils import Euler, Vector

from blender_addon.control import ik, snap
from blender_addon.control import rig as rigs
from tests.blender.creatures import empty_blender, read_creature
from tests.blender.photo_creatures import NAMES, photo_creatures
from tests.blender.posed import FRAMES, assert_same, body_length, differences, place, pose_of, walk

pytestmark = pytest.mark.blender5


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    empty_blender()
    yield


def switch(rig: bpy.types.Object) -> list[float]:
    return [snap.switch_of(rig, limb) for limb in rigs.limbs_of(rig)]


def disturb(rig: bpy.types.Object) -> None:
    """An artist's work on the controls: the body sinks and turns, a foot goes ahead with its heel up, a toe bends, a knee opens."""
    bones, length = rig.pose.bones, body_length(rig)
    bones["hips"].location += Vector((0.02, 0.01, -0.04)) * length
    bones["chest"].rotation_quaternion.rotate(Euler((0.1, 0.05, -0.1)))
    bones["foot_ik.L"].location += Vector((0.05, 0.1, 0.06)) * length
    bones["foot_ik.L"].rotation_quaternion.rotate(Euler((0.3, 0.1, 0.2)))
    bones["foot_roll.L"].rotation_quaternion.rotate(Euler((-0.4, 0, 0)))
    bones["front_foot_ik.R"].location += Vector((-0.04, 0.08, 0.05)) * length
    bones["front_toe_ik.R"].rotation_quaternion.rotate(Euler((0.3, 0, 0.1)))
    bones["foot_pole.R"].location.x += 0.2 * length
    bones["head_ik"].location += Vector((0.02, -0.03, 0.02)) * length


@pytest.mark.parametrize("name", NAMES)
def test_the_switch_keeps_every_photos_pose_both_ways(name: str) -> None:
    rig = place(photo_creatures(name)[name], name).armature
    photo = pose_of(rig)
    ik.add_ik(bpy.context, rig)
    limbs = rigs.limbs_of(rig)
    assert switch(rig) == [1] * 5
    assert_same(rig, photo, pose_of(rig))
    disturb(rig)
    posed = pose_of(rig)
    assert differences(rig, photo, posed)[0] > 0.05
    snap.to_fk(bpy.context, rig, limbs)
    assert switch(rig) == [0] * 5
    assert_same(rig, posed, pose_of(rig))
    snap.to_ik(bpy.context, rig, limbs)
    assert switch(rig) == [1] * 5
    assert_same(rig, posed, pose_of(rig))


@pytest.mark.parametrize("name", ["horse", "dog", "elephant"])
def test_the_switch_keeps_every_frame_of_a_walk_both_ways(name: str) -> None:
    rig = place(photo_creatures(name)[name], name).armature
    ik.add_ik(bpy.context, rig)
    limbs = rigs.limbs_of(rig)
    snap.to_fk(bpy.context, rig, limbs)
    walk(rig)
    first = None
    for frame in range(1, FRAMES + 1):
        bpy.context.scene.frame_set(frame)
        stride = pose_of(rig)
        first = stride if first is None else first
        snap.to_ik(bpy.context, rig, limbs)
        assert_same(rig, stride, pose_of(rig))
        snap.to_fk(bpy.context, rig, limbs)
        assert_same(rig, stride, pose_of(rig))
        if frame == FRAMES // 2:
            assert differences(rig, first, stride)[1] > 0.3, "it walks"


def test_fk_channels_stay_under_ik() -> None:
    rig = place(read_creature()).armature
    channels = {bone.name: tuple(bone.rotation_quaternion) for bone in rig.pose.bones}
    ik.add_ik(bpy.context, rig)
    disturb(rig)
    for limb in rigs.limbs_of(rig):
        rig.pose.bones[limb.control]["ik"] = 0.0
    pose_of(rig)
    assert all(tuple(rig.pose.bones[name].rotation_quaternion) == channels[name] for leg in rigs.legs(rig) for name in leg.bones)


def test_the_switch_follows_a_half_blended_leg() -> None:
    rig = place(read_creature()).armature
    ik.add_ik(bpy.context, rig)
    disturb(rig)
    rig.pose.bones["foot_ik.L"]["ik"] = 0.5
    between = pose_of(rig)
    snap.to_ik(bpy.context, rig, rigs.limbs_of(rig))
    assert_same(rig, between, pose_of(rig))


@pytest.mark.parametrize("mode", ["XYZ", "ZYX", "AXIS_ANGLE"])
def test_the_artists_rotation_modes_stay(mode: str) -> None:
    rig = place(read_creature()).armature
    ik.add_ik(bpy.context, rig)
    for bone in rig.pose.bones:
        bone.rotation_mode = mode
    rig.pose.bones["foot_ik.L"].location.y += 0.1
    posed = pose_of(rig)
    snap.to_fk(bpy.context, rig, rigs.limbs_of(rig))
    assert_same(rig, posed, pose_of(rig))
    snap.to_ik(bpy.context, rig, rigs.limbs_of(rig))
    assert_same(rig, posed, pose_of(rig))
    assert {bone.rotation_mode for bone in rig.pose.bones} == {mode}


def test_a_file_opened_without_scripts_still_switches(tmp_path: Path) -> None:
    rig = place(read_creature()).armature
    photo = pose_of(rig)
    ik.add_ik(bpy.context, rig)
    rig.pose.bones["foot_ik.L"].location.y += 0.1
    moved = pose_of(rig)
    assert {curve.driver.type for curve in rig.animation_data.drivers} == {"AVERAGE"}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "posed.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "posed.blend"), use_scripts=False)
    rig = bpy.data.objects["doe"]
    assert_same(rig, moved, pose_of(rig))
    rig.pose.bones["foot_ik.L"]["ik"] = 0.0
    assert_same(rig, photo, pose_of(rig))
