"""Points lifted into space: what they are learnt from, how they turn the animal, and what they are worth to a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.encoder import Tokens
from backend.methods.fauna.fitting.evidence import Evidence, lifted_residual
from backend.methods.fauna.lifting import Lifting
from backend.methods.fauna.model import BELIEVED, Fauna
from backend.methods.fauna.training import skeletons as source
from backend.methods.fauna.training.skeletons import Skeletons
from backend.observe.efficientnet import shared_encoder
from backend.rig.kinematics import pose_points
from backend.rig.rotations import euler_to_matrix
from backend.rig.template import load_quadruped
from tests.rig.animals import rest_points

FOCAL = float(1 / np.tan(np.radians(12.5)))
POINTS = len(load_quadruped().points)


def skeletons() -> Skeletons:
    rest = np.stack([rest_points(), rest_points() * [1.2, 0.9, 1.0]])
    still = np.zeros((3, len(load_quadruped().bones), 4))
    still[..., 0] = 1
    return Skeletons(rest, still, FOCAL, np.random.default_rng(0))


def clean(monkeypatch: pytest.MonkeyPatch) -> Skeletons:
    for name in ("NOISE", "STRAY", "SWAP"):
        monkeypatch.setattr(source, name, 0.0)
    return skeletons()


def test_what_is_seen_is_the_projection_of_what_is_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = clean(monkeypatch).draw(16, np.random.default_rng(1))
    assert drawn.seen.shape == (16, POINTS, 2) and drawn.points.shape == (16, POINTS, 3)
    assert drawn.points.mean(1).abs().max() < 1e-5
    for seen, points in zip(drawn.seen.numpy(), drawn.points.numpy(), strict=True):

        def gap(guess: np.ndarray, seen: np.ndarray = seen, points: np.ndarray = points) -> np.ndarray:
            """Of a camera at a distance, the picture moved."""
            return (FOCAL * points[:, :2] * [1, -1] / (guess[0] - points[:, 2:]) + guess[1:] - seen).ravel()

        assert np.abs(least_squares(gap, [12.0, 0.0, 0.0]).fun).max() < 1e-4
        assert 0.5 < np.ptp(seen, axis=0).max() / 2 < 1.0


def test_left_stays_left_whatever_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirrored skeleton could not be told from a turned one by lengths; by handedness it can."""
    index = load_quadruped().point_index
    drawn = clean(monkeypatch).draw(32, np.random.default_rng(2)).points
    ahead = drawn[:, index["withers"]] - drawn[:, index["pelvis"]]
    up = drawn[:, index["withers"]] - (drawn[:, index["front_tip.L"]] + drawn[:, index["front_tip.R"]]) / 2
    left = drawn[:, index["hip.L"]] - drawn[:, index["hip.R"]]
    assert ((torch.linalg.cross(up, ahead) * left).sum(-1) > 0).all()


def test_scaled_skeletons_stay_mirrored() -> None:
    rests = skeletons().rests
    twin = load_quadruped().mirror_points
    np.testing.assert_allclose(rests[:, twin] * [-1, 1, 1], rests, atol=1e-6)
    assert rests.std(0).max() > 0.05


def test_legs_taken_for_their_twins_are_in_what_is_seen_not_in_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    right = clean(monkeypatch).draw(64, np.random.default_rng(3))
    monkeypatch.setattr(source, "SWAP", 1.0)
    wrong = skeletons().draw(64, np.random.default_rng(3))
    twin = torch.from_numpy(load_quadruped().mirror_points)
    legs = [i for i, n in enumerate(load_quadruped().points) if n.startswith(("hip", "knee", "hock", "hind", "wrist", "elbow"))]
    torch.testing.assert_close(wrong.seen[:, legs], right.seen[:, twin[legs]])
    torch.testing.assert_close(wrong.points, right.points)


def test_lifting_learns_depth_from_skeletons_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    drawn = clean(monkeypatch)
    model, rng = Lifting(replace(BUNDLED, lifting_blocks=1), POINTS), np.random.default_rng(4)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    errors = []
    for _ in range(60):
        batch = drawn.draw(32, rng)
        error = (model(batch.seen, batch.confidence, batch.category, None)[0] - batch.points).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert np.mean(errors[-5:]) < 0.5 * np.mean(errors[:5])


def test_a_picture_that_is_not_shown_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Lifting(replace(BUNDLED, lifting_blocks=1), POINTS)
    seen, sure, category = torch.rand(2, POINTS, 2), torch.rand(2, POINTS), torch.randn(2, POINTS, 3)
    channels = BUNDLED.key_channels
    tokens = Tokens(torch.randn(2, channels, 16, 16), torch.randn(2, POINTS, channels), torch.randn(2, channels))
    told = model(seen, sure, category, tokens, torch.tensor([0.0, 1.0]))
    alone = model(seen, sure, category, None)
    torch.testing.assert_close(told[0][0], alone[0][0])
    torch.testing.assert_close(told[1][0], alone[1][0])
    assert not torch.allclose(told[0][1], alone[0][1], atol=1e-3)


def test_lifting_learns_how_rest_shapes_differ_from_their_category(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, batch = Lifting(replace(BUNDLED, lifting_blocks=1), POINTS), clean(monkeypatch).draw(24, np.random.default_rng(5))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    left = []
    for _ in range(150):
        error = (batch.category + model(batch.seen, batch.confidence, batch.category, None)[1] - batch.rest).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        left.append(error.item())
    assert left[0] == pytest.approx((batch.category - batch.rest).abs().mean().item())  # it begins with the category's
    assert left[-1] < 0.5 * left[0]


def test_outside_of_training_picture_and_points_alone_count_alike() -> None:
    torch.manual_seed(0)
    model = Fauna(BUNDLED).eval()
    torch.nn.init.normal_(model.netInstance.netLifting.change[1].weight, std=0.1)
    with torch.no_grad():
        taps = shared_encoder()(torch.rand(1, 3, 256, 256))
        seen, lift = model.perceive(taps), model.netInstance.netLifting
        given = seen.seen, seen.confidence, seen.category
        with_it, alone = (lift(*given, tokens) for tokens in (model.netInstance.netEncoder(taps), None))
    assert not torch.allclose(with_it[0], alone[0], atol=1e-2)
    torch.testing.assert_close(seen.lifted, (with_it[0] + alone[0]) / 2)
    change = BELIEVED * model.netInstance.netRest.mirrored((with_it[1] + alone[1]) / 2)
    torch.testing.assert_close(seen.rest, seen.category + change)


def test_lifted_points_tell_the_view_at_any_size_and_where_a_leg_is() -> None:
    rest = torch.from_numpy(rest_points().astype(np.float32))
    turns = torch.zeros(1, len(load_quadruped().bones), 3)
    posed = pose_points(rest[None], euler_to_matrix(turns))[0]
    view = euler_to_matrix(torch.tensor([0.1, 0.8, 0.0]))
    lifted = 1.3 * (posed - posed.mean(0)) @ view.T
    sure = torch.ones(POINTS)
    evidence = Evidence(torch.zeros(8, 8), torch.zeros(POINTS, 2), sure, lifted, sure, 1.0, torch.zeros(1, 3, 2), torch.zeros(1))
    away = euler_to_matrix(torch.tensor([0.1, 0.8 + np.pi, 0.0]))
    at_truth, turned = (float(lifted_residual(posed, r, evidence)) for r in (view, away))
    assert at_truth < 1e-6 and turned > 0.7
    moved = posed.clone()
    moved[load_quadruped().point_index["front_tip.L"]] += torch.tensor([0.0, 0.0, 0.5])
    assert float(lifted_residual(moved, view, evidence)) > 0.01
