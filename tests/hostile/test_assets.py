"""The backend's reader refuses hostile asset files with their code, and takes no memory for them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from backend.asset.read import decode_asset
from backend.asset.write import encode_asset
from backend.errors import MenagerieError
from tests.asset.creature import make_creature, with_moving_camera
from tests.hostile.asset_files import hostile_files

GOOD = encode_asset(with_moving_camera(make_creature(600, texture_size=32)))
FILES = hostile_files(GOOD)
MEMORY_LIMIT = 64 << 20
FUZZED = 300


def test_the_sound_file_is_read() -> None:
    assert decode_asset(GOOD).name == "creature"


@pytest.mark.parametrize("what", FILES)
def test_it_is_refused_with_its_code(what: str) -> None:
    data, code = FILES[what]
    tracemalloc.start()
    with pytest.raises(MenagerieError) as caught:
        decode_asset(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == code
    assert peak < MEMORY_LIMIT


def test_random_damage_gives_a_code_or_a_sound_asset() -> None:
    generator = np.random.default_rng(0)
    head = 8 + int.from_bytes(GOOD[:8], "little")
    for trial in range(FUZZED):
        data = bytearray(GOOD)
        places = generator.integers(0, head if trial % 2 else len(data), 1 + trial % 8)
        for place in places:
            data[place] = generator.integers(256)
        try:
            decode_asset(bytes(data))
        except MenagerieError as error:
            assert error.code in ("asset_damaged", "asset_version")
