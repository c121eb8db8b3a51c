"""A placed creature is what the asset says: skinning, pose assets, actions, camera, material; and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from backend.frames import blender_to_object, object_to_blender
from backend.types import Asset, Pose
from blender_addon import compat
from blender_addon.scene import motion as motions
from blender_addon.scene.bone_groups import PALETTES, group_of
from blender_addon.scene.place import Creature, place_asset
from tests.asset.creature import TEMPLATE, random_pose, rest_matrices, skin_vertices
from tests.blender.creatures import creature, empty_blender, evaluated_vertices, read_creature, save_photo

pytestmark = pytest.mark.blender5

SKINNING_TOLERANCE = 1e-4  # body lengths, DESIGN promise 7
VIEW_TOLERANCE = 1e-4  # of the photo's width
RANDOM_POSES = 20


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    empty_blender()
    yield


@pytest.fixture
def placed(tmp_path: Path) -> Creature:
    return place_asset(bpy.context, read_creature(), save_photo(tmp_path, (1200, 800)), "doe")


@pytest.fixture
def asset() -> Asset:
    return creature()[0]


def test_promise_7_vertices_equal_the_backends_skinning_in_the_photo_pose(placed: Creature, asset: Asset) -> None:
    expected = object_to_blender(skin_vertices(asset, asset.photo_pose))
    assert np.abs(evaluated_vertices(placed.mesh) - expected).max() < SKINNING_TOLERANCE


def test_promise_7_vertices_equal_the_backends_skinning_in_random_poses(placed: Creature, asset: Asset) -> None:
    worst = 0.0
    for seed in range(RANDOM_POSES):
        pose = Pose(random_pose(asset.skeleton, seed).rotations, np.array([0.1, 0.2, -0.1], np.float32))
        motions.apply_pose(placed.armature, asset.skeleton.names, pose.rotations, object_to_blender(pose.root_translation))
        expected = object_to_blender(skin_vertices(asset, pose))
        worst = max(worst, float(np.abs(evaluated_vertices(placed.mesh) - expected).max()))
    assert worst < SKINNING_TOLERANCE


def test_rest_matrices_are_the_assets(placed: Creature, asset: Asset) -> None:
    for name, matrix in zip(asset.skeleton.names, rest_matrices(asset.skeleton), strict=True):
        bone = placed.armature.data.bones[name]
        assert np.abs(np.array(bone.matrix_local)[:3, 3] - object_to_blender(matrix[:3, 3])).max() < 1e-6
        axes = object_to_blender(matrix[:3, :3].T.copy()).T
        assert np.abs(np.array(bone.matrix_local)[:3, :3] - axes).max() < 2e-5


def test_bones_are_named_joined_and_sorted_into_coloured_collections(placed: Creature, asset: Asset) -> None:
    skeleton = asset.skeleton
    bones = [placed.armature.data.bones[name] for name in skeleton.names]
    assert len(placed.armature.data.bones) == len(bones)
    assert [bone.use_connect for bone in bones] == skeleton.connected.tolist()
    assert [bone.use_deform for bone in bones] == skeleton.deform.tolist()
    assert [bone.parent.name if bone.parent else None for bone in bones] == [
        skeleton.names[parent] if parent >= 0 else None for parent in skeleton.parents
    ]
    for bone in bones:
        (collection,) = bone.collections
        assert bone.color.palette == PALETTES[collection.name]
    assert placed.armature.data.bones["front_toe.R"].collections[0].name == "front leg.R"


def test_groups_and_colours_are_the_templates() -> None:
    template = json.loads(TEMPLATE.read_text())
    assert {bone["name"]: group_of(bone["name"]) for bone in template["bones"]} == {
        bone["name"]: bone["group"] for bone in template["bones"]
    }
    assert {group: PALETTES[group] for group in template["groups"]} == template["groups"]
    assert group_of("part.001") == group_of("hand.L") == "other"


def test_nothing_is_assigned_and_a_hand_pose_outlives_a_frame_change(placed: Creature) -> None:
    assert placed.armature.animation_data is None
    bone = placed.armature.pose.bones["head"]
    bone.rotation_quaternion = (0.8, 0.6, 0, 0)
    bpy.context.scene.frame_set(7)
    assert np.allclose(bone.rotation_quaternion, (0.8, 0.6, 0, 0))


def test_pose_assets_hold_photo_and_rest_pose_with_the_photos_preview(placed: Creature, asset: Asset) -> None:
    assert placed.photo_pose is not None and placed.rest_pose is not None
    for action, rotations in ((placed.photo_pose, asset.photo_pose.rotations), (placed.rest_pose, None)):
        assert action.asset_data is not None and tuple(action.frame_range) == (1.0, 1.0)
        assert tuple(action.preview.image_size) == (256, 171)
        pixels = np.array(action.preview.image_pixels_float).reshape(171, 256, 4)
        assert np.allclose(pixels[-10, 10], [1, 0, 0, 1], atol=0.02)  # red stands upper left
        motions.apply_pose(placed.armature, asset.skeleton.names, np.tile([0.6, 0, 0.8, 0], (34, 1)), np.zeros(3))
        compat.assign_action(placed.armature, action)
        bpy.context.scene.frame_set(1)
        want = np.tile([1, 0, 0, 0], (34, 1)) if rotations is None else rotations
        got = np.array([placed.armature.pose.bones[name].rotation_quaternion for name in asset.skeleton.names])
        assert np.abs(got - want).max() < 1e-6


def test_motions_play_as_the_asset_has_them(placed: Creature, asset: Asset) -> None:
    (action,), motion = placed.actions, asset.motions[0]
    assert action.use_cyclic and action.use_fake_user
    compat.assign_action(placed.armature, action)
    for frame in (0, 5, 23):
        bpy.context.scene.frame_set(1 + frame)
        expected = object_to_blender(skin_vertices(asset, Pose(motion.rotations[frame], motion.root_translations[frame])))
        assert np.abs(evaluated_vertices(placed.mesh) - expected).max() < SKINNING_TOLERANCE


def test_motions_keep_their_time_at_another_scene_rate(asset: Asset) -> None:
    bpy.context.scene.render.fps = 60
    placed = place_asset(bpy.context, read_creature(), None, "doe")
    assert placed.actions[0].frame_end == pytest.approx(1 + 23 * 60 / 24)


def test_curves_stand_in_groups_of_their_bones(placed: Creature) -> None:
    curves = compat.curves_of(placed.actions[0])
    assert len(curves) == 34 * 4 + 3
    assert all(curve.group is not None and f'"{curve.group.name}"' in curve.data_path for curve in curves)


def test_the_camera_sees_the_creature_where_the_photo_has_it(placed: Creature, asset: Asset) -> None:
    scene, camera = bpy.context.scene, asset.camera
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
    bpy.context.view_layer.update()
    for point in asset.skeleton.heads:
        seen = world_to_camera_view(scene, placed.camera, Vector(object_to_blender(point).tolist()))
        there = camera.object_to_camera @ np.append(point, 1)
        x, y = camera.focal_px * there[:2] / there[2] + [camera.width / 2, camera.height / 2]
        assert abs(seen.x - x / camera.width) < VIEW_TOLERANCE and abs(1 - seen.y - y / camera.height) < VIEW_TOLERANCE


@pytest.mark.parametrize("shape", [(1200, 800), (800, 1200), (1000, 1000)])
def test_the_photos_plane_fills_the_photos_view_at_any_scene_aspect(placed: Creature, asset: Asset, shape: tuple[int, int]) -> None:
    scene, plane, camera = bpy.context.scene, placed.photo, asset.camera
    assert plane is not None and plane.parent == placed.camera
    scene.render.resolution_x, scene.render.resolution_y = shape
    bpy.context.view_layer.update()
    half = plane.empty_display_size / 2
    corner = plane.matrix_world @ Vector((half, half * camera.height / camera.width, 0))
    place = camera.object_to_camera @ np.append(blender_to_object(np.array(corner, np.float32)), 1)
    pixel = camera.focal_px * place[:2] / place[2] + [camera.width / 2, camera.height / 2]
    assert np.abs(pixel - [camera.width, 0]).max() < VIEW_TOLERANCE * camera.width
    posed = evaluated_vertices(placed.mesh)
    view = np.array(placed.camera.matrix_world.inverted())
    assert (posed @ view[2, :3] + view[2, 3]).min() > plane.matrix_basis.translation.z


def test_mesh_is_unwrapped_smooth_weighted_and_textured(placed: Creature, asset: Asset) -> None:
    mesh = placed.mesh.data
    assert not mesh.validate()
    assert all(polygon.use_smooth for polygon in mesh.polygons)
    uvs = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.uv_layers[0].uv.foreach_get("vector", uvs)
    assert asset.mesh.uvs is not None and np.array_equal(uvs, asset.mesh.uvs.ravel())
    names = [group.name for group in placed.mesh.vertex_groups]
    for index in range(0, len(mesh.vertices), 53):
        got = {names[item.group]: item.weight for item in mesh.vertices[index].groups}
        want = {
            asset.skeleton.names[bone]: weight
            for bone, weight in zip(asset.skin.bones[index], asset.skin.weights[index], strict=True)
            if weight > 0
        }
        assert got == pytest.approx(want)
    node = placed.mesh.data.materials[0].node_tree.nodes["Base Color"]
    assert node.image.packed_file is not None
    pixels = np.array(node.image.pixels).reshape(64, 64, 4)[::-1, :, :3]
    assert np.abs(pixels * 255 - asset.texture.base_color).max() < 0.6


def test_everything_stands_in_one_collection_of_its_own(placed: Creature) -> None:
    assert placed.collection.name in bpy.context.scene.collection.children
    assert set(placed.collection.objects) == {placed.mesh, placed.armature, placed.camera, placed.photo}
    assert len(bpy.data.scenes) == 1


def test_a_second_creature_stands_beside_the_first(placed: Creature) -> None:
    second = place_asset(bpy.context, read_creature(), None, "doe")
    assert second.collection != placed.collection and second.armature.data != placed.armature.data


def test_a_photo_that_blender_cannot_show_leaves_the_plane_out(tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(b"not a picture")
    assert place_asset(bpy.context, read_creature(), path, "doe").photo is None
    assert [image.name for image in bpy.data.images] == ["doe base color"]


def test_promise_2_a_failure_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(motions, "build_action", fail)
    with pytest.raises(MemoryError):
        place_asset(bpy.context, read_creature(), None, "doe")
    for kind in ("objects", "meshes", "armatures", "cameras", "collections", "images", "materials", "actions"):
        assert len(getattr(bpy.data, kind)) == 0, kind
