"""The glTF export: valid to Khronos' validator, readable by others, and true to pose, weights, camera and motion."""

from __future__ import annotations

import io
import json
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image as PillowImage

from backend.asset.gltf import encode_gltf, write_gltf
from backend.types import Asset
from tests.asset.creature import make_creature, skin_vertices, with_moving_camera

MODULES = Path(__file__).parents[2] / "build" / "node_modules"
POSE_TOLERANCE = 1e-5  # body lengths; float32 nodes and inverse binds
PIXEL_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def creature() -> Asset:
    return make_creature(1500, texture_size=64)


class Glb:
    """A second, independent reading of a `.glb`."""

    def __init__(self, data: bytes) -> None:
        magic, version, total = struct.unpack_from("<4sII", data)
        assert (magic, version, total) == (b"glTF", 2, len(data))
        length, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        self.document = json.loads(data[20 : 20 + length])
        self.binary = data[28 + length :]

    def array(self, index: int) -> np.ndarray:
        accessor = self.document["accessors"][index]
        view = self.document["bufferViews"][accessor["bufferView"]]
        dtype = {5126: "<f4", 5121: "u1", 5123: "<u2", 5125: "<u4"}[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
        return np.frombuffer(self.binary, dtype, accessor["count"] * width, view["byteOffset"]).reshape(-1, width)

    def attribute(self, name: str) -> np.ndarray:
        return self.array(self.document["meshes"][0]["primitives"][0]["attributes"][name])

    def node(self, name: str) -> dict:
        return next(node for node in self.document["nodes"] if node["name"] == name)

    def globals(self, locals_: list[np.ndarray]) -> list[np.ndarray]:
        made: dict[int, np.ndarray] = {}

        def visit(index: int, above: np.ndarray) -> None:
            made[index] = above @ locals_[index]
            for child in self.document["nodes"][index].get("children", []):
                visit(child, made[index])

        for index in self.document["scenes"][0]["nodes"]:
            visit(index, np.eye(4))
        return [made[index] for index in range(len(self.document["nodes"]))]

    def skinned(self, locals_: list[np.ndarray]) -> np.ndarray:
        skin = self.document["skins"][0]
        binds = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float64)
        world = self.globals(locals_)
        deltas = np.array([world[joint] @ bind for joint, bind in zip(skin["joints"], binds, strict=True)])
        per_vertex = (deltas[self.attribute("JOINTS_0")] * self.attribute("WEIGHTS_0")[..., None, None]).sum(1)
        places = np.concatenate([self.attribute("POSITION"), np.ones((len(per_vertex), 1))], 1)
        return np.einsum("vij,vj->vi", per_vertex, places)[:, :3]


def local_matrix(node: dict) -> np.ndarray:
    matrix = np.eye(4)
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix[:3, :3] += 2 * (w * cross + cross @ cross)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def welded(asset: Asset, glb: Glb) -> np.ndarray:
    """Index of the asset's vertex at each of the file's split vertices."""
    places = {vertex.tobytes(): index for index, vertex in enumerate(asset.mesh.vertices + np.float32(0))}
    return np.array([places[vertex.tobytes()] for vertex in glb.attribute("POSITION") + np.float32(0)])


@pytest.mark.parametrize("moving", [False, True])
def test_khronos_validator_finds_no_error_and_no_warning(creature: Asset, tmp_path: Path, moving: bool) -> None:
    path = tmp_path / "creature.glb"
    write_gltf(with_moving_camera(creature) if moving else creature, path)
    script = Path(__file__).with_name("validate.mjs")
    done = subprocess.run(["node", str(script), str(path), str(MODULES)], capture_output=True, text=True, check=True)
    issues = json.loads(done.stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]


def test_node_transforms_hold_the_photo_pose(creature: Asset) -> None:
    glb = Glb(encode_gltf(creature))
    posed = glb.skinned([local_matrix(node) for node in glb.document["nodes"]])
    expected = skin_vertices(creature, creature.photo_pose)[welded(creature, glb)]
    assert np.abs(posed - expected).max() < POSE_TOLERANCE


def test_animation_frames_hold_the_motion(creature: Asset) -> None:
    glb = Glb(encode_gltf(creature))
    motion, animation = creature.motions[0], glb.document["animations"][0]
    times = glb.array(animation["samplers"][0]["input"])[:, 0]
    assert times[0] == 0 and np.allclose(np.diff(times), 1 / motion.fps)
    frame = 7
    locals_ = []
    for index, node in enumerate(glb.document["nodes"]):
        moved = dict(node)
        for channel in animation["channels"]:
            if channel["target"]["node"] == index:
                values = glb.array(animation["samplers"][channel["sampler"]]["output"])
                moved[channel["target"]["path"]] = values[frame].astype(np.float64)
        locals_.append(local_matrix(moved))
    pose = replace(creature.photo_pose, rotations=motion.rotations[frame], root_translation=motion.root_translations[frame])
    expected = skin_vertices(creature, pose)[welded(creature, glb)]
    assert np.abs(glb.skinned(locals_) - expected).max() < POSE_TOLERANCE


def test_joints_carry_length_and_point_along_their_bones(creature: Asset) -> None:
    glb = Glb(encode_gltf(creature))
    binds = glb.array(glb.document["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float64)
    for bone, name in enumerate(creature.skeleton.names):
        tail = np.linalg.inv(binds[bone]) @ [0, glb.node(name)["extras"]["length"], 0, 1]
        assert np.abs(tail[:3] - creature.skeleton.tails[bone]).max() < POSE_TOLERANCE


def test_photo_camera_projects_as_the_asset_does(creature: Asset) -> None:
    glb = Glb(encode_gltf(creature))
    node, camera = glb.node("photo_camera"), creature.camera
    lens = glb.document["cameras"][node["camera"]]["perspective"]
    point = np.array([0.1, 0.9, 0.4, 1.0])
    seen = np.linalg.inv(local_matrix(node)) @ point
    half_height = np.tan(lens["yfov"] / 2)
    x = (seen[0] / -seen[2] / (half_height * lens["aspectRatio"]) + 1) / 2 * camera.width
    y = (1 - seen[1] / -seen[2] / half_height) / 2 * camera.height
    there = camera.object_to_camera.astype(np.float64) @ point
    expected = camera.focal_px * there[:2] / there[2] + [camera.width / 2, camera.height / 2]
    assert np.abs([x, y] - expected).max() < PIXEL_TOLERANCE


def test_a_moving_camera_is_played_by_its_node_without_a_jump(creature: Asset) -> None:
    asset = with_moving_camera(creature)
    glb = Glb(encode_gltf(asset))
    (animation,), cameras = glb.document["animations"], asset.motions[0].cameras
    assert cameras is not None
    camera = glb.document["nodes"].index(glb.node("photo_camera"))
    tracks = {
        channel["target"]["path"]: glb.array(animation["samplers"][channel["sampler"]]["output"]).astype(np.float64)
        for channel in animation["channels"]
        if channel["target"]["node"] == camera
    }
    assert set(tracks) == {"rotation", "translation"}
    for frame, expected in enumerate(cameras.astype(np.float64)):
        view = np.linalg.inv(local_matrix({path: values[frame] for path, values in tracks.items()}))
        assert np.abs(np.diag([1, -1, -1, 1]) @ view - expected).max() < POSE_TOLERANCE
    assert ((tracks["rotation"][1:] * tracks["rotation"][:-1]).sum(1) > 0).all()


def test_a_camera_that_stands_still_has_no_animation(creature: Asset) -> None:
    glb = Glb(encode_gltf(creature))
    camera = glb.document["nodes"].index(glb.node("photo_camera"))
    assert all(channel["target"]["node"] != camera for channel in glb.document["animations"][0]["channels"])


def test_seams_split_vertices_but_not_normals_and_uvs_turn_over(creature: Asset) -> None:
    glb = Glb(encode_gltf(creature))
    origin = welded(creature, glb)
    assert len(origin) > len(creature.mesh.vertices)
    normals = glb.attribute("NORMAL")
    first = {vertex: normals[place] for place, vertex in reversed(list(enumerate(origin)))}
    assert all(np.array_equal(normals[place], first[vertex]) for place, vertex in enumerate(origin))
    indices = glb.array(glb.document["meshes"][0]["primitives"][0]["indices"])[:, 0]
    assert creature.mesh.uvs is not None
    assert np.array_equal(origin[indices], creature.mesh.faces.reshape(-1))
    expected = creature.mesh.uvs.reshape(-1, 2) * [1, -1] + [0, 1]
    assert np.abs(glb.attribute("TEXCOORD_0")[indices] - expected).max() < 1e-6


def test_texture_is_embedded_unchanged(creature: Asset) -> None:
    glb = Glb(encode_gltf(creature))
    view = glb.document["bufferViews"][glb.document["images"][0]["bufferView"]]
    png = glb.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    assert np.array_equal(np.array(PillowImage.open(io.BytesIO(png))), creature.texture.base_color)


def test_trimesh_reads_the_mesh_and_its_texture(creature: Asset) -> None:
    scene = trimesh.load(io.BytesIO(encode_gltf(creature)), file_type="glb")
    (mesh,) = scene.geometry.values()
    assert len(mesh.faces) == len(creature.mesh.faces)
    assert mesh.visual.material.baseColorTexture.size == (64, 64)


def test_equal_assets_give_equal_bytes(creature: Asset) -> None:
    assert encode_gltf(creature) == encode_gltf(replace(creature, provenance={"other": 1}))
