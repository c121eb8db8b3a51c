"""The container of the asset file: named arrays and one metadata text, as safetensors lays them out.

Enters and leaves: bytes. Layout (huggingface/safetensors): 8 bytes little-endian header length, a JSON header
`{name: {dtype, shape, data_offsets}}` padded with spaces to a multiple of 8, then the arrays without holes. Equal
input gives equal bytes: the metadata is one key, and arrays are ordered by falling item size, then name.
Reading trusts nothing: every length is checked before it is used.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

METADATA_KEY = "menagerie"
MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 1024
MAX_AXES = 4
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"), "I32": np.dtype("<i4"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
}  # fmt: skip

Arrays = dict[str, np.ndarray[Any, Any]]


def pack(arrays: Arrays, metadata: str) -> bytes:
    """The file's bytes for named arrays (any of `DTYPES`) and a metadata text. Raises ValueError on another dtype."""
    codes = {dtype: code for code, dtype in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: metadata}}
    parts: list[bytes] = []
    end = 0
    for name in sorted(arrays, key=lambda key: (-arrays[key].dtype.itemsize, key)):
        array = np.ascontiguousarray(arrays[name])
        code = codes.get(array.dtype.newbyteorder("<"))
        if code is None:
            raise ValueError(f"{name} has dtype {array.dtype}, which the asset file does not hold")
        data = array.astype(DTYPES[code], copy=False).tobytes()
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    text = json.dumps(header, sort_keys=False, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def unpack(data: bytes) -> tuple[Arrays, str]:
    """Arrays and metadata text of a file's bytes; the arrays are read-only views. Raises ValueError with a sentence."""
    if len(data) < 8:
        raise ValueError("the file is too short to hold a header")
    (length,) = struct.unpack_from("<Q", data)
    if not 2 <= length <= min(MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError("the header's length does not fit the file")
    header = parse_json(data[8 : 8 + length], "header")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {METADATA_KEY} or not isinstance(metadata[METADATA_KEY], str):
        raise ValueError("the header holds no Menagerie metadata")
    if len(header) > MAX_TENSORS:
        raise ValueError("the header lists too many arrays")
    body = memoryview(data)[8 + length :]
    spans = sorted((span_of(name, entry, len(body)), name) for name, entry in header.items())
    end = 0
    arrays: Arrays = {}
    for (begin, stop), name in spans:
        if begin != end:
            raise ValueError(f"array {name!r} does not start where the one before it ends")
        end = stop
        dtype, shape = DTYPES[header[name]["dtype"]], header[name]["shape"]
        if dtype == np.bool_ and any(byte > 1 for byte in set(body[begin:stop])):
            raise ValueError(f"array {name!r} holds a truth value that is neither 0 nor 1")
        arrays[name] = np.frombuffer(body[begin:stop], dtype).reshape(shape)
    if end != len(body):
        raise ValueError("the arrays do not fill the file")
    return arrays, metadata[METADATA_KEY]


def span_of(name: str, entry: object, size: int) -> tuple[int, int]:
    """(begin, stop) of one header entry after checking its dtype, shape and offsets against the body's size."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"array {name!r} is not described as it should be")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"array {name!r} has an unknown type")
    if not is_counts(shape) or len(shape) > MAX_AXES or not is_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"array {name!r} has a shape or a place that is not whole numbers")
    need = DTYPES[dtype].itemsize
    for count in shape:
        need *= count
    begin, stop = offsets
    if not begin <= stop <= size or stop - begin != need:
        raise ValueError(f"array {name!r} has a shape that does not fit its place in the file")
    return begin, stop


def is_counts(value: object) -> bool:
    """True for a list of whole numbers >= 0 below 2^40 (True and False are no numbers here)."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 40 for item in value)


def parse_json(data: bytes | str, what: str) -> dict[str, Any]:
    """A JSON object without repeated keys, NaN or infinities. Raises ValueError naming `what`."""

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError(f"the {what} repeats a key")
        return members

    def no_constant(text: str) -> float:
        raise ValueError(f"the {what} holds {text}")

    try:
        value = json.loads(data, object_pairs_hook=no_repeats, parse_constant=no_constant)
    except RecursionError:
        raise ValueError(f"the {what} is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise ValueError(f"the {what} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"the {what} is no object")
    return value
