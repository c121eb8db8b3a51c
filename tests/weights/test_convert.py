"""Conversion: only from the recipe's own source, the same bytes each time, the published names out."""

import struct

import pytest
import torch

from backend.errors import MenagerieError
from backend.weights import convert
from backend.weights.convert import write_tensors
from backend.weights.onnx_tensors import read_convolutions


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def tensor(name: str, *values: float) -> bytes:
    raw = struct.pack(f"<{len(values)}f", *values)
    return field(5, b"\x08" + bytes([len(values)]) + b"\x10\x01" + field(8, name.encode()) + field(9, raw))


def node(kind: str, *inputs: str) -> bytes:
    return field(1, b"".join(field(1, name.encode()) for name in inputs) + field(4, kind.encode()))


def test_convolutions_are_read_in_the_graphs_order(tmp_path):
    nodes = node("Conv", "x", "w2", "b2") + node("Relu", "y") + node("Conv", "y", "w1", "b1")
    graph = tensor("w1", 1.0, 2.0) + tensor("b1", 3.0) + nodes
    (tmp_path / "a.onnx").write_bytes(b"\x08\x07" + field(7, graph + tensor("w2", 4.0) + tensor("b2", 5.0)))
    found = read_convolutions(tmp_path / "a.onnx")
    assert [(w.tolist(), b.tolist()) for w, b in found] == [([4.0], [5.0]), ([1.0, 2.0], [3.0])]


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x3a\x7f", b"\x3a\x04\x0a\x7f\x00\x00", b"\x0b\x00", b"\x3a\x02\x0a\x80"])
def test_damaged_graphs_are_refused(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(MenagerieError) as caught:
        read_convolutions(tmp_path / "a.onnx")
    assert caught.value.code == "weights_damaged"


def test_another_source_is_refused(tmp_path):
    (tmp_path / "u2netp.onnx").write_bytes(b"something else")
    with pytest.raises(MenagerieError) as caught:
        convert.convert("u2netp", tmp_path / "u2netp.onnx", tmp_path / "weights_manifest.json")
    assert caught.value.code == "weights_damaged"
    assert not (tmp_path / "weights_manifest.json").exists()


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(MenagerieError) as caught:
        convert.convert("resnet", tmp_path / "a", tmp_path / "weights_manifest.json")
    assert caught.value.code == "bad_request"


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    tensors = {"b": torch.ones(3), "a": torch.zeros(2, 2)}
    write_tensors(tensors, tmp_path / "one")
    write_tensors(dict(reversed(tensors.items())), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]
