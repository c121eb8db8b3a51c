"""How creatures bend: the report tells good weights from bad ones, and the weights made pass it with the joints where they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.rig.bend_energy import BendEnergy, compile_kernels
from backend.rig.bends import fit_limb_weights
from backend.rig.checks import bend_report, dense_weights
from backend.rig.embed import embed_points
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
        skeleton = build_skeleton(embed_points(mesh, points))
        made[build] = mesh, skeleton, skin_weights(mesh, skeleton)
    return made


@pytest.mark.parametrize("build", BUILDS)
def test_legs_bend_without_tearing_or_flattening(build: str, rigs: dict[str, tuple[Mesh, Skeleton, Skin]]) -> None:
    report = bend_report(*rigs[build])
    assert report.passes(), report
    left = bend_report(*rigs[build], mirrored=True)  # of a rig that is alike on both sides, the left legs say all
    assert left.passes() and left.flipped == report.flipped
    assert (left.travel, left.section, left.volume) == pytest.approx((report.travel, report.section, report.volume), rel=1e-5)


def bent_tube() -> tuple[np.ndarray, np.ndarray]:
    """A closed tube along Y with a wide middle: vertices (n, 3) and faces (f, 3)."""
    rings, sides = 15, 12
    y, turn = np.meshgrid(np.linspace(-1, 1, rings), np.linspace(0, 2 * np.pi, sides, endpoint=False), indexing="ij")
    wide = 0.3 + 0.1 * np.cos(2 * y)
    vertices = np.stack([wide * np.cos(turn), y, wide * np.sin(turn)], -1).reshape(-1, 3)
    faces = []
    for ring in range(rings - 1):
        for side in range(sides):
            a, b = ring * sides + side, ring * sides + (side + 1) % sides
            faces += [[a, a + sides, b], [b, a + sides, b + sides]]
    return vertices, np.array(faces)


def test_the_bend_energys_gradient_is_that_of_its_finite_differences() -> None:
    vertices, faces = bent_tube()
    hinge = np.eye(4)
    hinge[:3, 3] = [0.0, 0.1, 0.35]  # near the skin: pressing folds it, and costs the tube its volume
    section = np.stack([np.arange(84, 96), np.arange(96, 108)], 1), np.full(12, 0.3)  # a ring's edges to the next, about half way along
    energy = BendEnergy(vertices, faces, faces, hinge, [2.0, -0.7], section)
    rng = np.random.default_rng(0)
    field = (np.clip(vertices[:, 1] * 2 + 0.5, 0, 1) + 0.05 * rng.normal(size=len(vertices))).clip(0, 1)
    value, gradient = energy(field)
    assert value > 1 + BendEnergy(vertices, faces, faces, hinge, [2.0, -0.7])(field)[0]  # the bend pinches the section too
    for _ in range(5):
        along = rng.normal(size=len(field))
        slope = (energy(field + 1e-6 * along)[0] - energy(field - 1e-6 * along)[0]) / 2e-6
        assert slope == pytest.approx(float(gradient @ along), rel=1e-4)


def test_a_field_that_turns_all_alike_costs_nothing() -> None:
    vertices, faces = bent_tube()
    energy = BendEnergy(vertices, faces, faces, np.eye(4), [0.7, -0.7])
    for share in (0.0, 1.0):
        value, gradient = energy(np.full(len(vertices), share))
        assert value == 0 and not gradient.any()


def test_fitted_weights_keep_to_their_leg_and_sum_to_one(rigs: dict[str, tuple[Mesh, Skeleton, Skin]]) -> None:
    mesh, skeleton, skin = rigs["horse"]
    dense = dense_weights(skin, len(skeleton.names))
    trunk = np.zeros_like(dense)
    trunk[:, skeleton.names.index("hips")] = 1
    fitted = fit_limb_weights(np.where(mesh.vertices[:, :1] < 0, 0, dense) + trunk * (mesh.vertices[:, :1] < 0), trunk, mesh, skeleton)
    assert np.allclose(fitted.sum(1), 1) and (fitted >= 0).all()
    right = [i for i, name in enumerate(skeleton.names) if name.endswith(".R")]
    assert not fitted[mesh.vertices[:, 0] > 0][:, right].any()


def test_set_up_compiles_the_kernels() -> None:
    from backend.rig import bend_energy

    compile_kernels()
    assert bend_energy._volume.signatures and bend_energy._folds.signatures


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
