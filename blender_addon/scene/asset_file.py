"""The add-on's own reader of asset files: bytes from the backend's job folder enter, checked numpy arrays leave.

Frame: Blender's (+Z up, the animal faces -Y, +X is its left), which is the file's. The file may come from anywhere, so
nothing in it is believed: lengths are bounded before memory is taken, every index, name and number is checked, and the
texture's PNG chunks are walked before Blender sees them. Only numpy is used. Errors: asset_damaged, asset_version.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..link.errors import LinkError

SCHEMA = 1
MAX_FILE_BYTES = 512 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_VERTICES, MAX_FACES, MAX_BONES, MAX_MOTIONS, MAX_FRAMES = 1_000_000, 2_000_000, 1024, 256, 100_000
MAX_TEXTURE_SIDE = 8192
MAX_NAME_BYTES = 63
MAX_COORDINATE = 1e5
TOLERANCE = 1e-3
DTYPES = {"F32": np.dtype("<f4"), "I32": np.dtype("<i4"), "U8": np.dtype("u1"), "BOOL": np.dtype("?")}
UPDATE_REMEDY = "Update Menagerie: the result was written by another version."

FIXED: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "mesh.vertices": ("F32", ("v", 3)),
    "mesh.faces": ("I32", ("f", 3)),
    "mesh.uvs": ("F32", ("f", 3, 2)),
    "skeleton.parents": ("I32", ("b",)),
    "skeleton.connected": ("BOOL", ("b",)),
    "skeleton.deform": ("BOOL", ("b",)),
    "skeleton.heads": ("F32", ("b", 3)),
    "skeleton.tails": ("F32", ("b", 3)),
    "skeleton.z_axes": ("F32", ("b", 3)),
    "skin.bones": ("I32", ("v", 4)),
    "skin.weights": ("F32", ("v", 4)),
    "photo_pose.rotations": ("F32", ("b", 4)),
    "photo_pose.root_translation": ("F32", (3,)),
    "camera.blender_to_camera": ("F32", (4, 4)),
    "texture.base_color": ("U8", ("n",)),
}
"""Arrays that every file has: type and shape, letters standing for one length throughout the file."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Motion:
    """A clip: fps frames a second; rotations (t, b, 4) wxyz in the bones' rest axes; root_translations (t, 3); cameras (t, 4, 4), each
    as `AssetFile.blender_to_camera`, where the clip's camera moves, else None."""

    name: str
    fps: float
    loop: bool
    rotations: Array
    root_translations: Array
    cameras: Array | None = None


@dataclass(frozen=True)
class AssetFile:
    """One creature in Blender's frame.

    vertices (v, 3); faces (f, 3); uvs (f, 3, 2), origin lower left; bone_names, parents (b,) with -1 for a root, before
    their children; connected, deform (b,); heads, tails, z_axes (b, 3); skin_bones, skin_weights (v, 4);
    photo_rotations (b, 4) wxyz; photo_translation (3,) of bone 0; blender_to_camera (4, 4) to the OpenCV camera (+X
    right, +Y down, +Z forward); width, height, focal_px of the whole photo; png: the base colour, side x side pixels.
    """

    name: str
    vertices: Array
    faces: Array
    uvs: Array
    bone_names: tuple[str, ...]
    parents: Array
    connected: Array
    deform: Array
    heads: Array
    tails: Array
    z_axes: Array
    skin_bones: Array
    skin_weights: Array
    photo_rotations: Array
    photo_translation: Array
    motions: tuple[Motion, ...]
    blender_to_camera: Array
    width: int
    height: int
    focal_px: float
    png: bytes
    png_size: tuple[int, int]
    metres: float | None
    provenance: dict[str, Any]


class AssetError(LinkError):
    """The file is damaged or of another version."""


class Damage(ValueError):
    """What is wrong with the file, as the end of a sentence."""


def read_asset_file(path: str | os.PathLike[str]) -> AssetFile:
    """The creature in the file. Raises AssetError asset_damaged, asset_version."""
    file = Path(path)
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise AssetError("asset_damaged", f"{file.name} is far too large for an asset file.")
        data = file.read_bytes()
    except OSError as error:
        raise AssetError("asset_damaged", f"{file.name} cannot be read: {error.strerror or error}.") from error
    return decode_asset_file(data, file.name)


def decode_asset_file(data: bytes, name: str = "the asset file") -> AssetFile:
    """The creature in a file's bytes; `name` stands in the sentences. Raises as `read_asset_file`."""
    try:
        arrays, text = split_container(data)
        metadata = parse_object(text, "metadata")
        version = metadata.get("schema")
        if type(version) is int and version != SCHEMA:
            raise AssetError("asset_version", f"{name} has schema {version}; this version reads schema {SCHEMA}.", UPDATE_REMEDY)
        check_metadata(metadata)
        check_shapes(arrays, metadata)
        asset = gather(arrays, metadata)
        check_geometry(asset)
    except Damage as damage:
        raise AssetError("asset_damaged", f"{name} is damaged: {damage}.") from damage
    return asset


def split_container(data: bytes) -> tuple[dict[str, Array], str]:
    """safetensors bytes -> arrays (read-only views) and the one metadata text."""
    need(len(data) >= 8, "it is too short to hold a header")
    (length,) = struct.unpack_from("<Q", data)
    need(2 <= length <= min(MAX_HEADER_BYTES, len(data) - 8), "its header does not fit")
    header = parse_object(data[8 : 8 + length], "header")
    metadata = header.pop("__metadata__", None)
    need(isinstance(metadata, dict) and len(metadata) == 1 and isinstance(metadata.get("menagerie"), str), "it is not Menagerie's")
    body = memoryview(data)[8 + length :]
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        need(isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}, "an array is not described")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        need(isinstance(dtype, str) and dtype in DTYPES, "an array has an unknown type")
        need(whole_numbers(shape) and len(shape) <= 4 and whole_numbers(offsets) and len(offsets) == 2, "an array has no shape")
        size = math.prod(shape) * DTYPES[dtype].itemsize
        need(offsets[0] <= offsets[1] <= len(body) and offsets[1] - offsets[0] == size, "an array does not fit its place")
        spans.append((offsets[0], offsets[1], name))
    end = 0
    arrays: dict[str, Array] = {}
    for begin, stop, name in sorted(spans):
        need(begin == end, "its arrays overlap or leave holes")
        end = stop
        raw = np.frombuffer(body[begin:stop], np.uint8)
        need(header[name]["dtype"] != "BOOL" or not (raw > 1).any(), "a truth value is neither 0 nor 1")
        arrays[name] = raw.view(DTYPES[header[name]["dtype"]]).reshape(header[name]["shape"])
    need(end == len(body), "its arrays do not fill it")
    return arrays, metadata["menagerie"]


def check_metadata(metadata: dict[str, Any]) -> None:
    """Keys, kinds and bounds of everything that is not an array."""
    keys = {"schema", "name", "metres", "bones", "camera", "motions", "provenance"}
    need(set(metadata) == keys and type(metadata["schema"]) is int, "its metadata lacks or adds keys")
    bones, camera, motions, metres = (metadata[key] for key in ("bones", "camera", "motions", "metres"))
    need(good_name(metadata["name"]), "its name is not usable")
    need(isinstance(bones, list) and 1 <= len(bones) <= MAX_BONES and all(map(good_name, bones)), "its bones' names are not usable")
    need(len(set(bones)) == len(bones), "two bones have one name")
    need(isinstance(camera, dict) and set(camera) == {"width", "height", "focal_px"}, "its camera is not described")
    sizes = (camera["width"], camera["height"])
    need(all(type(size) is int and 1 <= size <= MAX_COORDINATE for size in sizes), "its picture has no usable size")
    need(good_float(camera["focal_px"], 1e-3 * max(sizes), 1e4 * max(sizes)), "its focal length is not usable")
    need(isinstance(motions, list) and len(motions) <= MAX_MOTIONS, "its motions are not a list")
    for motion in motions:
        need(isinstance(motion, dict) and set(motion) == {"name", "fps", "loop"}, "a motion is not described")
        need(good_name(motion["name"]) and good_float(motion["fps"], 0.01, 1000), "a motion has no name or frame rate")
        need(type(motion["loop"]) is bool, "a motion is not described")
    need(metres is None or good_float(metres, 1e-9, MAX_COORDINATE), "its length in metres is no number")
    need(isinstance(metadata["provenance"], dict), "its provenance is no object")


def check_shapes(arrays: dict[str, Array], metadata: dict[str, Any]) -> None:
    """Exactly the schema's arrays, in its types and shapes, finite and bounded."""
    expected = dict(FIXED)
    if "mesh.mirror" in arrays:
        expected["mesh.mirror"] = ("I32", ("v",))
    for number in range(len(metadata["motions"])):
        expected[f"motion.{number}.rotations"] = ("F32", (f"t{number}", "b", 4))
        expected[f"motion.{number}.root_translations"] = ("F32", (f"t{number}", 3))
        if f"motion.{number}.cameras" in arrays:
            expected[f"motion.{number}.cameras"] = ("F32", (f"t{number}", 4, 4))
    need(set(arrays) == set(expected), "arrays are missing or not of this schema")
    lengths: dict[str | int, int] = {"b": len(metadata["bones"])}
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        need(array.dtype == DTYPES[dtype] and array.ndim == len(shape), f"{name} has another type or shape")
        for want, have in zip(shape, array.shape, strict=True):
            need(lengths.setdefault(want, have if isinstance(want, str) else want) == have, f"{name} has another length")
        need(dtype != "F32" or bool((np.abs(array) <= MAX_COORDINATE).all()), f"{name} holds a number that is not usable")
    need(3 <= lengths["v"] <= MAX_VERTICES and 1 <= lengths["f"] <= MAX_FACES, "its mesh is empty or too large")
    frames = [lengths[f"t{number}"] for number in range(len(metadata["motions"]))]
    need(all(1 <= count <= MAX_FRAMES for count in frames), "a motion is empty or too long")


def gather(arrays: dict[str, Array], metadata: dict[str, Any]) -> AssetFile:
    """Checked arrays and metadata under their names."""
    png = arrays["texture.base_color"].tobytes()
    motions = [
        Motion(
            entry["name"],
            entry["fps"],
            entry["loop"],
            arrays[f"motion.{n}.rotations"],
            arrays[f"motion.{n}.root_translations"],
            arrays.get(f"motion.{n}.cameras"),
        )
        for n, entry in enumerate(metadata["motions"])
    ]
    mirror = arrays.get("mesh.mirror")
    need(mirror is None or in_range(mirror, len(arrays["mesh.vertices"])), "a vertex has a twin that does not exist")
    return AssetFile(
        name=metadata["name"],
        vertices=arrays["mesh.vertices"],
        faces=arrays["mesh.faces"],
        uvs=arrays["mesh.uvs"],
        bone_names=tuple(metadata["bones"]),
        parents=arrays["skeleton.parents"],
        connected=arrays["skeleton.connected"],
        deform=arrays["skeleton.deform"],
        heads=arrays["skeleton.heads"],
        tails=arrays["skeleton.tails"],
        z_axes=arrays["skeleton.z_axes"],
        skin_bones=arrays["skin.bones"],
        skin_weights=arrays["skin.weights"],
        photo_rotations=arrays["photo_pose.rotations"],
        photo_translation=arrays["photo_pose.root_translation"],
        motions=tuple(motions),
        blender_to_camera=arrays["camera.blender_to_camera"],
        width=metadata["camera"]["width"],
        height=metadata["camera"]["height"],
        focal_px=metadata["camera"]["focal_px"],
        png=png,
        png_size=check_png(png),
        metres=metadata["metres"],
        provenance=metadata["provenance"],
    )


def check_geometry(asset: AssetFile) -> None:
    """Indices that exist, bones that Blender keeps, weights that sum to 1, rotations that are rotations."""
    faces, weights, count = asset.faces, asset.skin_weights, len(asset.bone_names)
    need(in_range(faces, len(asset.vertices)), "a face names a vertex that does not exist")
    first, second, third = faces.T
    need(not ((first == second) | (second == third) | (third == first)).any(), "a face uses a vertex twice")
    need(bool((np.abs(asset.uvs) <= 16).all()), "its texture coordinates are not usable")
    need(bool((asset.parents >= -1).all() and (asset.parents < np.arange(count)).all()), "a bone's parent does not stand before it")
    along = asset.tails.astype(np.float64) - asset.heads
    lengths = np.linalg.norm(along, axis=1)
    need(lengths.min() >= 1e-6, "a bone has no length")
    need(units(asset.z_axes), "a bone's Z axis is not a unit vector")
    need(bool((np.abs((asset.z_axes * along).sum(1)) <= TOLERANCE * lengths).all()), "a bone's Z axis does not stand across it")
    gaps = np.linalg.norm(asset.heads - asset.tails[np.maximum(asset.parents, 0)], axis=1)
    loose = (asset.parents < 0) | (gaps > TOLERANCE * np.maximum(lengths, 1e-3))
    need(not (asset.connected & loose).any(), "a connected bone does not start where its parent ends")
    need(in_range(asset.skin_bones, count), "a vertex hangs on a bone that does not exist")
    sums = weights.astype(np.float64).sum(1)
    need(bool((weights >= 0).all() and (np.abs(sums - 1) <= TOLERANCE).all()), "a vertex has weights that do not sum to 1")
    bones = np.where(weights > 0, asset.skin_bones, -1 - np.arange(4))
    need(all((bones[:, a] != bones[:, b]).all() for a in range(4) for b in range(a)), "a vertex hangs on one bone twice")
    need(units(asset.photo_rotations) and all(units(motion.rotations) for motion in asset.motions), "a rotation is none")
    cameras = [asset.blender_to_camera, *(motion.cameras for motion in asset.motions if motion.cameras is not None)]
    need(all(map(rigid, cameras)), "its camera's transform is not rigid")


def check_png(data: bytes) -> tuple[int, int]:
    """(width, height) of an 8-bit RGB PNG whose chunks are whole; Blender decodes them only later."""
    need(data[:8] == b"\x89PNG\r\n\x1a\n", "its texture is no PNG")
    place, size = 8, (0, 0)
    while True:
        need(place + 12 <= len(data), "its texture is cut")
        length, kind = struct.unpack_from(">I4s", data, place)
        need(place + 12 + length <= len(data), "its texture is cut")
        body = data[place + 8 : place + 8 + length]
        need(zlib.crc32(body, zlib.crc32(kind)) == struct.unpack_from(">I", data, place + 8 + length)[0], "its texture is damaged")
        if place == 8:
            need(kind == b"IHDR" and length == 13 and body[8:] == bytes((8, 2, 0, 0, 0)), "its texture is not an 8-bit RGB picture")
            size = struct.unpack(">II", body[:8])
            need(1 <= min(size) <= max(size) <= MAX_TEXTURE_SIDE, "its texture has no usable size")
        elif kind == b"IEND":
            break
        place += 12 + length
    return size


def need(holds: bool, otherwise: str) -> None:
    """Raises Damage with the rest of the sentence where something doesn't hold."""
    if not holds:
        raise Damage(otherwise)


def in_range(indices: Array, count: int) -> bool:
    """True if every index names one of `count` things."""
    return bool(indices.min() >= 0 and indices.max() < count)


def units(vectors: Array) -> bool:
    """True if all (..., n) vectors have length 1."""
    squares = np.einsum("...i,...i->...", vectors, vectors, dtype=np.float64)
    return bool((np.abs(np.sqrt(squares) - 1) <= TOLERANCE).all())


def rigid(matrices: Array) -> bool:
    """True if all (..., 4, 4) are a rotation and a translation."""
    turns = matrices[..., :3, :3].astype(np.float64)
    apart = np.abs(turns @ np.swapaxes(turns, -1, -2) - np.eye(3)).max()
    return bool(apart < TOLERANCE and (np.linalg.det(turns) > 0).all() and (matrices[..., 3, :] == [0, 0, 0, 1]).all())


def whole_numbers(value: object) -> bool:
    """True for a list of whole numbers of a size that memory has."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 40 for item in value)


def good_name(value: object) -> bool:
    """True for a printable name that Blender keeps whole."""
    return isinstance(value, str) and value.isprintable() and 1 <= len(value.encode("utf-8", "replace")) <= MAX_NAME_BYTES


def good_float(value: object, low: float, high: float) -> bool:
    """True for a float within bounds."""
    return type(value) is float and low <= value <= high


def parse_object(data: bytes | str, what: str) -> dict[str, Any]:
    """A JSON object without repeated keys, NaN or infinities."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len(dict(pairs)) == len(pairs), f"its {what} repeats a key")
        return dict(pairs)

    def no_constant(text: str) -> float:
        raise Damage(f"its {what} holds {text}")

    try:
        value = json.loads(data, object_pairs_hook=members, parse_constant=no_constant)
    except Damage:
        raise
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise Damage(f"its {what} cannot be read") from error
    need(isinstance(value, dict), f"its {what} is no object")
    return dict(value)
