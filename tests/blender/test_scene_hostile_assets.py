"""The add-on's own reader refuses the same hostile files as the backend's, with the same codes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from blender_addon.scene.asset_file import AssetError, decode_asset_file, read_asset_file
from tests.blender.creatures import creature
from tests.hostile.asset_files import hostile_files

GOOD = creature(600, 32)[1]
FILES = hostile_files(GOOD)
MEMORY_LIMIT = 64 << 20
FUZZED = 300


def test_the_sound_file_is_read_in_blenders_frame() -> None:
    asset = decode_asset_file(GOOD)
    muzzle = asset.tails[asset.bone_names.index("head")]
    assert muzzle[1] < -1 < 1 < muzzle[2]


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
