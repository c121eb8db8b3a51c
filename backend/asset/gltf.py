"""Write a creature as a standalone `.glb` (glTF 2.0), which needs no change of axes: the object frame is glTF's.

Node transforms hold the photo pose, inverse bind matrices the rest pose. Each joint's local +Y runs along its bone and
`extras.length` gives the bone's length. Motions are animations in their order, from time 0. The node `photo_camera`
has the photo's vertical field of view and aspect, and moves where a motion's camera does. Vertices are split at texture seams, normals
are smooth across them.
"""

from __future__ import annotations

import json
import math
import os
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.asset import schema
from backend.asset.write import encode_png, write_whole
from backend.frames import camera_to_object_opengl
from backend.types import Asset, FloatArray, Mesh, Skeleton, Skin

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125
COMPONENTS = {
    np.dtype(np.float32): FLOAT, np.dtype(np.uint8): UNSIGNED_BYTE,
    np.dtype(np.uint16): UNSIGNED_SHORT, np.dtype(np.uint32): UNSIGNED_INT,
}  # fmt: skip
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
ROUGHNESS = 0.8


class Buffer:
    """The binary chunk while it grows: bytes, and the bufferViews and accessors that point into it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add_bytes(self, data: bytes, target: int | None = None) -> int:
        """Appends bytes at a multiple of 4; returns the bufferView's index."""
        self.data += b"\0" * (-len(self.data) % 4)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.views.append(view)
        self.data += data
        return len(self.views) - 1

    def add_array(self, array: NDArray[Any], kind: str, target: int | None = None, bounds: bool = False) -> int:
        """Appends an array of SCALAR, VEC2-4 or MAT4 items; returns the accessor's index."""
        array = np.ascontiguousarray(array)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        accessor: dict[str, Any] = {
            "bufferView": self.add_bytes(little.tobytes(), target),
            "componentType": COMPONENTS[array.dtype],
            "count": len(array),
            "type": kind,
        }
        if bounds:
            flat = array.reshape(len(array), -1)
            accessor["min"], accessor["max"] = flat.min(0).tolist(), flat.max(0).tolist()
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def write_gltf(asset: Asset, path: str | os.PathLike[str]) -> None:
    """Writes the asset to a `.glb`, whole or not at all. Raises ValueError, MenagerieError as `write.write_asset`."""
    write_whole(encode_gltf(asset), path)


def encode_gltf(asset: Asset) -> bytes:
    """The `.glb`'s bytes, equal for equal assets. Raises ValueError where the asset breaks the schema."""
    schema.check_asset(asset)
    buffer = Buffer()
    bones = len(asset.skeleton.names)
    armature, mesh_node, camera_node = bones, bones + 1, bones + 2  # joints come first: node b is bone b
    rest = rest_matrices(asset.skeleton)
    roots = [bone for bone in range(bones) if asset.skeleton.parents[bone] < 0]
    nodes = joint_nodes(asset, rest)
    nodes.append({"name": asset.name, "children": roots})
    nodes.append({"name": f"{asset.name} mesh", "mesh": 0, "skin": 0})
    nodes.append({"name": "photo_camera", "camera": 0, **rigid(camera_to_object_opengl(asset.camera.object_to_camera).astype(np.float64))})
    distance = float(np.linalg.norm(asset.camera.object_to_camera[:3, 3]))
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Menagerie"},
        "scene": 0,
        "scenes": [{"nodes": [armature, mesh_node, camera_node]}],
        "nodes": nodes,
        "meshes": [{"name": asset.name, "primitives": [primitive(asset.mesh, asset.skin, buffer)]}],
        "skins": [
            {
                "name": asset.name,
                "inverseBindMatrices": buffer.add_array(inverse_binds(rest), "MAT4"),
                "joints": list(range(bones)),
                "skeleton": armature,
            }
        ],
        "cameras": [
            {
                "name": "photo_camera",
                "type": "perspective",
                "perspective": {
                    "yfov": 2 * math.atan(asset.camera.height / (2 * asset.camera.focal_px)),
                    "aspectRatio": asset.camera.width / asset.camera.height,
                    "znear": max(distance, 1.0) * 0.01,
                    "zfar": max(distance, 1.0) * 100,
                },
            }
        ],
        "materials": [
            {
                "name": asset.name,
                "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": ROUGHNESS},
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "images": [
            {"name": asset.name, "mimeType": "image/png", "bufferView": buffer.add_bytes(encode_png(asset.texture.base_color))}
        ],
    }
    if asset.motions:
        document["animations"] = animations(asset, rest, camera_node, buffer)
    document["bufferViews"], document["accessors"] = buffer.views, buffer.accessors
    buffer.data += b"\0" * (-len(buffer.data) % 4)
    document["buffers"] = [{"byteLength": len(buffer.data)}]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(buffer.data), 0x004E4942) + bytes(buffer.data)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def rest_matrices(skeleton: Skeleton) -> NDArray[np.float64]:
    """(b, 4, 4) rest transforms in the object frame: columns X, Y (along the bone), Z, head."""
    along = skeleton.tails.astype(np.float64) - skeleton.heads
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, skeleton.z_axes)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    matrices = np.tile(np.eye(4), (len(along), 1, 1))
    matrices[:, :3, 0], matrices[:, :3, 1], matrices[:, :3, 2] = across, along, np.cross(across, along)
    matrices[:, :3, 3] = skeleton.heads
    return matrices


def local_rests(skeleton: Skeleton, rest: NDArray[np.float64]) -> NDArray[np.float64]:
    """(b, 4, 4) rest transform of each bone in its parent's rest frame (a root's in the object frame)."""
    parents = np.maximum(skeleton.parents, 0)
    inside = np.linalg.inv(rest[parents]) @ rest
    return np.where((skeleton.parents < 0)[:, None, None], rest, inside)


def posed_locals(
    asset: Asset, rest: NDArray[np.float64], rotations: FloatArray, translations: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Node rotations (..., b, 4) wxyz and translations (..., b, 3) for local rotations (..., b, 4) and the root's
    translations (..., 3) in the object frame."""
    local = local_rests(asset.skeleton, rest)
    turns = multiply(np.array([quaternion(matrix) for matrix in local]), rotations.astype(np.float64))
    turns /= np.linalg.norm(turns, axis=-1, keepdims=True)
    places = np.broadcast_to(local[:, :3, 3], (*turns.shape[:-1], 3)).copy()
    places[..., 0, :] += translations  # bone 0 is a root: parents stand before children
    return turns, places


def joint_nodes(asset: Asset, rest: NDArray[np.float64]) -> list[dict[str, Any]]:
    """One node a bone, in the photo pose."""
    skeleton = asset.skeleton
    turns, places = posed_locals(asset, rest, asset.photo_pose.rotations, asset.photo_pose.root_translation)
    lengths = np.linalg.norm(skeleton.tails.astype(np.float64) - skeleton.heads, axis=1)
    nodes: list[dict[str, Any]] = []
    for bone, name in enumerate(skeleton.names):
        node = {"name": name, "extras": {"length": float(lengths[bone])}, **transform(turns[bone], places[bone])}
        children = np.nonzero(skeleton.parents == bone)[0].tolist()
        nodes.append({**node, "children": children} if children else node)
    return nodes


def inverse_binds(rest: NDArray[np.float64]) -> NDArray[np.float32]:
    """(b, 16) column-major inverses of the rest transforms, with an exact last row."""
    inverse = np.linalg.inv(rest)
    inverse[:, 3] = [0, 0, 0, 1]
    return inverse.transpose(0, 2, 1).reshape(-1, 16).astype(np.float32)


def primitive(mesh: Mesh, skin: Skin, buffer: Buffer) -> dict[str, Any]:
    """The mesh's one primitive: vertices split where corners disagree about UV."""
    assert mesh.uvs is not None
    corners = np.concatenate([mesh.faces.reshape(-1, 1).astype(np.float64), mesh.uvs.reshape(-1, 2)], 1)
    split, indices = np.unique(corners, axis=0, return_inverse=True)
    of = split[:, 0].astype(np.int64)
    uvs = np.stack([split[:, 1], 1 - split[:, 2]], 1).astype(np.float32)  # glTF's origin is the upper left
    joints = np.where(skin.weights > 0, skin.bones, 0)[of]
    index_type = np.uint16 if len(of) < 65535 else np.uint32
    joint_type = np.uint8 if joints.max() < 256 else np.uint16
    return {
        "attributes": {
            "POSITION": buffer.add_array(mesh.vertices[of].astype(np.float32), "VEC3", ARRAY_BUFFER, bounds=True),
            "NORMAL": buffer.add_array(smooth_normals(mesh)[of], "VEC3", ARRAY_BUFFER),
            "TEXCOORD_0": buffer.add_array(uvs, "VEC2", ARRAY_BUFFER),
            "JOINTS_0": buffer.add_array(joints.astype(joint_type), "VEC4", ARRAY_BUFFER),
            "WEIGHTS_0": buffer.add_array(exact_weights(skin.weights)[of], "VEC4", ARRAY_BUFFER),
        },
        "indices": buffer.add_array(indices.reshape(-1).astype(index_type), "SCALAR", ELEMENT_ARRAY_BUFFER),
        "material": 0,
    }


def smooth_normals(mesh: Mesh) -> NDArray[np.float32]:
    """(v, 3) unit normals, faces weighted by area; +Y where a vertex has none."""
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(mesh.vertices), 3))
    for corner in range(3):
        np.add.at(normals, mesh.faces[:, corner], across)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1), [0.0, 1.0, 0.0]), np.float32)


def exact_weights(weights: FloatArray) -> NDArray[np.float32]:
    """(v, 4) weights whose float32 sum is 1 to the last place: what is missing goes to the largest."""
    rounded: NDArray[np.float32] = (weights / weights.astype(np.float64).sum(1, keepdims=True)).astype(np.float32)
    largest = rounded.argmax(1)
    rows = np.arange(len(rounded))
    rounded[rows, largest] += (1 - rounded.astype(np.float64).sum(1)).astype(np.float32)
    return rounded


def animations(asset: Asset, rest: NDArray[np.float64], camera_node: int, buffer: Buffer) -> list[dict[str, Any]]:
    """One animation a motion: every bone's rotation, the root's translation and a moving camera's both, linear between frames."""
    made = []
    for motion in asset.motions:
        turns, places = posed_locals(asset, rest, motion.rotations, motion.root_translations)
        times = buffer.add_array((np.arange(len(turns)) / motion.fps).astype(np.float32), "SCALAR", bounds=True)
        samplers: list[dict[str, Any]] = []
        channels: list[dict[str, Any]] = []
        tracks = [("rotation", bone, xyzw(turns[:, bone]), "VEC4") for bone in range(turns.shape[1])]
        tracks.append(("translation", 0, places[:, 0].astype(np.float32), "VEC3"))
        if motion.cameras is not None:
            tracks.extend(camera_tracks(motion.cameras, camera_node))
        for path, node, values, kind in tracks:
            channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
            samplers.append({"input": times, "output": buffer.add_array(values, kind), "interpolation": "LINEAR"})
        made.append({"name": motion.name, "samplers": samplers, "channels": channels, "extras": {"loop": motion.loop}})
    return made


def camera_tracks(cameras: FloatArray, node: int) -> list[tuple[str, int, NDArray[np.float32], str]]:
    """Rotation and translation of the camera's node for (t, 4, 4) object_to_camera; between frames a turn takes its shorter way."""
    worlds = np.array([camera_to_object_opengl(camera) for camera in cameras]).astype(np.float64)
    turns = np.array([quaternion(world) for world in worlds])
    turns[1:] *= np.cumprod(np.where((turns[1:] * turns[:-1]).sum(1) < 0, -1.0, 1.0))[:, None]
    return [("rotation", node, xyzw(turns), "VEC4"), ("translation", node, worlds[:, :3, 3].astype(np.float32), "VEC3")]


def transform(turn: NDArray[np.float64], place: NDArray[np.float64]) -> dict[str, list[float]]:
    """A node's rotation and translation from wxyz and xyz."""
    return {"rotation": xyzw(turn).tolist(), "translation": place.tolist()}


def rigid(matrix: NDArray[np.float64]) -> dict[str, list[float]]:
    """A node's rotation and translation from a (4, 4) rigid transform."""
    return transform(quaternion(matrix), matrix[:3, 3])


def xyzw(quaternions: NDArray[np.float64]) -> NDArray[np.float32]:
    """(..., 4) wxyz -> glTF's order."""
    return np.roll(quaternions, -1, axis=-1).astype(np.float32)


def multiply(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) Hamilton product of wxyz quaternions."""
    a, b, c, d = np.moveaxis(first, -1, 0)
    w, x, y, z = np.moveaxis(second, -1, 0)
    parts = [a * w - b * x - c * y - d * z, a * x + b * w + c * z - d * y, a * y - b * z + c * w + d * x, a * z + b * y - c * x + d * w]
    return np.stack(parts, -1)


def quaternion(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4,) wxyz, w >= 0, of the rotation in a (>= 3, >= 3) matrix: the dominant eigenvector of Bar-Itzhack's K
    (2000), which has no special cases and forgives rounding."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix[:3, :3]
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, yx + xy, xz + zx],
            [xz - zx, yx + xy, yy - xx - zz, zy + yz],
            [yx - xy, xz + zx, zy + yz, zz - xx - yy],
        ]
    )
    vector = np.linalg.eigh(symmetric)[1][:, -1]
    return np.asarray(vector if vector[0] >= 0 else -vector)
