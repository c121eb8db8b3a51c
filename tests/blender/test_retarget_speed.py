"""Retargeting and baking 300 frames on 40 bones is a matter of a second's work at most."""

from __future__ import annotations

import pytest

from tests.blender.retarget_speed import SECONDS_LIMIT, measure

pytestmark = pytest.mark.blender5


def test_three_hundred_frames_on_forty_bones_take_a_second_at_most() -> None:
    result = measure()
    assert float(result["work_s"]) <= SECONDS_LIMIT, result
