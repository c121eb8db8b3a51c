"""The weights of an ONNX file: a small bounded protobuf reader, so that no ONNX package ships.

Enters an `.onnx` file; leaves its float32 tensors by name and the names of its nodes, or the weight and bias of each Conv node
in the order of the graph. Field numbers are those of onnx.proto: ModelProto.graph 7; GraphProto.node 1, initializer 5;
NodeProto.input 1, name 3, op_type 4; TensorProto.dims 1, data_type 2, name 8, raw_data 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Graph:
    """tensors: every initialiser that is float32, by name, None for others; nodes: in the order in which they run."""

    tensors: dict[str, Tensor | None]
    nodes: list[Node]


@dataclass(frozen=True)
class Node:
    """One operation. name: its path in the network it was exported from; kind: "Conv", "MatMul", ...; inputs: names."""

    name: str
    kind: str
    inputs: list[str]


def _node(data: memoryview) -> Node:
    texts = [(number, bytes(_bytes(value)).decode()) for number, value in _fields(data) if number in (1, 3, 4)]
    only = dict(texts)
    return Node(only.get(3, ""), only.get(4, ""), [text for number, text in texts if number == 1])


def _graph(data: memoryview) -> Graph:
    graphs = [_bytes(value) for number, value in _fields(data) if number == 7]
    if len(graphs) != 1:
        raise ValueError("no graph")
    parts = [(number, _bytes(value)) for number, value in _fields(graphs[0]) if number in (1, 5)]
    return Graph(dict(_tensor(part) for number, part in parts if number == 5), [_node(part) for number, part in parts if number == 1])


def read_graph(path: Path) -> Graph:
    """-> the tensors and nodes of the file. Raises `weights_missing`, and `weights_damaged` for anything that is no such file."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        return _graph(memoryview(path.read_bytes()))
    except FileNotFoundError:
        raise MenagerieError("weights_missing", f"There is no file {path.name}.") from None
    except (ValueError, IndexError) as error:
        raise MenagerieError("weights_damaged", f"The file {path.name} was refused: {error}.") from error


def read_convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """-> (weight, bias) of every Conv node in graph order, float32. Raises as `read_graph`."""
    graph = read_graph(path)
    result = []
    for node in graph.nodes:
        if node.kind != "Conv":
            continue
        weight, bias = ([*map(graph.tensors.get, node.inputs[1:3])] + [None, None])[:2]
        if weight is None or bias is None:
            raise MenagerieError("weights_damaged", f"The file {path.name} was refused: a convolution that is not float32.")
        result.append((weight, bias))
    return result
