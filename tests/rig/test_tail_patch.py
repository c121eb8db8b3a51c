"""A tail's flesh follows its bones: all of it, also where they run beside its middle, and nothing of the rump."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.rig.checks import LEAST_HELD, dense_weights
from backend.rig.skeleton import build_skeleton
from backend.rig.tail_patch import along, section_reach, tail_patch
from backend.rig.template import load_quadruped
from backend.rig.weights import skin_weights
from backend.types import Mesh, Skeleton
from tests.rig.animals import animal

INDEX = load_quadruped().point_index
TAIL = [INDEX[f"tail{number}"] for number in range(5)]
LOWERED = 0.018
"""Beneath the tail's middle, whose flesh is 0.025 to 0.045 thick."""


@cache
def creature(build: str, lowered: float = 0.0) -> tuple[Mesh, Skeleton, NDArray[np.float64]]:
    """A mesh, its skeleton with the tail's joints so far below its flesh's middle, and the middle (5, 3) itself."""
    mesh, points = animal(build)
    middle = points[TAIL].astype(np.float64)
    points = points.copy()
    points[TAIL[1:], 1] -= lowered
    return mesh, build_skeleton(points.astype(np.float32)), middle


def bones(skeleton: Skeleton) -> list[int]:
    return [skeleton.names.index(f"tail.{number:03d}") for number in range(1, 5)]


@pytest.mark.parametrize(("build", "free_from", "lowered"), [("horse", 2.6, 0), ("low", 2.3, 0), ("thin", 1.0, 0), ("horse", 2.6, LOWERED)])
def test_what_hangs_free_is_the_tails_alone(build: str, free_from: float, lowered: float) -> None:
    mesh, skeleton, middle = creature(build, lowered)
    weights = dense_weights(skin_weights(mesh, skeleton, fitted=False), len(skeleton.names))
    place, gap = along(mesh.vertices.astype(np.float64), middle)
    free = (place > free_from) & (gap < 0.08 * np.ptp(middle[:, 1]) / 0.39)
    assert free.sum() > 30
    led = weights[free][:, bones(skeleton)].sum(1)
    assert led.mean() > 0.99 and led.min() > 0.9


@pytest.mark.parametrize("build", ["horse", "thin", "low"])
def test_it_is_one_patch_that_ends_at_the_rump(build: str) -> None:
    mesh, skeleton, middle = creature(build)
    mine = tail_patch(mesh, skeleton, bones(skeleton))
    body = np.linalg.norm(middle[0] - skeleton.heads[skeleton.names.index("neck.001")])
    assert 40 < mine.sum() < 0.1 * len(mine)
    assert mesh.vertices[mine, 2].max() < middle[0, 2] + 0.02 * body
    assert np.abs(mesh.vertices[mine, 0]).max() < 0.12 * body
    assert mesh.mirror is not None and (mine == mine[mesh.mirror]).all()


def test_a_sections_reach_is_to_its_own_loop_and_not_to_the_legs() -> None:
    mesh, skeleton, middle = creature("horse")
    reach = section_reach(mesh, middle, np.array([2.5, 3.5]))
    scale = np.ptp(middle[:, 1]) / 0.39
    assert (reach > 0.02 * scale).all() and (reach < 0.06 * scale).all()


def test_without_flesh_about_its_bones_there_is_no_tail() -> None:
    mesh, skeleton, _ = creature("horse")
    away = np.array([0, 0, -9], np.float32)
    far = replace(skeleton, heads=skeleton.heads + away, tails=skeleton.tails + away)
    assert not tail_patch(mesh, far, bones(far)).any()


@pytest.mark.parametrize("build", ["horse", "low"])
def test_a_hanging_tails_bones_lead_nothing_of_the_rump(build: str) -> None:
    mesh, points = animal(build, 4000)
    behind = points[TAIL[0], 2]
    points = points.copy()
    points[TAIL[1:], 2] = 0.5 * behind + 0.5 * points[TAIL[1:], 2]  # closer to the buttocks
    skeleton = build_skeleton(points.astype(np.float32))
    mine = tail_patch(mesh, skeleton, bones(skeleton))
    skin = skin_weights(mesh, skeleton, fitted=False)
    led = dense_weights(skin, len(skeleton.names))
    assert mine.sum() > 60
    assert led[~mine][:, bones(skeleton)[1:]].sum(1).max() < 0.5
    assert ((led[:, bones(skeleton)] > 0).sum(0) >= LEAST_HELD).all()
