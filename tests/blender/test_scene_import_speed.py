"""Placing an asset is faster than Blender's own glTF importer is with the same content."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.blender.import_ratio import RATIO_LIMIT, SECONDS_LIMIT, compare

pytestmark = pytest.mark.blender5


def test_placing_beats_the_gltf_importer_and_half_a_second(tmp_path: Path) -> None:
    logging.disable(logging.INFO)
    result = compare(tmp_path)
    assert float(result["ratio"]) <= RATIO_LIMIT, result
    assert float(result["longest_work_s"]) <= SECONDS_LIMIT, result
