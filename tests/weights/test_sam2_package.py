"""The SAM 2 set from its package: found, verified, renamed, written the same each time; anything else is refused.

The published files are too large to test with: small ones of the same form stand for them.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.errors import MenagerieError
from backend.weights import convert, open_weights
from backend.weights.fetch import fetch
from backend.weights.manifest import Entry, Part, find_entry, load_manifest, locate, write_manifest
from backend.weights.onnx_tensors import read_graph
from backend.weights.ort_tensors import read_tensors
from backend.weights.sam2_package import read_package

ID = "sam2-hiera-tiny"
ENCODER, DECODER = "package/dist/encoder.ort", "package/dist/decoder.onnx"
BLOCK = "/image_encoder/trunk/blocks.0/mlp/layers.0/Transpose_output_0"


def ort_file(tensors: dict[str, np.ndarray]) -> bytes:
    """A FlatBuffer as ONNX Runtime writes it: session, model, graph, tensors; every reference points forward."""
    out = bytearray(b"\0\0\0\0ORTM")

    def table(fields: dict[int, bytes | None]) -> tuple[int, dict[int, int]]:
        """Write the list of offsets and the table. None: a reference, filled in later. -> its place, and those of its fields."""
        while len(out) % 4:
            out.append(0)
        offsets, at = {}, 4
        for index, value in fields.items():
            offsets[index], at = at, at + (4 if value is None else len(value))
        size = 4 + 2 * (max(fields) + 1)
        out.extend(struct.pack("<HH", size, at) + b"".join(struct.pack("<H", offsets.get(i, 0)) for i in range(max(fields) + 1)))
        out.extend(b"\0" * (-len(out) % 4))
        start = len(out)
        list_at = start - size - (-size % 4)
        out.extend(struct.pack("<i", start - list_at) + b"".join(value or b"\0" * 4 for value in fields.values()))
        return start, {index: start + offset for index, offset in offsets.items()}

    def point(place: int) -> None:
        out.extend(b"\0" * (-len(out) % 4))
        struct.pack_into("<I", out, place, len(out) - place)

    def items(place: int, content: bytes, count: int) -> None:
        point(place)
        out.extend(struct.pack("<I", count) + content)

    def child(place: int, fields: dict[int, bytes | None]) -> dict[int, int]:
        start, places = table(fields)
        struct.pack_into("<I", out, place, start - place)
        return places

    session, places = table({1: None})
    struct.pack_into("<I", out, 0, session)
    graph = child(child(places[1], {7: None})[7], {0: None})
    items(graph[0], b"\0" * 4 * len(tensors), len(tensors))
    first = len(out) - 4 * len(tensors)
    for number, (name, value) in enumerate(tensors.items()):
        kind = 1 if value.dtype == np.float32 else 7
        fields = child(first + 4 * number, {0: None, 2: None, 3: struct.pack("<i", kind), 4: None})
        items(fields[0], name.encode(), len(name.encode()))
        items(fields[2], struct.pack(f"<{value.ndim}q", *value.shape), value.ndim)
        items(fields[4], value.tobytes(), value.nbytes)
    return bytes(out)


def number(value: int) -> bytes:
    parts = []
    while True:
        parts.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(parts)


def field(index: int, content: bytes) -> bytes:
    return number(index << 3 | 2) + number(len(content)) + content


def onnx_file(tensors: dict[str, np.ndarray], nodes: list[tuple[str, str, list[str]]]) -> bytes:
    """nodes: (name, kind, inputs)."""
    graph = b""
    for name, kind, inputs in nodes:
        graph += field(1, b"".join(field(1, i.encode()) for i in inputs) + field(3, name.encode()) + field(4, kind.encode()))
    for name, value in tensors.items():
        dims = b"".join(b"\x08" + number(side) for side in value.shape)
        graph += field(5, dims + b"\x10\x01" + field(8, name.encode()) + field(9, value.tobytes()))
    return field(7, graph)


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)


ENCODER_TENSORS = {
    "/image_encoder/trunk/Transpose_output_0": numbers(1, 2, 3, 3), "no_mem_embed": numbers(1, 4, 1), BLOCK: numbers(2, 3),
    "model.image_encoder.trunk.patch_embed.proj.bias": numbers(5), "model.image_encoder.trunk.blocks.0.norm1.weight": numbers(6),
    "model.image_encoder.neck.convs.3.conv.weight": numbers(2, 2, 1, 1), "model.sam_mask_decoder.conv_s1.bias": numbers(7),
    "/image_encoder/trunk/blocks.0/Concat_output_0": np.array([1, 2], np.int64),
    "/image_encoder/trunk/blocks.0/attn/Sqrt_2_output_0": numbers(1),
}  # fmt: skip
DECODER_TENSORS = {
    "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": numbers(2, 3), "prompt_encoder.not_a_point_embed.weight": numbers(1, 4),
    **{f"prompt_encoder.point_embeddings.{kind}.weight": numbers(1, 4) + 10 * kind for kind in range(4)},
    "mask_decoder.transformer.layers.0.norm1.weight": numbers(4), "mask_decoder.output_upscaling.3.bias": numbers(2),
    "mask_decoder.output_hypernetworks_mlps.2.layers.1.weight": numbers(2, 3), "mask_decoder.iou_prediction_head.layers.0.bias": numbers(3),
    "prompt_encoder.mask_downscaling.6.bias": numbers(4), "onnx::MatMul_7": numbers(2, 3), "onnx::Mul_8": numbers(4, 1, 1),
    "onnx::Expand_9": numbers(1, 6, 4),
}  # fmt: skip
NODES = [
    ("/transformer/layers.0/self_attn/q_proj/MatMul", "MatMul", ["/x", "onnx::MatMul_7"]),
    ("/output_upscaling.1/Mul", "Mul", ["onnx::Mul_8", "/y"]), ("/Expand_9", "Expand", ["onnx::Expand_9", "/z"]),
]  # fmt: skip


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """-> a package's file, and a list of weights that names it with the hash of what is made from it."""
    monkeypatch.setenv("MENAGERIE_WEIGHTS", str(tmp_path / "Gewichte ü"))
    files = {ENCODER: ort_file(ENCODER_TENSORS), DECODER: onnx_file(DECODER_TENSORS, NODES)}
    path = tmp_path / "package-1.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {"package/readme.md": b"read me", **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    parts = tuple(Part(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in {path.name: path.read_bytes(), **files}.items())
    entry = Entry(
        ID, "observe", "sam2.safetensors", 1, "0" * 64, "safetensors", "Apache-2.0", "somebody", "npm package@1.0", False, parts=parts
    )  # fmt: skip
    made = tmp_path / "made"
    convert.write_tensors({key: value.contiguous() for key, value in sorted(read_package(entry, path, tmp_path).items())}, made)
    entry = replace(entry, bytes=made.stat().st_size, sha256=hashlib.sha256(made.read_bytes()).hexdigest())
    manifest = tmp_path / "weights_manifest.json"
    write_manifest({ID: entry}, manifest)
    return path, manifest


def code_of(call) -> str:
    with pytest.raises(MenagerieError) as caught:
        call()
    return caught.value.code


def test_a_package_becomes_the_listed_file_under_the_modules_names(package):
    path, manifest = package
    seen: list[float] = []
    target = convert.convert("sam2-tiny", path, manifest, lambda stage, fraction, preview=None: seen.append(fraction))
    assert target == locate(find_entry(ID, manifest), manifest) and [p.name for p in target.parent.iterdir()] == [target.name]
    assert seen == sorted(seen) and seen[-1] == 1
    tensors = open_weights(ID, manifest)
    expected = {
        "encoder.trunk.pos_embed": numbers(1, 2, 3, 3), "encoder.no_mem_embed": numbers(4), "encoder.trunk.patch_embed.bias": numbers(5),
        "encoder.trunk.blocks.0.norm1.weight": numbers(6), "encoder.trunk.blocks.0.mlp.layers.0.weight": numbers(2, 3).T,
        "encoder.neck.3.weight": numbers(2, 2, 1, 1), "encoder.conv_s1.bias": numbers(7),
        "decoder.prompt.frequencies": numbers(2, 3), "decoder.prompt.not_a_point": numbers(4),
        "decoder.prompt.kinds": np.stack([numbers(4) + 10 * kind for kind in range(4)]), "decoder.prompt.mask.6.bias": numbers(4),
        "decoder.transformer.layers.0.norm1.weight": numbers(4),
        "decoder.transformer.layers.0.self_attn.q_proj.weight": numbers(2, 3).T, "decoder.enlarge4.bias": numbers(2),
        "decoder.filters.2.layers.1.weight": numbers(2, 3), "decoder.quality.layers.0.bias": numbers(3),
        "decoder.norm8.weight": numbers(4), "decoder.tokens": numbers(6, 4),
    }  # fmt: skip
    assert set(tensors) == set(expected)
    for name, value in expected.items():
        assert torch.equal(tensors[name], torch.from_numpy(value.copy())), name


def test_the_unpacked_files_do_as_well_wherever_they_lie(package, tmp_path):
    path, manifest = package
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in (ENCODER, DECODER):
        (flat / Path(name).name).write_bytes((tmp_path / "unpacked" / name).read_bytes())
    first = convert.convert(ID, path, manifest).read_bytes()
    for source in (tmp_path / "unpacked", tmp_path / "unpacked" / "package", flat, flat / "encoder.ort", flat / "decoder.onnx"):
        assert convert.convert(ID, source, manifest).read_bytes() == first
    (flat / "decoder.onnx").unlink()
    assert code_of(lambda: convert.convert(ID, flat / "encoder.ort", manifest)) == "weights_missing"


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_changed_package_is_refused_unopened(package, place):
    path, manifest = package
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert code_of(lambda: convert.convert(ID, path, manifest)) == "weights_damaged"
    assert not locate(find_entry(ID, manifest), manifest).exists()


def test_a_changed_part_is_refused(package, tmp_path):
    path, manifest = package
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    part = tmp_path / DECODER
    part.write_bytes(part.read_bytes()[:-1] + b"\x7f")
    assert code_of(lambda: convert.convert(ID, tmp_path / "package", manifest)) == "weights_damaged"


def test_what_was_made_is_only_kept_if_it_is_the_listed_file(package):
    path, manifest = package
    entry = find_entry(ID, manifest)
    write_manifest({ID: replace(entry, sha256="1" * 64)}, manifest)
    assert code_of(lambda: convert.convert(ID, path, manifest)) == "weights_damaged"
    assert list(locate(entry, manifest).parent.iterdir()) == []


def test_a_set_from_a_file_is_not_downloaded(package):
    assert code_of(lambda: fetch(ID, accept_licence=True, manifest=package[1])) == "bad_request"
    assert code_of(lambda: open_weights(ID, package[1])) == "weights_missing"


NO_HASH = [{"file": "a", "bytes": 1, "sha256": "0"}]


@pytest.mark.parametrize("change", [{"parts": []}, {"repository": "a/b"}, {"bundled": True}, {"parts": NO_HASH}])
def test_a_list_whose_parts_are_wrong_is_refused(package, change):
    manifest = package[1]
    content = json.loads(manifest.read_text())
    content["weights"][0].update(change)
    manifest.write_text(json.dumps(content))
    assert code_of(lambda: load_manifest(manifest)) == "weights_damaged"


def test_the_published_package_is_listed_with_its_hashes():
    entry = find_entry(ID)
    assert not entry.bundled and entry.method == "observe" and entry.licence == "Apache-2.0" and entry.attribution
    assert [Path(part.file).suffix for part in entry.parts] == [".tgz", ".ort", ".onnx"]
    assert all(part.bytes > 10_000_000 for part in entry.parts)


@pytest.mark.parametrize(("read", "data"), [(read_tensors, ort_file(ENCODER_TENSORS)), (read_graph, onnx_file(DECODER_TENSORS, NODES))])
def test_damaged_files_are_refused_and_never_crash(tmp_path, read, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    read(path)
    refused = 0
    for at in range(0, len(data), 3):
        for value in (0, 0xFF, data[at] ^ 0x80):
            path.write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
            try:
                read(path)
            except MenagerieError as error:
                assert error.code == "weights_damaged"
                refused += 1
    assert refused > 20
    for length in (0, 7, 40, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert code_of(lambda: read(path)) == "weights_damaged"
    assert code_of(lambda: read(tmp_path / "none")) == "weights_missing"
