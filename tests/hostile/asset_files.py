"""Asset files as an enemy or a bad disk would make them: both readers must refuse each with its code.

`hostile_files(good)` takes the bytes of a sound file whose first motion has a moving camera, and gives {name: (bytes, code)}. numpy only.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Header = dict[str, Any]


def split(data: bytes) -> tuple[Header, bytes]:
    """Header and body of a file."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header: Header | bytes, body: bytes) -> bytes:
    """The file for a header (already encoded or not) and a body."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def with_header(data: bytes, change: Callable[[Header], None]) -> bytes:
    header, body = split(data)
    change(header)
    return join(header, body)


def with_metadata(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    header, body = split(data)
    ((key, text),) = header["__metadata__"].items()
    metadata = json.loads(text)
    change(metadata)
    header["__metadata__"][key] = json.dumps(metadata)
    return join(header, body)


def with_array(data: bytes, name: str, change: Callable[[np.ndarray], np.ndarray | None]) -> bytes:
    """The file with one array's values changed in place, or replaced by one of another shape."""
    header, body = split(data)
    dtypes = {"F32": "<f4", "I32": "<i4", "U8": "u1", "BOOL": "?"}
    arrays = {}
    for key, entry in header.items():
        if key != "__metadata__":
            begin, end = entry["data_offsets"]
            arrays[key] = np.frombuffer(body[begin:end], dtypes[entry["dtype"]]).reshape(entry["shape"]).copy()
    made = change(arrays[name])
    if made is not None:
        arrays[name] = made
    parts, place = b"", 0
    for key, array in arrays.items():
        raw = array.tobytes()
        header[key]["shape"], header[key]["data_offsets"] = list(array.shape), [place, place + len(raw)]
        parts, place = parts + raw, place + len(raw)
    return join(header, parts)


def png_of_size(width: int, height: int) -> bytes:
    """A tiny PNG that claims to be large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def hostile_files(good: bytes) -> dict[str, tuple[bytes, str]]:
    """{what is wrong: (the file's bytes, the code it must be refused with)}."""
    header, body = split(good)
    vertices = header["mesh.vertices"]

    def put(name: str, index: Any, value: Any) -> bytes:
        return with_array(good, name, lambda array: array.__setitem__(index, value))

    def replaced(name: str, make: Callable[[np.ndarray], np.ndarray]) -> bytes:
        return with_array(good, name, make)

    def entry(name: str, **changes: Any) -> bytes:
        return with_header(good, lambda head: head[name].update(changes))

    def meta(**changes: Any) -> bytes:
        return with_metadata(good, lambda metadata: metadata.update(changes))

    def camera(**changes: Any) -> bytes:
        return with_metadata(good, lambda metadata: metadata["camera"].update(changes))

    bones = split_metadata(good)["bones"]
    text = json.dumps(header).encode()
    begin, end = vertices["data_offsets"]
    damaged = {
        "empty": b"",
        "seven bytes": good[:7],
        "header cut": good[:100],
        "body cut": good[:-1],
        "body too long": good + b"\0",
        "header length huge": struct.pack("<Q", 1 << 62) + good[8:],
        "header length zero": struct.pack("<Q", 0) + good[8:],
        "header over the limit": join(b" " * (1 << 21) + text, body),
        "header no JSON": join(b"\xff\xfe{}", body),
        "header a list": join(b"[]", body),
        "header nested deeply": join(b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}", body),
        "header repeats a key": join(text[:-1] + b',"mesh.faces":' + json.dumps(header["mesh.faces"]).encode() + b"}", body),
        "header with a number too long": join(b'{"a":' + b"9" * 100_000 + b"}", body),
        "no metadata": with_header(good, lambda head: head.pop("__metadata__")),
        "metadata no text": with_header(good, lambda head: head.update(__metadata__={"menagerie": 5})),
        "metadata no JSON": with_header(good, lambda head: head.update(__metadata__={"menagerie": "{"})),
        "metadata nested deeply": with_header(good, lambda head: head.update(__metadata__={"menagerie": "[" * 200_000})),
        "metadata with NaN": camera(focal_px=float("nan")),
        "schema a text": meta(schema="1"),
        "schema true": meta(schema=True),
        "metadata adds a key": meta(other=1),
        "metadata lacks a key": with_metadata(good, lambda metadata: metadata.pop("bones")),
        "no vertices": replaced("mesh.vertices", lambda array: array[:0]),
        "array missing": with_header(good, lambda head: head.pop("skin.weights")),
        "array renamed": with_header(good, lambda head: head.__setitem__("mesh.other", head.pop("mesh.faces"))),
        "dtype unknown": entry("mesh.vertices", dtype="F64"),
        "dtype an object": entry("mesh.vertices", dtype={}),
        "dtype another": entry("mesh.vertices", dtype="I32"),
        "shape negative": entry("mesh.vertices", shape=[-1, 3]),
        "shape overflows": entry("mesh.vertices", shape=[1 << 62, 1 << 62]),
        "shape of booleans": entry("mesh.vertices", shape=[True, 3]),
        "shape of another rank": entry("mesh.vertices", shape=[vertices["shape"][0] * 3]),
        "shape with many axes": entry("mesh.vertices", shape=[1] * 60 + vertices["shape"]),
        "offsets outside": entry("mesh.vertices", data_offsets=[len(body), len(body) + end - begin]),
        "offsets overlap": entry("mesh.vertices", data_offsets=[begin + 4, end + 4]),
        "offsets turned": entry("mesh.vertices", data_offsets=[end, begin]),
        "offsets of fractions": entry("mesh.vertices", data_offsets=[float(begin), float(end)]),
        "vertex not a number": put("mesh.vertices", (0, 0), np.nan),
        "vertex infinite": put("mesh.vertices", (5, 1), np.inf),
        "vertex far away": put("mesh.vertices", (5, 1), 1e30),
        "face past the end": put("mesh.faces", (0, 0), 1 << 30),
        "face negative": put("mesh.faces", (0, 0), -1),
        "face uses a vertex twice": put("mesh.faces", 0, 7),
        "no faces": replaced("mesh.faces", lambda array: array[:0]),
        "uv not a number": put("mesh.uvs", (0, 0, 0), np.nan),
        "uvs too few": replaced("mesh.uvs", lambda array: array[:-1]),
        "mirror past the end": put("mesh.mirror", 0, 1 << 30),
        "truth value of 7": with_header_byte(good, "skeleton.connected", 7),
        "parent after child": put("skeleton.parents", 1, 5),
        "parent itself": put("skeleton.parents", 1, 1),
        "parent below none": put("skeleton.parents", 1, -2),
        "bone without length": with_array(good, "skeleton.tails", lambda array: array * 0),
        "bone axis along the bone": put("skeleton.z_axes", 0, [0, -1, 0]),
        "bone axis zero": put("skeleton.z_axes", 3, 0),
        "connected far away": put("skeleton.heads", 2, [9, 9, 9]),
        "heads too few": replaced("skeleton.heads", lambda array: array[:-1]),
        "bone names repeat": meta(bones=[bones[1], *bones[1:]]),
        "bone name empty": meta(bones=["", *bones[1:]]),
        "bone name too long": meta(bones=["ü" * 40, *bones[1:]]),
        "bone name with a control character": meta(bones=["a\u0000b", *bones[1:]]),
        "bone name a lone surrogate": meta(bones=["\ud800", *bones[1:]]),
        "bone names too few": meta(bones=bones[1:]),
        "bone names no texts": meta(bones=[1] * len(bones)),
        "skin on no bone": put("skin.bones", (0, 0), len(bones)),
        "skin below none": put("skin.bones", (0, 0), -1),
        "weight negative": put("skin.weights", 0, [1.5, -0.5, 0, 0]),
        "weights of zero": put("skin.weights", 0, 0),
        "weight not a number": put("skin.weights", (0, 0), np.nan),
        "one bone twice": with_array(put("skin.weights", 0, [0.5, 0.5, 0, 0]), "skin.bones", lambda array: array.__setitem__(0, 3)),
        "rotation of zero": put("photo_pose.rotations", 2, 0),
        "rotation not a number": put("photo_pose.rotations", (2, 1), np.nan),
        "motion without frames": with_array(
            with_array(good, "motion.0.rotations", lambda array: array[:0]), "motion.0.root_translations", lambda array: array[:0]
        ),
        "motion of other length": replaced("motion.0.root_translations", lambda array: array[:-1]),
        "motion not listed": meta(motions=[]),
        "motion missing": meta(motions=[{"name": "a", "fps": 24.0, "loop": False}] * 2),
        "motion rate zero": meta(motions=[{"name": "a", "fps": 0.0, "loop": False}]),
        "motion rate huge": meta(motions=[{"name": "a", "fps": 1e300, "loop": False}]),
        "motion a text": meta(motions=["walk"]),
        "moving camera of other length": replaced("motion.0.cameras", lambda array: array[:-1]),
        "moving camera of another shape": replaced("motion.0.cameras", lambda array: array.reshape(-1, 16)),
        "moving camera not a number": put("motion.0.cameras", (3, 1, 1), np.nan),
        "moving camera skewed": put("motion.0.cameras", (5, 0, 0), 3),
        "moving camera mirrored": replaced("motion.0.cameras", lambda array: array * np.float32([[-1], [1], [1], [1]])),
        "moving camera with a bad last row": put("motion.0.cameras", (2, 3, 0), 1),
        "moving camera of no motion": with_header(good, lambda head: head.__setitem__("motion.1.cameras", head.pop("motion.0.cameras"))),
        "moving camera in place of moves": with_header(good, lambda head: head.pop("motion.0.root_translations")),
        "camera width zero": camera(width=0),
        "camera width true": camera(width=True),
        "camera focal zero": camera(focal_px=0.0),
        "camera focal infinite": camera(focal_px=1e308),
        "camera skewed": put("camera.blender_to_camera", (0, 0), 3),
        "camera mirrored": with_array(good, "camera.blender_to_camera", lambda array: array * np.float32([[-1], [1], [1], [1]])),
        "camera with a bad last row": put("camera.blender_to_camera", (3, 0), 1),
        "metres negative": meta(metres=-1.0),
        "name empty": meta(name=""),
        "name a number": meta(name=5),
        "provenance a list": meta(provenance=[]),
        "texture empty": replaced("texture.base_color", lambda array: array[:0]),
        "texture no PNG": put("texture.base_color", slice(0, 8), 0),
        "texture cut": replaced("texture.base_color", lambda array: array[: len(array) // 2]),
        "texture a bomb": replaced("texture.base_color", lambda array: np.frombuffer(png_of_size(60000, 60000), np.uint8)),
        "texture without width": replaced("texture.base_color", lambda array: np.frombuffer(png_of_size(0, 64), np.uint8)),
        "texture a JPEG": replaced("texture.base_color", lambda array: np.frombuffer(b"\xff\xd8\xff\xe0" + bytes(200), np.uint8)),
    }
    files = {name: (data, "asset_damaged") for name, data in damaged.items()}
    files["schema of tomorrow"] = (meta(schema=2), "asset_version")
    files["schema of tomorrow with other keys"] = (meta(schema=99, motions=None, more={}), "asset_version")
    return files


def split_metadata(data: bytes) -> dict[str, Any]:
    """The metadata of a sound file."""
    (text,) = split(data)[0]["__metadata__"].values()
    metadata: dict[str, Any] = json.loads(text)
    return metadata


def with_header_byte(data: bytes, name: str, value: int) -> bytes:
    """The file with the first byte of one array changed."""
    header, body = split(data)
    begin = header[name]["data_offsets"][0]
    return join(header, body[:begin] + bytes([value]) + body[begin + 1 :])
