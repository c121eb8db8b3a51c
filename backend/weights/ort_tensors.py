"""The float32 tensors of an ONNX Runtime file (`.ort`): a small bounded FlatBuffers reader, so that no runtime's package ships.

Enters an `.ort` file; leaves its float32 initialisers by name. Places in the tables are those of ONNX Runtime's `ort.fbs`:
InferenceSession.model 1; Model.graph 7; Graph.initializers 0; Tensor.name 0, dims 2, data_type 3, raw_data 4. A table begins
with the distance back to its list of field offsets; a reference is the distance forward to what it names.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.errors import MenagerieError
from backend.weights.onnx_tensors import FLOAT, LARGEST

MARK = b"ORTM"


class _Table:
    """A table of the file. Every read is checked by `struct` and by slices' lengths: what points outside raises."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - _number(data, at, "<i")
        self._count = (_number(data, self._fields, "<H") - 4) // 2

    def place(self, index: int) -> int | None:
        """Where a field's value stands, None where it is left out."""
        if index >= self._count:
            return None
        offset = _number(self._data, self._fields + 4 + 2 * index, "<H")
        return self._at + offset if offset else None

    def reference(self, index: int) -> int:
        """What a field refers to."""
        place = self.place(index)
        if place is None:
            raise ValueError("a field is missing")
        return place + _number(self._data, place, "<I")

    def table(self, index: int) -> _Table:
        """A field that is a table."""
        return _Table(self._data, self.reference(index))

    def items(self, index: int, size: int) -> memoryview:
        """A field that is a list of items of `size` bytes: its bytes."""
        at = self.reference(index)
        length = _number(self._data, at, "<I") * size
        if at + 4 + length > len(self._data):
            raise ValueError("a list that reaches past the end")
        return self._data[at + 4 : at + 4 + length]

    def tables(self, index: int) -> list[_Table]:
        """A field that is a list of tables."""
        at = self.reference(index) + 4
        count = len(self.items(index, 4)) // 4
        return [_Table(self._data, at + 4 * i + _number(self._data, at + 4 * i, "<I")) for i in range(count)]


def _number(data: memoryview, at: int, kind: str) -> int:
    if at < 0:
        raise ValueError("a reference before the beginning")
    value: int = struct.unpack_from(kind, data, at)[0]
    return value


def _tensors(data: memoryview) -> dict[str, Tensor]:
    if bytes(data[4:8]) != MARK:
        raise ValueError("it is no ONNX Runtime file")
    session = _Table(data, _number(data, 0, "<I"))
    result = {}
    for table in session.table(1).table(7).tables(0):
        kind = table.place(3)
        if kind is None or _number(data, kind, "<i") != FLOAT:
            continue
        dims = [] if table.place(2) is None else np.frombuffer(table.items(2, 8), "<i8").tolist()
        raw = np.frombuffer(table.items(4, 1), "<f4")
        result[bytes(table.items(0, 1)).decode()] = torch.from_numpy(raw.reshape(dims).astype(np.float32))
    return result


def read_tensors(path: Path) -> dict[str, Tensor]:
    """-> name -> float32 tensor. Raises `weights_missing`, and `weights_damaged` for anything that is no such file."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        return _tensors(memoryview(path.read_bytes()))
    except FileNotFoundError:
        raise MenagerieError("weights_missing", f"There is no file {path.name}.") from None
    except (ValueError, struct.error) as error:
        raise MenagerieError("weights_damaged", f"The file {path.name} was refused: {error}.") from error
