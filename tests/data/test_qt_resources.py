"""Qt resource files: whole ones are read, hostile ones are refused with a sentence and without much memory."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from backend.data import qt_resources, scenes
from backend.data.qt_resources import QtResources
from backend.data.scenes import decode_picture, listed, read_scenes
from backend.errors import MenagerieError
from tests.data.resource_files import qt_resources as make

FILES = {"plain.txt": b"as it is", "long.txt": b"packed " * 1000, "empty": b""}


def save(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "file.rcc"
    path.write_bytes(data)
    return path


def refused(path: Path, name: str | None = None) -> str:
    with pytest.raises(MenagerieError) as refusal:
        resources = QtResources(path)
        for each in resources.names if name is None else [name]:
            resources.read(each)
    assert refusal.value.code == "bad_request"
    return refusal.value.sentence


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_file_comes_out_as_it_went_in(tmp_path: Path, version: int) -> None:
    resources = QtResources(save(tmp_path, make(FILES, version, ("long.txt",))))
    assert resources.names == ("pictures/empty", "pictures/long.txt", "pictures/plain.txt")
    assert {name: resources.read(f"pictures/{name}") for name in FILES} == FILES


def test_a_name_that_is_not_there_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        QtResources(save(tmp_path, make(FILES))).read("pictures/absent")


def test_an_absent_file_is_a_coded_error(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.rcc")


def test_other_files_and_versions_are_refused(tmp_path: Path) -> None:
    assert "qres" in refused(save(tmp_path, b"PK\3\4" + bytes(60)))
    assert "version 9" in refused(save(tmp_path, make(FILES, 9)))
    assert refused(save(tmp_path, b""))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = make(FILES, 3, ("long.txt",))
    for length in range(0, len(whole) - 8, 7):  # the last node's time isn't read
        assert refused(save(tmp_path, whole[:length]))


def test_no_changed_byte_breaks_out(tmp_path: Path) -> None:
    whole = make(FILES, 3, ("long.txt",))
    rng = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(whole)
        for at in rng.integers(4, len(whole), 3):
            damaged[at] = rng.integers(256)
        try:
            resources = QtResources(save(tmp_path, bytes(damaged)))
            for name in resources.names:
                resources.read(name)
        except MenagerieError as refusal:
            assert refusal.code == "bad_request"


def node(whole: bytes, number: int) -> int:
    return struct.unpack_from(">I", whole, 8)[0] + 22 * number


def test_a_folder_that_holds_itself_is_refused(tmp_path: Path) -> None:
    whole = bytearray(make(FILES))
    struct.pack_into(">2I", whole, node(whole, 1) + 6, 2, 0)
    assert "not a tree" in refused(save(tmp_path, bytes(whole)))


def test_a_folder_of_four_thousand_million_children_is_refused_at_once(tmp_path: Path) -> None:
    whole = bytearray(make(FILES))
    struct.pack_into(">2I", whole, node(whole, 0) + 6, 0xFFFFFFFF, 1)
    assert "too large" in refused(save(tmp_path, bytes(whole)))


def test_folders_in_folders_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qt_resources, "MAX_DEPTH", 1)
    assert "too large" in refused(save(tmp_path, make(FILES)))


def bomb(says: int) -> bytes:
    whole = bytearray(make({"bomb": b"x"}, 3, ("bomb",)))
    packed = zlib.compress(bytes(200 << 20), 9)
    held = struct.pack(">I", says) + packed
    at = len(whole)  # the bomb's data stand at the end of the file
    data = struct.unpack_from(">I", whole, 12)[0]
    struct.pack_into(">I", whole, node(whole, 2) + 10, at - data)
    return bytes(whole) + struct.pack(">I", len(held)) + held


@pytest.mark.parametrize("says", [200 << 20, 1000])
def test_a_bomb_is_refused_before_it_grows(tmp_path: Path, says: int) -> None:
    path = save(tmp_path, bomb(says))
    tracemalloc.start()
    assert refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_zstandard_is_refused_by_name(tmp_path: Path) -> None:
    whole = bytearray(make({"one": b"x"}))
    struct.pack_into(">H", whole, node(whole, 2) + 4, 4)
    assert "Zstandard" in refused(save(tmp_path, bytes(whole)))


def test_the_two_lists_of_scenes_share_nothing() -> None:
    evaluation, training = listed()["evaluation"], listed()["training"]
    assert len(set(evaluation) | set(training)) == len(evaluation) + len(training) and evaluation and training
    assert listed()["file"].endswith(".rcc")


def picture(colour: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (30, 20), (colour, 0, 0)).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def test_listed_scenes_are_read_from_the_file_or_from_a_folder_that_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "listed", lambda: {"file": "x.rcc", "folder": "pictures", "evaluation": ["a.webp"], "training": ["b.webp"]})
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "x.rcc"
    path.write_bytes(make({"a.webp": picture(10), "b.webp": picture(20)}))
    for source in (path, tmp_path):
        for part, colour in (("evaluation", 10), ("training", 20)):
            found = read_scenes(source, part)  # type: ignore[arg-type]
            assert [(name.split(".")[0], pixels.shape, pixels[0, 0, 0]) for name, pixels in found.items()] == [
                ("a" if colour == 10 else "b", (20, 30, 3), colour)
            ]
    path.write_bytes(make({"a.webp": picture(10)}))
    with pytest.raises(MenagerieError, match="has no scene b.webp"):
        read_scenes(path, "training")
    with pytest.raises(MenagerieError, match="cannot be read"):
        read_scenes(tmp_path / "nowhere", "training")


def test_a_scene_that_is_no_picture_is_a_coded_error() -> None:
    for data in (b"", b"RIFF0000WEBP", picture(3)[:20], json.dumps({}).encode()):
        with pytest.raises(MenagerieError) as refusal:
            decode_picture(data, "scene")
        assert refusal.value.code == "bad_request"
