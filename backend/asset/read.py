"""Read an asset file: a `.safetensors` file in the Blender frame enters, `types.Asset` in the object frame leaves.

The file may come from anywhere, so nothing in it is believed: sizes are bounded before memory is taken, and every
index, name and number is checked (`container`, `schema`). Two failures: asset_damaged and asset_version.
"""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from backend.asset import schema
from backend.asset.container import Arrays, parse_json, unpack
from backend.asset.write import blender_to_object_matrix
from backend.errors import MenagerieError
from backend.frames import blender_to_object
from backend.types import Asset, ByteArray, Camera, Mesh, Motion, Pose, Skeleton, Skin, Texture

METADATA_KEYS = {"schema", "name", "metres", "bones", "camera", "motions", "provenance"}
REQUIRED: dict[str, type] = {
    "mesh.vertices": np.float32, "mesh.faces": np.int32, "mesh.uvs": np.float32,
    "skeleton.parents": np.int32, "skeleton.connected": np.bool_, "skeleton.deform": np.bool_,
    "skeleton.heads": np.float32, "skeleton.tails": np.float32, "skeleton.z_axes": np.float32,
    "skin.bones": np.int32, "skin.weights": np.float32,
    "photo_pose.rotations": np.float32, "photo_pose.root_translation": np.float32,
    "camera.blender_to_camera": np.float32, "texture.base_color": np.uint8,
}  # fmt: skip
MOTION_NAME = re.compile(r"motion\.(0|[1-9][0-9]{0,3})\.(rotations|root_translations|cameras)")


def read_asset(path: str | os.PathLike[str]) -> Asset:
    """The asset in the file, in the object frame. Raises MenagerieError: asset_damaged, asset_version."""
    file = Path(path)
    try:
        if file.stat().st_size > schema.MAX_FILE_BYTES:
            raise MenagerieError("asset_damaged", f"{file.name} is far too large for an asset file.")
        data = file.read_bytes()
    except OSError as error:
        raise MenagerieError("asset_damaged", f"{file.name} cannot be read: {error.strerror or error}.") from error
    return decode_asset(data, file.name)


def decode_asset(data: bytes, name: str = "the asset file") -> Asset:
    """The asset in a file's bytes; `name` stands in the sentences. Raises as `read_asset`."""
    try:
        arrays, text = unpack(data)
        metadata = parse_json(text, "metadata")
        if type(metadata.get("schema")) is int and metadata["schema"] != schema.VERSION:
            raise MenagerieError(
                "asset_version", f"{name} has schema {metadata['schema']}; this version reads schema {schema.VERSION}."
            )
        check_metadata(metadata)
        check_names(arrays, len(metadata["motions"]))
        asset = assemble(arrays, metadata)
        schema.check_asset(asset)
    except ValueError as error:
        raise MenagerieError("asset_damaged", f"{name} is damaged: {error}.") from error
    return asset


def check_metadata(metadata: dict[str, Any]) -> None:
    """Keys and kinds of the metadata. Raises ValueError."""
    if set(metadata) != METADATA_KEYS or type(metadata["schema"]) is not int:
        raise ValueError("the metadata lacks or adds keys")
    camera, motions, bones = metadata["camera"], metadata["motions"], metadata["bones"]
    if not isinstance(bones, list) or len(bones) > schema.MAX_BONES or not all(isinstance(bone, str) for bone in bones):
        raise ValueError("the bones' names are not a list of names")
    if not isinstance(camera, dict) or set(camera) != {"width", "height", "focal_px"} or type(camera["focal_px"]) is not float:
        raise ValueError("the camera is not described as it should be")
    if not isinstance(motions, list) or len(motions) > schema.MAX_MOTIONS:
        raise ValueError("the motions are not a list")
    for motion in motions:
        if not isinstance(motion, dict) or set(motion) != {"name", "fps", "loop"}:
            raise ValueError("a motion is not described as it should be")
        if type(motion["fps"]) is not float or type(motion["loop"]) is not bool:
            raise ValueError("a motion has no frame rate")
    if metadata["metres"] is not None and type(metadata["metres"]) is not float:
        raise ValueError("the length of a unit in metres is no number")
    if not isinstance(metadata["provenance"], dict) or len(json.dumps(metadata["provenance"])) > 2 * schema.MAX_PROVENANCE_BYTES:
        raise ValueError("the provenance is no object or too long")


def check_names(arrays: Arrays, motions: int) -> None:
    """Exactly the arrays of the schema, in the schema's types. Raises ValueError."""
    expected: dict[str, type] = dict(REQUIRED)
    if "mesh.mirror" in arrays:
        expected["mesh.mirror"] = np.int32
    always = 0
    for name in arrays:
        found = MOTION_NAME.fullmatch(name)
        if found and int(found[1]) < motions:
            expected[name] = np.float32
            always += found[2] != "cameras"
    missing, extra = expected.keys() - arrays.keys(), arrays.keys() - expected.keys()
    if missing or extra or always != 2 * motions:
        raise ValueError("arrays are missing or not of this schema")
    for name, dtype in expected.items():
        if arrays[name].dtype != dtype:
            raise ValueError(f"{name} has the wrong type")


def assemble(arrays: Arrays, metadata: dict[str, Any]) -> Asset:
    """Arrays and metadata -> the asset in the object frame. Raises ValueError on shapes that cannot be turned."""
    for name in ("mesh.vertices", "skeleton.heads", "skeleton.tails", "skeleton.z_axes"):
        schema.check_array(arrays[name], (-1, 3), np.floating, name)
    schema.check_array(arrays["camera.blender_to_camera"], (4, 4), np.floating, "camera.blender_to_camera")
    schema.check_array(arrays["photo_pose.root_translation"], (3,), np.floating, "photo_pose.root_translation")
    motions = []
    for number, entry in enumerate(metadata["motions"]):
        moves = arrays[f"motion.{number}.root_translations"]
        schema.check_array(moves, (-1, 3), np.floating, f"motion {number}")
        rotations, cameras = owned(arrays[f"motion.{number}.rotations"]), arrays.get(f"motion.{number}.cameras")
        if cameras is not None:
            schema.check_array(cameras, (-1, 4, 4), np.floating, f"the camera of motion {number}")
            cameras = cameras @ np.linalg.inv(blender_to_object_matrix())
        motions.append(Motion(entry["name"], entry["fps"], rotations, blender_to_object(moves), entry["loop"], cameras))
    camera = metadata["camera"]
    return Asset(
        name=metadata["name"],
        mesh=Mesh(
            blender_to_object(arrays["mesh.vertices"]),
            owned(arrays["mesh.faces"]),
            owned(arrays["mesh.uvs"]),
            owned(arrays["mesh.mirror"]) if "mesh.mirror" in arrays else None,
        ),
        skeleton=Skeleton(
            tuple(metadata["bones"]),
            owned(arrays["skeleton.parents"]),
            owned(arrays["skeleton.connected"]),
            owned(arrays["skeleton.deform"]),
            blender_to_object(arrays["skeleton.heads"]),
            blender_to_object(arrays["skeleton.tails"]),
            blender_to_object(arrays["skeleton.z_axes"]),
        ),
        skin=Skin(owned(arrays["skin.bones"]), owned(arrays["skin.weights"])),
        texture=Texture(decode_png(arrays["texture.base_color"].tobytes())),
        camera=Camera(
            camera["width"],
            camera["height"],
            camera["focal_px"],
            arrays["camera.blender_to_camera"] @ np.linalg.inv(blender_to_object_matrix()),
        ),
        photo_pose=Pose(owned(arrays["photo_pose.rotations"]), blender_to_object(arrays["photo_pose.root_translation"])),
        motions=tuple(motions),
        metres=metadata["metres"],
        provenance=metadata["provenance"],
    )


def owned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy in native byte order that does not keep the file's bytes alive."""
    return array.astype(array.dtype.newbyteorder("="))


def decode_png(data: bytes) -> ByteArray:
    """PNG bytes -> (h, w, 3) uint8, row 0 at the top. Raises ValueError where it is not an 8-bit RGB PNG of bounded size."""
    if len(data) > schema.MAX_TEXTURE_BYTES:
        raise ValueError("the texture is too large")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PillowImage.DecompressionBombWarning)
            with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as picture:
                if picture.mode != "RGB" or max(picture.size) > schema.MAX_TEXTURE_SIDE:
                    raise ValueError("the texture is not an RGB picture of a usable size")
                return np.array(picture)
    except (OSError, SyntaxError, PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as error:
        raise ValueError(f"the texture cannot be decoded: {error}") from error
