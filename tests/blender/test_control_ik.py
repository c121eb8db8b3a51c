"""Add IK gives controls that do what an artist expects, Remove IK leaves what was, and an Update takes the controls along."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Quaternion, Vector

from blender_addon import compat
from blender_addon.control import ik, poses, shapes, snap
from blender_addon.control import rig as rigs
from blender_addon.control.limbs import LEGS
from blender_addon.link.errors import LinkError
from blender_addon.scene.asset_file import AssetFile
from blender_addon.scene.creature import Creature
from blender_addon.scene.place import update_asset
from tests.blender.creatures import empty_blender, evaluated_vertices, read_creature
from tests.blender.photo_creatures import photo_creatures
from tests.blender.posed import LENGTH_TOLERANCE, assert_same, body_length, differences, place, pose_of

pytestmark = pytest.mark.blender5

HELD = 1e-3
"""Of body length: how far a foot may slip that should stand still."""


@pytest.fixture
def placed() -> Iterator[Creature]:
    """The made-up creature at rest, with IK."""
    empty_blender()
    creature = place(read_creature())
    poses.take_rest_pose(bpy.context, creature.armature)
    ik.add_ik(bpy.context, creature.armature)
    yield creature


def tip(pose: dict[str, np.ndarray], rig: bpy.types.Object, bone: str) -> np.ndarray:
    """(3,) where a bone's tail stands."""
    return pose[bone][:3, 3] + pose[bone][:3, 1] * rig.data.bones[bone].length


def spot(pose: dict[str, np.ndarray], bone: str) -> np.ndarray:
    """(3,) where a bone's head stands."""
    return pose[bone][:3, 3]


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


PROPERTIES = {"rna_type", "is_valid", "error_location", "error_rotation"}


def noted(thing: Any) -> dict[str, Any]:
    """Every plain property of something of Blender's."""
    found = {}
    for prop in thing.bl_rna.properties:
        if prop.identifier in PROPERTIES or prop.type in ("COLLECTION", "POINTER"):
            continue
        value = getattr(thing, prop.identifier)
        found[prop.identifier] = tuple(map(tuple, value)) if isinstance(value, Matrix) else value if isinstance(value, str) or not hasattr(
            value, "__len__"
        ) else tuple(value)
    return found


def inventory(rig: bpy.types.Object) -> dict[str, Any]:
    """Whatever Add IK might have touched."""
    custom = {key: value for key, value in rig.items() if isinstance(value, (int, float, str))}
    return {
        "bones": {b.name: (noted(b), b.parent and b.parent.name, dict(b.items()), b.color.palette) for b in rig.data.bones},
        "pose": {bone.name: (noted(bone), dict(bone.items()), bone.custom_shape) for bone in rig.pose.bones},
        "constraints": {bone.name: [(c.type, noted(c)) for c in bone.constraints] for bone in rig.pose.bones},
        "collections": {c.name: sorted(bone.name for bone in c.bones) for c in rig.data.collections_all},
        "custom": custom,
        "animation": rig.animation_data and [curve.data_path for curve in rig.animation_data.drivers],
    }


def test_remove_leaves_exactly_what_was(placed: Creature) -> None:
    rig = placed.armature
    ik.remove_ik(bpy.context, rig)
    poses.take_photo_pose(bpy.context, rig)
    limit = rig.pose.bones["shin.L"].constraints.new("LIMIT_ROTATION")
    limit.max_x, limit.use_limit_x = 3.0, True
    rig.pose.bones["shin.L"]["mine"] = 3
    rig.pose.bones["foot.L"].ik_stiffness_y = 0.5
    shown = pose_of(rig)
    before = inventory(rig)
    ik.add_ik(bpy.context, rig)
    assert inventory(rig) != before
    ik.remove_ik(bpy.context, rig)
    after = inventory(rig)
    assert after["constraints"] == before["constraints"] and after["collections"] == before["collections"]
    assert after["bones"] == before["bones"] and after["custom"] == before["custom"] and after["animation"] == before["animation"]
    assert differences(rig, shown, pose_of(rig)) < (1e-5, 1e-3)
    assert not rigs.has_controls(rig) and not [thing for thing in bpy.data.objects if thing.name.startswith("WGT")]


def test_remove_keeps_the_pose_and_what_the_artist_hung_on_a_control(placed: Creature) -> None:
    rig = placed.armature
    driver = rig.pose.bones["head"].driver_add("location", 0)  # the artist's own
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bell = rig.data.edit_bones.new("bell")
    bell.head, bell.tail, bell.parent = (0, -1, 0), (0, -1, 0.1), rig.data.edit_bones["foot_ik.L"]
    bpy.ops.object.mode_set(mode="POSE")
    rig.pose.bones["foot_ik.L"].location = (0.0, 0.1, 0.08)
    rig.pose.bones["spine_bend"].rotation_quaternion = Quaternion((0, 0, 1), 0.4)
    rig.pose.bones["hips"].location = (0, 0, -0.05)
    shown = pose_of(rig)
    shown.pop("bell")
    ik.remove_ik(bpy.context, rig)
    assert bpy.context.mode == "POSE"
    assert_same(rig, shown, pose_of(rig))
    assert rig.data.bones["bell"].parent.name == "root"
    assert [curve.data_path for curve in rig.animation_data.drivers] == [driver.data_path]


def test_refusals_leave_everything_as_it_was(placed: Creature) -> None:
    rig = placed.armature
    count = len(rig.data.bones)
    with pytest.raises(LinkError, match="has IK already"):
        ik.add_ik(bpy.context, rig)
    ik.remove_ik(bpy.context, rig)
    with rigs.edit_mode(bpy.context, rig):
        bone = rig.data.edit_bones.new("foot_ik.L")
        bone.tail = (0, 0, 1)
    with pytest.raises(LinkError, match="named foot_ik.L"):
        ik.add_ik(bpy.context, rig)
    assert len(rig.data.bones) == count - 23 + 1 and not rigs.has_controls(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(LinkError, match="being edited"):
        ik.add_ik(bpy.context, rig)
    assert bpy.context.mode == "EDIT_ARMATURE"


def test_a_rig_driven_by_another_is_refused(placed: Creature) -> None:
    rig = placed.armature
    ik.remove_ik(bpy.context, rig)
    other = place(read_creature(), "other").armature
    tie = rig.pose.bones["shin.L"].constraints.new("COPY_TRANSFORMS")
    tie.target, tie.subtarget = other, "shin.L"
    with pytest.raises(LinkError, match="driven by other"):
        ik.add_ik(bpy.context, rig)
    assert not rigs.has_controls(rig)


def test_what_fails_half_way_leaves_nothing(placed: Creature, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = placed.armature
    ik.remove_ik(bpy.context, rig)
    before = inventory(rig)

    def fail(*words: Any) -> None:
        raise RuntimeError("half way")

    monkeypatch.setattr(rigs, "equip_bend", fail)
    with pytest.raises(RuntimeError, match="half way"):
        ik.add_ik(bpy.context, rig)
    assert inventory(rig) == before


def test_controls_dont_deform_and_have_collections_of_their_own(placed: Creature) -> None:
    rig = placed.armature
    marked = [bone for bone in rig.data.bones if rigs.MARK in bone]
    assert not any(bone.use_deform for bone in marked)
    assert {collection.name for bone in marked for collection in bone.collections} == {rigs.CONTROLS, rigs.MECHANISM}
    assert not rig.data.collections[rigs.MECHANISM].is_visible and rig.data.collections[rigs.CONTROLS].is_visible
    assert not [bone.name for bone in rig.data.bones if rigs.MARK not in bone and bone.collections[0].name.startswith("IK")]


def test_left_and_right_controls_mirror_each_other(placed: Creature) -> None:
    bones = placed.armature.data.bones
    flip = np.diag([-1.0, 1, 1, 1])
    for bone in bones:
        twin = bones[bpy.utils.flip_name(bone.name)]
        assert np.abs(flip @ np.array(bone.matrix_local) @ flip - np.array(twin.matrix_local)).max() < 1e-5, bone.name


# Update


def taller(asset: AssetFile, factor: float = 1.2) -> AssetFile:
    """The same creature on longer legs, standing otherwise in its photo."""
    high = np.float32([1, 1.05, factor])
    heads, tails = asset.heads * high, asset.tails * high
    along = (tails - heads) / np.linalg.norm(tails - heads, axis=1, keepdims=True)
    z_axes = asset.z_axes - (asset.z_axes * along).sum(1, keepdims=True) * along
    turns = np.float32([Quaternion(q).slerp(Quaternion(), 0.5) for q in asset.photo_rotations.tolist()])
    return replace(
        asset, vertices=asset.vertices * high, heads=heads, tails=tails,
        z_axes=z_axes / np.linalg.norm(z_axes, axis=1, keepdims=True), photo_rotations=turns,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["made-up", "horse", "elephant"])
def test_an_update_takes_the_controls_along(name: str) -> None:
    empty_blender()
    asset = read_creature() if name == "made-up" else photo_creatures(name)[name]
    placed, fresh = place(asset), taller(asset)
    ik.add_ik(bpy.context, placed.armature)
    update_asset(bpy.context, placed, fresh)
    after = pose_of(placed.armature)
    bpy.context.scene.collection.children.unlink(placed.collection)
    plain = place(fresh, "plain").armature
    assert_same(plain, pose_of(plain), after)
    # As if they had been added after it.
    ik.add_ik(bpy.context, plain)
    for bone in plain.data.bones:
        assert np.abs(np.array(bone.matrix_local) - np.array(placed.armature.data.bones[bone.name].matrix_local)).max() < 1e-5, bone.name
    for leg in LEGS:
        angles = [next(c.pole_angle for c in rigs.ours(rig.pose.bones[leg.shin]) if c.type == "IK") for rig in (plain, placed.armature)]
        assert angles[0] == pytest.approx(angles[1], abs=1e-4)


def test_an_update_keeps_an_artists_pose_keys_and_constraints_of_the_controls(placed: Creature) -> None:
    rig = placed.armature
    control = rig.pose.bones["foot_ik.L"]
    control.location = (0.02, 0.1, 0.05)
    mine = bpy.data.actions.new("mine")
    curve = compat.new_curve(compat.curve_home(mine, rig), 'pose.bones["front_foot_ik.R"].location', 2, "front_foot_ik.R")
    curve.keyframe_points.insert(1, 0.1)
    compat.assign_action(rig, mine)
    held = control.constraints.new("LIMIT_LOCATION")
    held.use_min_z, held.min_z = True, 0.0
    rig.pose.bones["foot_ik.R"]["ik"] = 0.25
    update_asset(bpy.context, placed, taller(read_creature()))
    control = rig.pose.bones["foot_ik.L"]
    assert tuple(control.location) == pytest.approx((0.02, 0.1, 0.05)) and control.constraints[0].use_min_z
    assert rig.animation_data.action == mine and len(compat.curves_of(mine)) == 1 and len(rig.animation_data.drivers) == 14
    assert [snap.switch_of(rig, leg) for leg in rigs.legs(rig)] == [1, 1, 1, 0.25]
    bpy.context.scene.frame_set(1)
    after = pose_of(rig)
    toe = rig.data.bones["front_toe.R"]
    assert abs(tip(after, rig, "front_toe.R")[2] - toe.tail_local.z - 0.1) < LENGTH_TOLERANCE * body_length(rig)


def test_a_moved_control_counts_as_the_artists_pose(placed: Creature) -> None:
    rig = placed.armature
    poses.take_photo_pose(bpy.context, rig)
    rig.pose.bones["foot_ik.L"].location.z += 0.1
    before = tuple(rig.pose.bones["foot_ik.L"].location)
    channels = [tuple(rig.pose.bones[bone].rotation_quaternion) for bone in LEGS[0].bones]
    update_asset(bpy.context, placed, taller(read_creature()))
    assert tuple(rig.pose.bones["foot_ik.L"].location) == before
    assert [tuple(rig.pose.bones[bone].rotation_quaternion) for bone in LEGS[0].bones] == channels


# Shapes


def test_shapes_are_shared_wire_meshes_outside_every_scene(placed: Creature) -> None:
    count = len(bpy.data.meshes)
    second = place(read_creature(), "other")
    ik.add_ik(bpy.context, second.armature)
    assert len(bpy.data.meshes) == count + 1, "another body, and no other shape"
    shown = [bone for bone in placed.armature.pose.bones if rigs.MECHANISM not in bone.bone.collections]
    for bone in shown:
        thing = bone.custom_shape
        assert thing is not None and not thing.data.polygons and thing.data.edges, bone.name
        assert not any(thing.name in scene.objects for scene in bpy.data.scenes)
        assert thing == second.armature.pose.bones[bone.name].custom_shape
    homes = [collection for collection in bpy.data.collections if collection.get(shapes.SHAPE)]
    assert len(homes) == 1 and homes[0].use_fake_user


def test_a_shape_that_the_artist_chose_stays(placed: Creature) -> None:
    rig = placed.armature
    mine = bpy.data.objects.new("mine", bpy.data.meshes.new("mine"))
    rig.pose.bones["head"].custom_shape = rig.pose.bones["foot_ik.L"].custom_shape = mine
    update_asset(bpy.context, placed, taller(read_creature()))
    assert rig.pose.bones["head"].custom_shape == rig.pose.bones["foot_ik.L"].custom_shape == mine


def test_rings_stand_out_of_the_flesh(placed: Creature) -> None:
    """Most of a ring lies outside the body, and not far: it can be seen and grabbed, and tells whose it is."""
    rig = placed.armature
    size = np.ptp(evaluated_vertices(placed.mesh), axis=0).max()
    for name in ("spine.002", "chest", "neck.001", "shin.L", "front_shin.R", "tail.002"):
        bone = rig.pose.bones[name]
        assert 0.01 * size < max(bone.custom_shape_scale_xyz) < 0.35 * size, name


def test_nothing_of_it_is_exported(placed: Creature, tmp_path: Any) -> None:
    import json
    import struct

    path = tmp_path / "creature.glb"
    bpy.ops.export_scene.gltf(filepath=str(path), export_def_bones=True)
    data = path.read_bytes()
    tree = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    names = [node["name"] for node in tree["nodes"]]
    assert "head" in names and not [name for name in names if name.startswith("Menagerie") or "_ik" in name or "_pole" in name]
