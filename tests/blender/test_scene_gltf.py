"""Blender's own importer reads the `.glb` as the backend meant it: pose, bones, camera, action."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from backend.asset.gltf import write_gltf
from backend.frames import object_to_blender
from backend.types import Asset
from tests.asset.creature import skin_vertices
from tests.blender.creatures import creature, empty_blender, evaluated_vertices

pytestmark = pytest.mark.blender5

POSE_TOLERANCE = 1e-4  # body lengths
VIEW_TOLERANCE = 1e-4  # of the photo's width
BONE_SHAPE = "Icosphere"  # the importer adds this mesh by itself


def import_gltf(asset: Asset, path: Path) -> dict[str, bpy.types.Object]:
    """{type: object} of what Blender makes of the asset's export in an empty file."""
    empty_blender()
    write_gltf(asset, path)
    logging.disable(logging.INFO)
    bpy.ops.import_scene.gltf(filepath=str(path))
    return {thing.type: thing for thing in bpy.data.objects if thing.name != BONE_SHAPE}


@pytest.fixture
def imported(tmp_path: Path) -> dict[str, bpy.types.Object]:
    return import_gltf(creature()[0], tmp_path / "creature.glb")


def test_without_animations_it_stands_in_the_photo_pose(tmp_path: Path) -> None:
    asset = replace(creature()[0], motions=())
    body = import_gltf(asset, tmp_path / "creature.glb")["MESH"]
    expected = object_to_blender(skin_vertices(asset, asset.photo_pose).astype(np.float32))
    farthest = max(float(np.abs(expected - vertex).max(1).min()) for vertex in evaluated_vertices(body)[::7])
    assert farthest < POSE_TOLERANCE


def test_bones_run_from_their_heads_along_their_bones(imported: dict[str, bpy.types.Object]) -> None:
    skeleton = creature()[0].skeleton
    heads, tails = object_to_blender(skeleton.heads), object_to_blender(skeleton.tails)
    bones = imported["ARMATURE"].data.bones
    assert len(bones) == len(skeleton.names)
    for name, head, along in zip(skeleton.names, heads, tails - heads, strict=True):
        assert np.abs(np.array(bones[name].head_local) - head).max() < POSE_TOLERANCE
        got = np.array(bones[name].tail_local - bones[name].head_local)
        assert np.abs(got / np.linalg.norm(got) - along / np.linalg.norm(along)).max() < POSE_TOLERANCE


def test_the_photo_camera_sees_it_as_the_asset_does(imported: dict[str, bpy.types.Object]) -> None:
    asset, scene = creature()[0], bpy.context.scene
    camera = asset.camera
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
    bpy.context.view_layer.update()
    for point in asset.skeleton.tails:
        seen = world_to_camera_view(scene, imported["CAMERA"], Vector(object_to_blender(point).tolist()))
        there = camera.object_to_camera @ np.append(point, 1)
        x, y = camera.focal_px * there[:2] / there[2] + [camera.width / 2, camera.height / 2]
        assert abs(seen.x - x / camera.width) < VIEW_TOLERANCE and abs(1 - seen.y - y / camera.height) < VIEW_TOLERANCE


def test_the_walk_comes_along_as_an_action(imported: dict[str, bpy.types.Object]) -> None:
    assert any(action.name.startswith("walk") for action in bpy.data.actions)
