"""Add IK gives controls that do what an artist expects."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Quaternion, Vector

from blender_addon.control import poses, snap
from blender_addon.control import rig as rigs
from blender_addon.control.limbs import LEGS
from blender_addon.scene.creature import Creature
from tests.blender.creatures import evaluated_vertices
from tests.blender.posed import assert_same, differences, pose_of, resting_with_ik, spot, tip

pytestmark = pytest.mark.blender5

HELD = 1e-3
"""Of body length: how far a foot may slip that should stand still."""


@pytest.fixture
def placed() -> Creature:
    """The made-up creature at rest, with IK."""
    return resting_with_ik()


def test_rest_with_ik_is_rest(placed: Creature) -> None:
    rig = placed.armature
    pose = pose_of(rig)
    assert max(np.abs(pose[name] - np.array(rig.data.bones[name].matrix_local)).max() for name in pose) < 1e-5
    controls = [bone for bone in rig.pose.bones if rigs.MARK in bone.bone]
    assert len(controls) == 4 * 5 + 2 + 1
    assert all(np.abs(np.array(bone.matrix_basis) - np.eye(4)).max() < 1e-5 for bone in controls), "at rest every control is at zero"


def test_feet_stand_while_the_body_moves_and_knees_bend_their_own_way(placed: Creature) -> None:
    rig = placed.armature
    before = pose_of(rig)
    rig.pose.bones["hips"].location = rig.data.bones["hips"].matrix_local.to_3x3().inverted() @ Vector((0.02, 0.0, -0.1))
    after = pose_of(rig)
    for leg in LEGS:
        assert np.linalg.norm(tip(after, rig, leg.toe) - tip(before, rig, leg.toe)) < HELD
        assert np.linalg.norm(spot(after, leg.foot) - spot(before, leg.foot)) < HELD
        # -Y is forward: against the line from hip to hock the knee goes ahead, the elbow back.
        ahead = [-(spot(p, leg.shin) - (spot(p, leg.thigh) + spot(p, leg.foot)) / 2)[1] * leg.bend for p in (before, after)]
        assert ahead[1] > ahead[0] + 0.01


def test_knees_bend_in_their_plane(placed: Creature) -> None:
    """The bend axis stays across the leg's plane: a leg that folds doesn't twist."""
    rig = placed.armature
    before = pose_of(rig)
    for leg in LEGS:
        rig.pose.bones[leg.control].location.z = 0.12
    after = pose_of(rig)
    for leg in LEGS:
        for bone in (leg.thigh, leg.shin):
            assert np.dot(after[bone][:3, 0], before[bone][:3, 0]) > math.cos(math.radians(3)), bone
        assert abs(tip(after, rig, leg.toe)[2] - tip(before, rig, leg.toe)[2] - 0.12) < HELD


def test_the_pole_turns_the_knee(placed: Creature) -> None:
    rig = placed.armature
    before = pose_of(rig)
    rig.pose.bones["foot_pole.L"].location.x = -0.3  # local X is the animal's right; this goes to its left, +X
    after = pose_of(rig)
    assert spot(after, "shin.L")[0] > spot(before, "shin.L")[0] + 0.02
    assert np.linalg.norm(spot(after, "foot.L") - spot(before, "foot.L")) < HELD
    assert differences(rig, {"shin.R": before["shin.R"]}, after) < (1e-6, 1e-3)


def test_the_roll_lifts_the_heel_and_the_toe_stays(placed: Creature) -> None:
    rig = placed.armature
    before = pose_of(rig)
    for leg in LEGS:
        rig.pose.bones[leg.roll].rotation_quaternion = Quaternion((1, 0, 0), -0.4)
    after = pose_of(rig)
    for leg in LEGS:
        assert np.abs(after[leg.toe] - before[leg.toe]).max() < HELD
        hock = spot(after, leg.foot) - spot(before, leg.foot)
        assert hock[1] < -0.02, "the hock goes ahead over the toe"


def test_the_foots_control_turns_about_the_tip_and_the_toes_about_the_knuckle(placed: Creature) -> None:
    rig = placed.armature
    before = pose_of(rig)
    rig.pose.bones["foot_ik.L"].rotation_quaternion = Quaternion((1, 0, 0), -0.3)
    rig.pose.bones["toe_ik.R"].rotation_quaternion = Quaternion((1, 0, 0), 0.3)
    after = pose_of(rig)
    assert np.linalg.norm(tip(after, rig, "toe.L") - tip(before, rig, "toe.L")) < HELD
    assert spot(after, "foot.L")[1] < spot(before, "foot.L")[1] - 0.02
    assert np.abs(after["foot.R"] - before["foot.R"]).max() < HELD
    assert np.linalg.norm(tip(after, rig, "toe.R") - tip(before, rig, "toe.R")) > 0.02


def test_the_root_moves_it_all(placed: Creature) -> None:
    rig = placed.armature
    poses.take_photo_pose(bpy.context, rig)
    before = pose_of(rig)
    root = rig.pose.bones["root"]
    moved = Matrix.LocRotScale(Vector((0.3, -0.5, 0.1)), Euler((0.2, -0.1, 0.8)), None)
    root.matrix = moved @ root.matrix
    assert_same(rig, {name: np.array(moved) @ matrix for name, matrix in before.items()}, pose_of(rig))


@pytest.mark.parametrize("control", ["spine_bend", "tail_bend"])
def test_a_chain_follows_its_bend_in_equal_shares_on_top_of_its_own_pose(placed: Creature, control: str) -> None:
    rig = placed.armature
    bend = next(bend for bend in snap.standing_bends(rig) if bend.control == control)
    rig.pose.bones[bend.bones[0]].rotation_quaternion = own = Quaternion((0, 1, 0), 0.2)
    rig.pose.bones[control].rotation_quaternion = Quaternion((1, 0, 0), 0.8)
    pose_of(rig)
    share = Quaternion((1, 0, 0), 0.8 / len(bend.bones))
    for number, name in enumerate(bend.bones):
        bone = rig.pose.bones[name]
        local = rig.convert_space(pose_bone=bone, matrix=bone.matrix, from_space="POSE", to_space="LOCAL").to_quaternion()
        wanted = own @ share if number == 0 else share
        assert local.rotation_difference(wanted).angle < 2e-3


def test_the_neck_follows_the_head_and_the_head_the_body(placed: Creature) -> None:
    rig = placed.armature
    before = pose_of(rig)
    rig.pose.bones["head_ik"].location = rig.data.bones["head"].matrix_local.to_3x3().inverted() @ Vector((0.05, 0.0, -0.15))
    after = pose_of(rig)
    assert np.linalg.norm(spot(after, "head") - spot(before, "head") - [0.05, 0, -0.15]) < HELD
    assert np.abs((after["head"] - before["head"])[:3, :3]).max() < 1e-3
    assert np.abs(after["neck.001"] - before["neck.001"])[:3, :3].max() > 0.05
    sunk = rig.data.bones["hips"].matrix_local.to_3x3().inverted() @ Vector((0.0, -0.1, -0.1))
    rig.pose.bones["hips"].location = sunk
    assert np.linalg.norm(spot(pose_of(rig), "head") - spot(after, "head") - [0, -0.1, -0.1]) < HELD


def test_a_foot_out_of_reach_stays_on_its_leg(placed: Creature) -> None:
    rig = placed.armature
    rig.pose.bones["foot_ik.L"].location = (0, 0.9, 0)
    after = pose_of(rig)
    assert np.linalg.norm(spot(after, "foot.L") - tip(after, rig, "shin.L")) < 1e-5
    vertices = evaluated_vertices(placed.mesh)
    assert np.isfinite(vertices).all()
