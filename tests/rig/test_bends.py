"""How creatures bend: the report tells good weights from bad ones, and balanced hinges keep a leg's volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.rig.checks import bend_report, dense_weights
from backend.rig.embed import contains, embed_points
from backend.rig.hinges import balance_hinges
from backend.rig.skeleton import build_skeleton
from backend.rig.weights import families, prune, segment_distance, skin_weights
from backend.types import Mesh, Skeleton, Skin
from tests.rig.animals import animal

BUILDS = ("horse", "thin", "low")
PAPER_TEMPERATURE = 0.05


@pytest.fixture(scope="module")
def rigs() -> dict[str, tuple[Mesh, Skeleton, Skin]]:
    made = {}
    for build in BUILDS:
        mesh, points = animal(build)
        skeleton = build_skeleton(balance_hinges(mesh, embed_points(mesh, points)))
        made[build] = mesh, skeleton, skin_weights(mesh, skeleton)
    return made


@pytest.mark.parametrize("build", BUILDS)
def test_legs_bend_without_tearing_or_flattening(build: str, rigs: dict[str, tuple[Mesh, Skeleton, Skin]]) -> None:
    report = bend_report(*rigs[build])
    assert report.passes(), report


def test_balancing_moves_joints_less_than_its_limit_and_keeps_them_inside(rigs: dict[str, tuple[Mesh, Skeleton, Skin]]) -> None:
    for mesh, skeleton, _ in rigs.values():
        legs = [i for i, name in enumerate(skeleton.names) if name.startswith(("front_", "thigh", "shin", "foot"))]
        assert contains(mesh, skeleton.heads[legs]).all()


@pytest.mark.parametrize("build", BUILDS)
def test_dropped_bones_leave_a_limbs_share_of_a_vertex_as_it_was(build: str, rigs: dict[str, tuple[Mesh, Skeleton, Skin]]) -> None:
    _, skeleton, _ = rigs[build]
    dense = np.random.default_rng(0).dirichlet(np.ones(len(skeleton.names)), 200)
    left = next(family for family in families(skeleton) if skeleton.names.index("thigh.L") in family)
    trunk = families(skeleton)[-1]
    dense[:, [i for i in range(len(skeleton.names)) if i not in (*left, *trunk)]] = 0
    dense[:, left] *= 5
    dense /= dense.sum(1, keepdims=True)
    pruned = dense_weights(prune(dense, skeleton), len(skeleton.names))
    both = (pruned[:, left] > 0).any(1) & (pruned[:, trunk] > 0).any(1)
    assert both.sum() > 50 and ((pruned > 0).sum(1) <= 4).all()
    assert np.allclose(pruned[both][:, left].sum(1), dense[both][:, left].sum(1), atol=3e-3)  # the least weights are dropped first


def test_the_report_sees_the_papers_hard_weights_tear(rigs: dict[str, tuple[Mesh, Skeleton, Skin]]) -> None:
    mesh, skeleton, _ = rigs["horse"]
    vertices = mesh.vertices.astype(np.float64)
    gaps = np.stack([segment_distance(vertices, h, t) for h, t in zip(skeleton.heads, skeleton.tails, strict=True)], 1)
    gaps[:, ~skeleton.deform] = np.inf
    top = np.argsort(gaps, 1)[:, :4]
    weights = np.exp(-(np.take_along_axis(gaps, top, 1) - gaps.min(1, keepdims=True)) / PAPER_TEMPERATURE)
    hard = Skin(top.astype(np.int32), (weights / weights.sum(1, keepdims=True)).astype(np.float32))
    report = bend_report(mesh, skeleton, hard)
    assert not report.passes() and report.flipped > 0.001


def test_the_report_sees_a_leg_that_pulls_at_another(rigs: dict[str, tuple[Mesh, Skeleton, Skin]]) -> None:
    mesh, skeleton, skin = rigs["horse"]
    dense = dense_weights(skin, len(skeleton.names))
    left, right = skeleton.names.index("shin.L"), skeleton.names.index("shin.R")
    dense[:, left] += 0.3 * dense[:, right]
    dense[:, right] *= 0.7
    top = np.argsort(-dense, 1)[:, :4]
    weights = np.take_along_axis(dense, top, 1)
    mixed = Skin(top.astype(np.int32), (weights / weights.sum(1, keepdims=True)).astype(np.float32))
    assert bend_report(mesh, skeleton, mixed).leak > 0.005


def test_the_report_sees_a_paw_that_stays_behind(rigs: dict[str, tuple[Mesh, Skeleton, Skin]]) -> None:
    mesh, skeleton, skin = rigs["horse"]
    hips = skeleton.names.index("hips")
    lazy = replace(skin, bones=skin.bones.copy(), weights=skin.weights.copy())
    lazy.weights[:] *= 0.7
    lazy.bones[:, 3], lazy.weights[:, 3] = hips, 1 - lazy.weights[:, :3].sum(1)
    assert bend_report(mesh, skeleton, lazy).travel < 0.9
