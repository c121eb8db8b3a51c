"""What the encoder sees is stored once, goes on where it stopped, and is stored anew for other pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.training import features
from backend.training.features import DONE, TAP_SHAPES, path_of, store_features


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(features, "BATCH", 2)
    monkeypatch.setattr(features, "NOTED", 1)
    return np.random.default_rng(0).integers(0, 255, (5, 256, 256, 3), dtype=np.uint8)


def stored(folder: Path) -> dict[str, np.ndarray]:
    return {tap: np.array(np.load(path_of(folder, tap))) for tap in TAP_SHAPES}


def test_a_run_that_was_stopped_goes_on(pictures: np.ndarray, tmp_path: Path) -> None:
    store_features(tmp_path, pictures, "these")
    whole = stored(tmp_path)
    assert {tap: found.shape[1:] for tap, found in whole.items()} == TAP_SHAPES
    assert all(len(found) == 5 and found.dtype == np.float16 and np.ptp(found) > 0 for found in whole.values())
    note = json.loads((tmp_path / DONE).read_text())
    (tmp_path / DONE).write_text(json.dumps(note | {"done": 4}))
    for tap in TAP_SHAPES:
        half = np.load(path_of(tmp_path, tap), mmap_mode="r+")
        half[0], half[4] = 7, 7  # the first is done, the last is not
        half.flush()
    store_features(tmp_path, pictures, "these")
    for tap, found in stored(tmp_path).items():
        assert (found[0] == 7).all()
        np.testing.assert_array_equal(found[1:], whole[tap][1:])


def test_other_or_more_pictures_are_encoded_anew(pictures: np.ndarray, tmp_path: Path) -> None:
    store_features(tmp_path, pictures[:3], "these")
    few = stored(tmp_path)
    store_features(tmp_path, pictures, "these")
    for tap, found in stored(tmp_path).items():
        assert len(found) == 5
        np.testing.assert_allclose(found[:2].astype(np.float32), few[tap][:2].astype(np.float32), atol=1e-2)
    (tmp_path / DONE).write_text(json.dumps({"data": "these", "done": 5}))  # an earlier version's note
    path_of(tmp_path, "pooled").unlink()
    store_features(tmp_path, pictures, "these")
    assert len(stored(tmp_path)["pooled"]) == 5
    store_features(tmp_path, pictures[::-1], "those")
    assert not np.allclose(stored(tmp_path)["pooled"][0].astype(np.float32), few["pooled"][0].astype(np.float32), atol=1e-2)
