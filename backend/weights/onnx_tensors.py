"""The few bytes of an ONNX file that hold its convolutions: a small bounded protobuf reader, so that no ONNX package ships.

Enters an `.onnx` file; leaves the float32 weight and bias of each Conv node, in the order of the graph. Field numbers
are those of onnx.proto: ModelProto.graph 7; GraphProto.node 1, initializer 5; NodeProto.input 1, op_type 4;
TensorProto.dims 1, data_type 2, name 8, raw_data 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.errors import MenagerieError

FLOAT = 1
LARGEST = 1 << 30


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, number or bytes) of one message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("a field of unknown kind")
        if at + length > len(data):
            raise ValueError("a field that reaches past the end")
        yield key >> 3, data[at : at + length]
        at += length


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message should be")
    return value


def _dims(value: int | memoryview) -> list[int]:
    """dims come one by one, or packed."""
    if isinstance(value, int):
        return [value]
    dims, at = [], 0
    while at < len(value):
        dim, at = _varint(value, at)
        dims.append(dim)
    return dims


def _tensor(data: memoryview) -> tuple[str, Tensor | None]:
    dims: list[int] = []
    kind, name, raw = 0, "", memoryview(b"")
    for number, value in _fields(data):
        if number == 1:
            dims += _dims(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = bytes(_bytes(value)).decode()
        elif number == 9:
            raw = _bytes(value)
    if kind != FLOAT:
        return name, None
    return name, torch.from_numpy(np.frombuffer(raw, "<f4").reshape(dims).astype(np.float32))


def _convolutions(data: memoryview) -> list[tuple[Tensor, Tensor]]:
    graphs = [_bytes(value) for number, value in _fields(data) if number == 7]
    if len(graphs) != 1:
        raise ValueError("no graph")
    tensors: dict[str, Tensor | None] = {}
    nodes: list[list[str]] = []
    for number, value in _fields(graphs[0]):
        if number == 5:
            name, tensor = _tensor(_bytes(value))
            tensors[name] = tensor
        elif number == 1:
            inside = [(n, v) for n, v in _fields(_bytes(value)) if n in (1, 4)]
            if any(n == 4 and bytes(_bytes(v)) == b"Conv" for n, v in inside):
                nodes.append([bytes(_bytes(v)).decode() for n, v in inside if n == 1])
    result = []
    for names in nodes:
        weight, bias = (tensors[name] for name in names[1:3])
        if weight is None or bias is None:
            raise ValueError("a convolution that is not float32")
        result.append((weight, bias))
    return result


def read_convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """-> (weight, bias) of every Conv node in graph order, float32. Raises `weights_damaged` for anything else."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        return _convolutions(memoryview(path.read_bytes()))
    except FileNotFoundError:
        raise MenagerieError("weights_missing", f"There is no file {path.name}.") from None
    except (ValueError, IndexError, KeyError) as error:
        raise MenagerieError("weights_damaged", f"The file {path.name} was refused: {error}.") from error
