"""Remove IK leaves what was, a refused Add IK too, and an Update takes the controls along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Quaternion

from blender_addon import compat
from blender_addon.control import ik, poses, snap
from blender_addon.control import rig as rigs
from blender_addon.control.limbs import LEGS
from blender_addon.link.errors import LinkError
from blender_addon.scene.asset_file import AssetFile
from blender_addon.scene.creature import Creature
from blender_addon.scene.place import update_asset
from tests.blender.creatures import empty_blender, read_creature
from tests.blender.photo_creatures import photo_creatures
from tests.blender.posed import LENGTH_TOLERANCE, assert_same, body_length, differences, place, pose_of, resting_with_ik, tip

pytestmark = pytest.mark.blender5

PROPERTIES = {"rna_type", "is_valid", "error_location", "error_rotation"}
"""That tell nothing of what was made."""


@pytest.fixture
def placed() -> Creature:
    """The made-up creature at rest, with IK."""
    return resting_with_ik()


def noted(thing: Any) -> dict[str, Any]:
    """Every plain property of something of Blender's."""
    found = {}
    for prop in thing.bl_rna.properties:
        if prop.identifier in PROPERTIES or prop.type in ("COLLECTION", "POINTER"):
            continue
        value = getattr(thing, prop.identifier)
        if isinstance(value, Matrix):
            value = tuple(map(tuple, value))
        elif hasattr(value, "__len__") and not isinstance(value, str):
            value = tuple(value)
        found[prop.identifier] = value
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


def test_a_shape_that_the_artist_chose_stays(placed: Creature) -> None:
    rig = placed.armature
    mine = bpy.data.objects.new("mine", bpy.data.meshes.new("mine"))
    rig.pose.bones["head"].custom_shape = rig.pose.bones["foot_ik.L"].custom_shape = mine
    update_asset(bpy.context, placed, taller(read_creature()))
    assert rig.pose.bones["head"].custom_shape == rig.pose.bones["foot_ik.L"].custom_shape == mine
