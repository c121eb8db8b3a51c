"""The asset file's schema: version, limits, and the checks that writer and reader share.

The file is in the Blender frame (+Z up, the animal faces -Y, +X is its left), `types.Asset` in the object frame; the
change is exact both ways, since it only swaps and negates coordinates.

Arrays (v vertices, f faces, b bones, t frames of motion N):
    mesh.vertices F32 (v, 3); mesh.faces I32 (f, 3); mesh.uvs F32 (f, 3, 2); mesh.mirror I32 (v,), may be absent
    skeleton.parents I32 (b,); skeleton.connected, skeleton.deform BOOL (b,); skeleton.heads, tails, z_axes F32 (b, 3)
    skin.bones I32 (v, 4); skin.weights F32 (v, 4)
    photo_pose.rotations F32 (b, 4) wxyz; photo_pose.root_translation F32 (3,)
    motion.N.rotations F32 (t, b, 4); motion.N.root_translations F32 (t, 3), N = 0, 1, ...
    motion.N.cameras F32 (t, 4, 4), each as camera.blender_to_camera, where the clip's camera moves; absent where it stands still
    camera.blender_to_camera F32 (4, 4), to the OpenCV camera frame; texture.base_color U8 (n,), the bytes of a PNG
Metadata: schema, name, metres, bones (names), camera {width, height, focal_px}, motions [{name, fps, loop}], provenance.
The rest pose needs no array: it is all rotations (1, 0, 0, 0).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backend.types import Asset, Camera, Mesh, Motion, Pose, Skeleton, Skin

VERSION = 1
MAX_FILE_BYTES = 512 << 20
MAX_VERTICES = 1_000_000
MAX_FACES = 2_000_000
MAX_BONES = 1024
MAX_MOTIONS = 256
MAX_FRAMES = 100_000
MAX_TEXTURE_SIDE = 8192
MAX_TEXTURE_BYTES = 256 << 20
MAX_NAME_BYTES = 63
"""Blender cuts longer names."""
MAX_PROVENANCE_BYTES = 256 << 10
MAX_COORDINATE = 1e5
UNIT_TOLERANCE = 1e-3
"""How far from 1 a unit vector's or quaternion's length, or a vertex's weights' sum, may be."""


def check_asset(asset: Asset) -> None:
    """Raises ValueError with a sentence where the asset breaks what the file promises."""
    check_name(asset.name, "asset")
    check_mesh(asset.mesh)
    check_skeleton(asset.skeleton)
    check_skin(asset.skin, len(asset.mesh.vertices), len(asset.skeleton.names))
    check_pose(asset.photo_pose, len(asset.skeleton.names))
    if len(asset.motions) > MAX_MOTIONS:
        raise ValueError("there are too many motions")
    for motion in asset.motions:
        check_motion(motion, len(asset.skeleton.names))
    check_camera(asset.camera)
    pixels = asset.texture.base_color
    usable = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    if not usable or not 1 <= min(pixels.shape) <= max(pixels.shape) <= MAX_TEXTURE_SIDE:
        raise ValueError("the texture is not an sRGB picture of a usable size")
    if asset.metres is not None and not (math.isfinite(asset.metres) and 0 < asset.metres <= MAX_COORDINATE):
        raise ValueError("the length of a unit in metres is not a positive number")


def check_name(name: object, what: str) -> None:
    """A printable name of 1 to 63 bytes."""
    if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES:
        raise ValueError(f"the {what}'s name is empty, too long or not printable")


def fit_name(text: str, otherwise: str = "creature") -> str:
    """What `check_name` accepts of a name that a person or a file gave: printable, cut to 63 bytes; `otherwise` where nothing is left."""
    kept = "".join(letter for letter in text if letter.isprintable()).strip()
    return kept.encode("utf-8")[:MAX_NAME_BYTES].decode("utf-8", "ignore").strip() or otherwise


def check_array(array: np.ndarray[Any, Any], shape: tuple[int, ...], kind: type, what: str, bound: float = MAX_COORDINATE) -> None:
    """Shape (-1: any length), kind of number, and for floats finite values of at most `bound`."""
    if array.ndim != len(shape) or any(want not in (-1, have) for want, have in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{what} has shape {array.shape}")
    if not np.issubdtype(array.dtype, kind):
        raise ValueError(f"{what} has dtype {array.dtype}")
    if kind is np.floating and not bool((np.abs(array) <= bound).all()):
        raise ValueError(f"{what} holds a number that is not finite or far too large")


def check_mesh(mesh: Mesh) -> None:
    """Sizes, finite coordinates, and faces of three different vertices that exist."""
    check_array(mesh.vertices, (-1, 3), np.floating, "mesh.vertices")
    check_array(mesh.faces, (-1, 3), np.integer, "mesh.faces")
    count = len(mesh.vertices)
    if not 3 <= count <= MAX_VERTICES or not 1 <= len(mesh.faces) <= MAX_FACES:
        raise ValueError("the mesh is empty or too large")
    if mesh.faces.min() < 0 or mesh.faces.max() >= count:
        raise ValueError("a face names a vertex that does not exist")
    if bool((mesh.faces == np.roll(mesh.faces, 1, 1)).any()):
        raise ValueError("a face uses a vertex twice")
    if mesh.uvs is None:
        raise ValueError("the mesh is not unwrapped")
    check_array(mesh.uvs, (len(mesh.faces), 3, 2), np.floating, "mesh.uvs", bound=16)
    if mesh.mirror is not None:
        check_array(mesh.mirror, (count,), np.integer, "mesh.mirror")
        if mesh.mirror.min() < 0 or mesh.mirror.max() >= count:
            raise ValueError("a vertex has a mirror twin that does not exist")


def check_skeleton(skeleton: Skeleton) -> None:
    """Unique names, parents before children, bones of some length with unit Z axes across them."""
    count = len(skeleton.names)
    if not 1 <= count <= MAX_BONES:
        raise ValueError("the skeleton has no bones or too many")
    for name in skeleton.names:
        check_name(name, "bone")
    if len(set(skeleton.names)) != count:
        raise ValueError("two bones have one name")
    check_array(skeleton.parents, (count,), np.integer, "skeleton.parents")
    if bool((skeleton.parents < -1).any() or (skeleton.parents >= np.arange(count)).any()):
        raise ValueError("a bone's parent does not stand before it")
    check_array(skeleton.connected, (count,), np.bool_, "skeleton.connected")
    check_array(skeleton.deform, (count,), np.bool_, "skeleton.deform")
    for what in ("heads", "tails", "z_axes"):
        check_array(getattr(skeleton, what), (count, 3), np.floating, f"skeleton.{what}")
    along = skeleton.tails.astype(np.float64) - skeleton.heads
    lengths = np.linalg.norm(along, axis=1)
    if lengths.min() < 1e-6:  # Blender silently deletes such bones
        raise ValueError(f"bone {skeleton.names[int(lengths.argmin())]!r} has no length")
    if bool((np.abs(np.linalg.norm(skeleton.z_axes.astype(np.float64), axis=1) - 1) > UNIT_TOLERANCE).any()):
        raise ValueError("a bone's Z axis is not a unit vector")
    if bool((np.abs((skeleton.z_axes * along).sum(1)) > UNIT_TOLERANCE * lengths).any()):
        raise ValueError("a bone's Z axis does not stand across the bone")
    joined = skeleton.connected & (skeleton.parents >= 0)
    gaps = np.linalg.norm(skeleton.heads - skeleton.tails[np.maximum(skeleton.parents, 0)], axis=1)
    if bool((skeleton.connected & (skeleton.parents < 0)).any()) or bool((gaps > UNIT_TOLERANCE * np.maximum(lengths, 1e-3))[joined].any()):
        raise ValueError("a connected bone does not start where its parent ends")


def check_skin(skin: Skin, vertices: int, bones: int) -> None:
    """Four influences a vertex: existing bones, weights >= 0 that sum to 1, no bone twice."""
    check_array(skin.bones, (vertices, 4), np.integer, "skin.bones")
    check_array(skin.weights, (vertices, 4), np.floating, "skin.weights", bound=1 + UNIT_TOLERANCE)
    if skin.bones.min() < 0 or skin.bones.max() >= bones:
        raise ValueError("a vertex hangs on a bone that does not exist")
    if skin.weights.min() < 0 or bool((np.abs(skin.weights.astype(np.float64).sum(1) - 1) > UNIT_TOLERANCE).any()):
        raise ValueError("a vertex has weights that are negative or do not sum to 1")
    for first in range(4):
        for second in range(first):
            both = (skin.weights[:, first] > 0) & (skin.weights[:, second] > 0)
            if bool((both & (skin.bones[:, first] == skin.bones[:, second])).any()):
                raise ValueError("a vertex hangs on one bone twice")


def check_pose(pose: Pose, bones: int) -> None:
    """One unit quaternion a bone and the root's translation."""
    check_array(pose.rotations, (bones, 4), np.floating, "photo_pose.rotations", bound=2)
    check_array(pose.root_translation, (3,), np.floating, "photo_pose.root_translation")
    check_units(pose.rotations, "the photo pose")


def check_motion(motion: Motion, bones: int) -> None:
    """Name, rate, frames of unit quaternions and, where the camera moves, of rigid transforms."""
    check_name(motion.name, "motion")
    if not (math.isfinite(motion.fps) and 0.01 <= motion.fps <= 1000):
        raise ValueError(f"motion {motion.name!r} has no usable frame rate")
    check_array(motion.rotations, (-1, bones, 4), np.floating, f"motion {motion.name!r}", bound=2)
    check_array(motion.root_translations, (len(motion.rotations), 3), np.floating, f"motion {motion.name!r}")
    if not 1 <= len(motion.rotations) <= MAX_FRAMES:
        raise ValueError(f"motion {motion.name!r} has no frames or too many")
    check_units(motion.rotations, f"motion {motion.name!r}")
    if motion.cameras is not None:
        check_array(motion.cameras, (len(motion.rotations), 4, 4), np.floating, f"the camera of motion {motion.name!r}")
        check_rigid(motion.cameras, f"the camera of motion {motion.name!r}")


def check_units(quaternions: np.ndarray[Any, Any], what: str) -> None:
    """(..., 4) of length 1."""
    if bool((np.abs(np.linalg.norm(quaternions.astype(np.float64), axis=-1) - 1) > UNIT_TOLERANCE).any()):
        raise ValueError(f"{what} holds a rotation that is not a unit quaternion")


def check_camera(camera: Camera) -> None:
    """Whole positive sizes, a positive focal length and a rigid transform."""
    sizes = (camera.width, camera.height)
    if any(type(size) is not int or not 1 <= size <= MAX_COORDINATE for size in sizes):
        raise ValueError("the camera's picture has no usable size")
    if not (math.isfinite(camera.focal_px) and 1e-3 <= camera.focal_px / max(sizes) <= 1e4):
        raise ValueError("the camera's focal length is not usable")
    check_array(camera.object_to_camera, (4, 4), np.floating, "the camera's transform")
    check_rigid(camera.object_to_camera, "the camera's transform")


def check_rigid(matrices: np.ndarray[Any, Any], what: str) -> None:
    """(..., 4, 4) of a rotation and a translation each."""
    turns = matrices[..., :3, :3].astype(np.float64)
    apart = np.abs(turns @ np.swapaxes(turns, -1, -2) - np.eye(3)).max()
    if not (apart < UNIT_TOLERANCE and bool((np.linalg.det(turns) > 0).all()) and bool((matrices[..., 3, :] == [0, 0, 0, 1]).all())):
        raise ValueError(f"{what} is not rigid")
