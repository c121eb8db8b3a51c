"""The asset file: what is written comes back, always the same bytes, whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from backend.asset import write
from backend.asset.read import read_asset
from backend.asset.write import encode_asset, write_asset
from backend.errors import MenagerieError
from backend.types import Asset
from tests.asset.creature import make_creature, with_moving_camera


@pytest.fixture(scope="module")
def creature() -> Asset:
    return dataclasses.replace(make_creature(1500, texture_size=64), metres=1.5, provenance={"z": [1, 2], "a": "Größe"})


def same(first: object, second: object) -> bool:
    if dataclasses.is_dataclass(first):
        return type(first) is type(second) and all(
            same(getattr(first, field.name), getattr(second, field.name)) for field in dataclasses.fields(first)
        )
    if isinstance(first, np.ndarray):
        return isinstance(second, np.ndarray) and first.dtype == second.dtype and np.array_equal(first, second)
    if isinstance(first, tuple):
        return isinstance(second, tuple) and len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def test_an_asset_comes_back_exactly(creature: Asset, tmp_path: Path) -> None:
    write_asset(creature, tmp_path / "asset.safetensors")
    assert same(read_asset(tmp_path / "asset.safetensors"), creature)


def test_an_asset_without_motions_mirror_or_metres_comes_back(creature: Asset, tmp_path: Path) -> None:
    bare = dataclasses.replace(creature, motions=(), metres=None, mesh=dataclasses.replace(creature.mesh, mirror=None))
    write_asset(bare, tmp_path / "asset.safetensors")
    assert same(read_asset(tmp_path / "asset.safetensors"), bare)


def test_a_moving_camera_comes_back_and_a_file_without_one_is_as_before(creature: Asset, tmp_path: Path) -> None:
    moving = with_moving_camera(creature)
    write_asset(moving, tmp_path / "asset.safetensors")
    assert same(read_asset(tmp_path / "asset.safetensors"), moving)
    assert "motion.0.cameras" not in safetensors.numpy.load(encode_asset(creature))


def test_the_official_library_reads_the_file_in_the_blender_frame(creature: Asset) -> None:
    arrays = safetensors.numpy.load(encode_asset(creature))
    x, y, z = creature.mesh.vertices.T
    assert np.array_equal(arrays["mesh.vertices"], np.stack([x, -z, y], 1))
    muzzle = arrays["skeleton.tails"][creature.skeleton.names.index("head")]
    assert muzzle[1] < -1 < 1 < muzzle[2]  # faces -Y, stands up along +Z
    point = np.append(arrays["mesh.vertices"][0], 1)
    seen = creature.camera.object_to_camera @ np.append(creature.mesh.vertices[0], 1)
    assert np.allclose(arrays["camera.blender_to_camera"] @ point, seen, atol=1e-6)


def test_bytes_do_not_depend_on_the_hash_seed(creature: Asset) -> None:
    program = (
        "import hashlib; from backend.asset.write import encode_asset; from tests.asset.creature import make_creature;"
        "print(hashlib.sha256(encode_asset(make_creature(600, texture_size=32))).hexdigest())"
    )
    root = Path(__file__).parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_metadata_is_one_key_of_sorted_json(creature: Asset) -> None:
    data = encode_asset(creature)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    (text,) = header["__metadata__"].values()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_a_full_disk_gives_its_code_and_keeps_the_old_file(creature: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "asset.safetensors"
    path.write_bytes(b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write.os, "fsync", full)
    with pytest.raises(MenagerieError) as caught:
        write_asset(creature, path)
    assert caught.value.code == "disk_full"
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_gives_its_code(creature: Asset, tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as caught:
        write_asset(creature, tmp_path / "nowhere" / "asset.safetensors")
    assert caught.value.code == "not_writable"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mesh", lambda asset: dataclasses.replace(asset.mesh, uvs=None)),
        ("mesh", lambda asset: dataclasses.replace(asset.mesh, vertices=asset.mesh.vertices * np.float32(np.nan))),
        ("skin", lambda asset: dataclasses.replace(asset.skin, weights=asset.skin.weights * 2)),
        ("name", lambda asset: "a\nb"),
        ("metres", lambda asset: 0.0),
    ],
)
def test_the_writer_refuses_what_the_reader_would_refuse(creature: Asset, field: str, value) -> None:  # noqa: ANN001
    with pytest.raises(ValueError):
        encode_asset(dataclasses.replace(creature, **{field: value(creature)}))
