"""What the method says of a request without running it: its cost, and what made the asset."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from backend import VERSION
from backend.methods.fauna.answer import provenance
from backend.methods.fauna.method import estimate
from backend.methods.request import Quality, Request
from backend.types import Cost, Image

SIZES = {0.1: (400, 250), 12.0: (4000, 3000), 48.0: (8000, 6000)}
PEAKS = {0.1: 425.0, 12.0: 620.0, 48.0: 1041.0}
"""Megapixels -> MiB above an idle process, as measured when the estimate was made."""
MORE = 0.2
"""By which share the estimate may lie above what was measured: more, and jobs are refused that would have run."""


def cost(megapixels: float, quality: Quality = "fast", alpha: bool = False) -> Cost:
    width, height = SIZES[megapixels]
    rgb = np.broadcast_to(np.uint8(0), (height, width, 3))
    cover = np.broadcast_to(np.uint8(0), (height, width))
    return estimate(Request(Image(rgb, cover if alpha else None), np.broadcast_to(np.float32(0), (height, width)), quality))


@pytest.mark.parametrize("megapixels", SIZES)
def test_memory_is_estimated_a_little_above_what_a_job_takes(megapixels: float) -> None:
    assert PEAKS[megapixels] <= cost(megapixels).memory_mib <= (1 + MORE) * PEAKS[megapixels]


def test_seconds_grow_with_quality_size_and_a_mask_that_must_be_found() -> None:
    assert 7 <= cost(0.1, alpha=True).seconds <= 8 and 18 <= cost(0.1, "fine", alpha=True).seconds <= 21
    assert cost(0.1, alpha=True).seconds < cost(0.1).seconds < cost(12.0).seconds < cost(48.0).seconds < cost(48.0, "fine").seconds


def test_only_a_photo_that_is_slow_for_its_size_is_warned_of() -> None:
    assert cost(0.1).warnings == cost(12.0).warnings == ()
    (warning,) = cost(48.0).warnings
    assert "48 megapixels" in warning and warning.endswith(".")


def test_provenance_names_the_versions_and_nothing_of_the_machine() -> None:
    found = provenance(Request(Image(np.zeros((32, 48, 3), np.uint8), sha256="ab"), np.ones((32, 48), np.float32)))
    assert found["versions"] == {"menagerie": VERSION, "torch": torch.__version__, "numpy": np.__version__}
    assert json.loads(json.dumps(found)) == found
