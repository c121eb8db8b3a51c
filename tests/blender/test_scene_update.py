"""Update replaces mesh, texture and rest pose, and keeps what the artist made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest

from backend.asset.write import encode_asset
from backend.frames import object_to_blender
from backend.types import Asset, Camera, Mesh, Skeleton, Texture
from blender_addon import compat
from blender_addon.link.errors import LinkError
from blender_addon.scene.asset_file import AssetFile, decode_asset_file
from blender_addon.scene.creature import Creature, find_creature
from blender_addon.scene.place import place_asset, update_asset
from tests.asset.creature import look_at, make_creature, random_pose, skin_vertices
from tests.blender.creatures import empty_blender, evaluated_vertices, read_creature, save_photo

pytestmark = pytest.mark.blender5

SKINNING_TOLERANCE = 1e-4


@pytest.fixture
def placed(tmp_path: Path) -> Iterator[Creature]:
    empty_blender()
    yield place_asset(bpy.context, read_creature(), save_photo(tmp_path), "doe")


@pytest.fixture(scope="module")
def other() -> Asset:
    """Another seed's result: taller, of other topology, red, in another pose, from another side."""
    made = make_creature(2500, texture_size=32)
    taller = np.float32([1, 1.2, 1])
    skeleton = made.skeleton
    heads, tails = skeleton.heads * taller, skeleton.tails * taller
    along = (tails - heads) / np.linalg.norm(tails - heads, axis=1, keepdims=True)
    z_axes = skeleton.z_axes - (skeleton.z_axes * along).sum(1, keepdims=True) * along
    z_axes /= np.linalg.norm(z_axes, axis=1, keepdims=True)
    return replace(
        made,
        mesh=Mesh(made.mesh.vertices * taller, made.mesh.faces, made.mesh.uvs, made.mesh.mirror),
        skeleton=Skeleton(skeleton.names, skeleton.parents, skeleton.connected, skeleton.deform, heads, tails, z_axes),
        texture=Texture(np.tile(np.uint8([200, 10, 20]), (32, 32, 1))),
        photo_pose=random_pose(skeleton, 11, 0.2),
        camera=Camera(900, 1200, 1000.0, look_at((-3, 1, 3), (0, 0.8, 0.5))),
    )


@pytest.fixture(scope="module")
def fresh(other: Asset) -> AssetFile:
    return decode_asset_file(encode_asset(other))


def test_promise_7_the_new_result_stands_there_in_its_photo_pose(placed: Creature, other: Asset, fresh: AssetFile) -> None:
    update_asset(bpy.context, placed, fresh)
    expected = object_to_blender(skin_vertices(other, other.photo_pose))
    assert np.abs(evaluated_vertices(placed.mesh) - expected).max() < SKINNING_TOLERANCE
    worn = [mesh for mesh in bpy.data.meshes if mesh.name.startswith("Menagerie ")]  # shapes of bones
    assert len(bpy.data.meshes) - len(worn) == 1 and len(bpy.data.armatures) == 1 and len(bpy.data.scenes) == 1
    assert placed.mesh.data.name == "doe mesh"


def test_the_texture_is_replaced_inside_the_same_image(placed: Creature, fresh: AssetFile) -> None:
    node = placed.mesh.data.materials[0].node_tree.nodes["Base Color"]
    image = node.image
    assert image.pixels[0] != pytest.approx(200 / 255)  # decoded before the update
    update_asset(bpy.context, placed, fresh)
    assert node.image == image and tuple(image.size) == (32, 32)
    assert list(image.pixels[:3]) == pytest.approx([200 / 255, 10 / 255, 20 / 255], abs=1e-3)


def test_objects_actions_constraints_and_material_edits_stay(placed: Creature, fresh: AssetFile) -> None:
    rig, body = placed.armature, placed.mesh
    pointer = (rig.as_pointer(), body.as_pointer())
    constraint = rig.pose.bones["head"].constraints.new("LIMIT_ROTATION")
    constraint.max_x = 0.25
    body.modifiers.new("Subdivision", "SUBSURF")
    mine = bpy.data.actions.new("mine")
    curve = compat.new_curve(compat.curve_home(mine, rig), 'pose.bones["head"].rotation_quaternion', 1, "head")
    curve.keyframe_points.insert(1, 0.125)
    compat.assign_action(rig, mine)
    material = body.data.materials[0]
    next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED").inputs["Roughness"].default_value = 0.125
    body.data.materials.append(bpy.data.materials.new("hooves"))
    update_asset(bpy.context, placed, fresh)
    assert (rig.as_pointer(), body.as_pointer()) == pointer
    assert rig.pose.bones["head"].constraints[0].max_x == 0.25
    assert [modifier.type for modifier in body.modifiers] == ["ARMATURE", "SUBSURF"]
    assert rig.animation_data.action == mine and len(compat.curves_of(mine)) == 1
    assert [slot.name for slot in body.data.materials] == ["doe", "hooves"]
    shader = next(node for node in body.data.materials[0].node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    assert shader.inputs["Roughness"].default_value == 0.125


def test_a_hand_pose_stays(placed: Creature, fresh: AssetFile) -> None:
    placed.armature.pose.bones["neck.001"].rotation_quaternion = (0.8, 0.6, 0, 0)
    update_asset(bpy.context, placed, fresh)
    assert np.allclose(placed.armature.pose.bones["neck.001"].rotation_quaternion, (0.8, 0.6, 0, 0))


def test_pose_assets_follow_the_new_result(placed: Creature, other: Asset, fresh: AssetFile) -> None:
    update_asset(bpy.context, placed, fresh)
    assert placed.photo_pose is not None
    compat.assign_action(placed.armature, placed.photo_pose)
    bpy.context.scene.frame_set(1)
    got = [placed.armature.pose.bones[name].rotation_quaternion for name in other.skeleton.names]
    assert np.abs(np.array(got) - other.photo_pose.rotations).max() < 1e-6


def test_bones_that_the_artist_added_stay(placed: Creature, fresh: AssetFile) -> None:
    rig = placed.armature
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    saddle = rig.data.edit_bones.new("saddle")
    saddle.head, saddle.tail, saddle.parent = (0, 0, 1), (0, 0, 1.2), rig.data.edit_bones["spine.002"]
    bpy.ops.object.mode_set(mode="OBJECT")
    update_asset(bpy.context, placed, fresh)
    assert rig.data.bones["saddle"].parent.name == "spine.002"


def test_pose_mode_selection_and_scene_stay(placed: Creature, fresh: AssetFile) -> None:
    bpy.context.view_layer.objects.active = placed.armature
    bpy.ops.object.mode_set(mode="POSE")
    update_asset(bpy.context, placed, fresh)
    assert bpy.context.mode == "POSE" and bpy.context.object == placed.armature


def test_the_camera_follows_unless_the_artist_moved_it(placed: Creature, fresh: AssetFile) -> None:
    camera = placed.camera
    assert camera is not None
    before = camera.matrix_world.copy()
    update_asset(bpy.context, placed, fresh)
    bpy.context.view_layer.update()
    assert (camera.matrix_world.translation - before.translation).length > 1
    assert camera.data.sensor_fit == "VERTICAL"
    camera.location.x += 1
    bpy.context.view_layer.update()
    moved = camera.matrix_world.copy()
    update_asset(bpy.context, placed, read_creature())
    bpy.context.view_layer.update()
    assert camera.matrix_world == moved


def test_a_mesh_that_is_being_edited_is_left_alone(placed: Creature, fresh: AssetFile) -> None:
    bpy.context.view_layer.objects.active = placed.mesh
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(LinkError) as caught:
        update_asset(bpy.context, placed, fresh)
    assert caught.value.code == "bad_request"
    assert bpy.context.mode == "EDIT_MESH"


def test_the_creature_is_found_by_its_armature(placed: Creature) -> None:
    found = find_creature(placed.armature)
    assert found is not None
    assert (found.mesh, found.armature, found.camera, found.photo) == (placed.mesh, placed.armature, placed.camera, placed.photo)
    assert (found.photo_pose, found.rest_pose) == (placed.photo_pose, placed.rest_pose)
    bpy.data.objects.remove(placed.mesh)
    assert find_creature(placed.armature) is None
