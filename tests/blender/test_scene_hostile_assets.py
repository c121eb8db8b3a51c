"""The add-on's own reader refuses the same hostile files as the backend's, with the same codes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from backend.asset.write import encode_asset
from blender_addon.scene.asset_file import AssetError, decode_asset_file, read_asset_file
from tests.asset.creature import with_moving_camera
from tests.blender.creatures import creature
from tests.hostile.asset_files import hostile_files

ASSET = with_moving_camera(creature(600, 32)[0])
GOOD = encode_asset(ASSET)
FILES = hostile_files(GOOD)
MEMORY_LIMIT = 64 << 20
FUZZED = 300


def test_the_sound_file_is_read_in_blenders_frame() -> None:
    asset = decode_asset_file(GOOD)
    muzzle = asset.tails[asset.bone_names.index("head")]
    assert muzzle[1] < -1 < 1 < muzzle[2]


def test_a_moving_camera_is_read_for_blenders_frame() -> None:
    (motion,), file = ASSET.motions, decode_asset_file(GOOD)
    assert motion.cameras is not None and file.motions[0].cameras is not None
    point, place = np.append(ASSET.mesh.vertices[0], 1), np.append(file.vertices[0], 1)
    assert np.abs(file.motions[0].cameras @ place - motion.cameras @ point).max() < 1e-5


def test_a_file_without_a_moving_camera_has_none() -> None:
    assert decode_asset_file(creature(600, 32)[1]).motions[0].cameras is None


@pytest.mark.parametrize("what", FILES)
def test_it_is_refused_with_its_code(what: str) -> None:
    data, code = FILES[what]
    tracemalloc.start()
    with pytest.raises(AssetError) as caught:
        decode_asset_file(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == code
    assert peak < MEMORY_LIMIT


def test_a_file_that_is_gone_is_refused_with_its_code() -> None:
    with pytest.raises(AssetError) as caught:
        read_asset_file("nowhere.safetensors")
    assert caught.value.code == "asset_damaged"


def test_random_damage_gives_a_code_or_a_sound_asset() -> None:
    generator = np.random.default_rng(0)
    head = 8 + int.from_bytes(GOOD[:8], "little")
    for trial in range(FUZZED):
        data = bytearray(GOOD)
        for place in generator.integers(0, head if trial % 2 else len(data), 1 + trial % 8):
            data[place] = generator.integers(256)
        try:
            decode_asset_file(bytes(data))
        except AssetError as error:
            assert error.code in ("asset_damaged", "asset_version")
