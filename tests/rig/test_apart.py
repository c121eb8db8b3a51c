"""Legs to stand on: shins that lie in the trunk are lowered until a level cut runs round each leg."""

from __future__ import annotations

import numpy as np

from backend.rig.apart import legs_apart, lower_shins
from backend.rig.embed import embed_points
from backend.rig.skeleton import build_skeleton
from backend.rig.template import load_quadruped
from tests.rig.animals import animal


def test_legs_that_are_apart_stay_as_they_are() -> None:
    mesh, points = animal("horse")
    placed = embed_points(mesh, points)
    assert legs_apart(mesh, build_skeleton(placed))
    assert np.array_equal(lower_shins(mesh, placed), placed)


def test_elbows_and_wrists_up_in_the_chest_come_down() -> None:
    mesh, points = animal("horse")
    index = load_quadruped().point_index
    legs = [index[f"{joint}.{side}"] for joint in ("elbow", "wrist", "knee", "hock") for side in "LR"]
    for share in np.arange(0.02, 0.3, 0.02):
        high = points.copy()
        high[legs, 1] += share * np.ptp(mesh.vertices[:, 1])
        high = embed_points(mesh, high)
        if not legs_apart(mesh, build_skeleton(high)):
            break
    assert not legs_apart(mesh, build_skeleton(high))
    lowered = lower_shins(mesh, high)
    assert legs_apart(mesh, build_skeleton(lowered))
    assert np.array_equal(lowered[load_quadruped().mirror_points] * [-1, 1, 1], lowered)
