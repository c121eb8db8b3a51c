"""IK controls in the rig: which bones they are, how they are shown, and that no export has them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.control import ik, shapes
from blender_addon.control import rig as rigs
from blender_addon.scene.creature import Creature
from tests.blender.creatures import evaluated_vertices, read_creature
from tests.blender.posed import place, resting_with_ik

pytestmark = pytest.mark.blender5


@pytest.fixture
def placed() -> Creature:
    """The made-up creature at rest, with IK."""
    return resting_with_ik()


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


def test_rings_stand_out_of_the_flesh(placed: Creature) -> None:
    """Most of a ring lies outside the body, and not far: it can be seen and grabbed, and tells whose it is."""
    rig = placed.armature
    size = np.ptp(evaluated_vertices(placed.mesh), axis=0).max()
    for name in ("spine.002", "chest", "neck.001", "shin.L", "front_shin.R", "tail.002"):
        bone = rig.pose.bones[name]
        assert 0.01 * size < max(bone.custom_shape_scale_xyz) < 0.35 * size, name


def test_nothing_of_it_is_exported(placed: Creature, tmp_path: Path) -> None:
    path = tmp_path / "creature.glb"
    bpy.ops.export_scene.gltf(filepath=str(path), export_def_bones=True)
    data = path.read_bytes()
    tree = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    names = [node["name"] for node in tree["nodes"]]
    assert "head" in names and not [name for name in names if name.startswith("Menagerie") or "_ik" in name or "_pole" in name]
