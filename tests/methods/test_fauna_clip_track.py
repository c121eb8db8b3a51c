"""A track is found from what frames say of it: a known walk comes back from noisy points, smoother than they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.track import KNOTS, Curves, Track, in_clip, in_crops, pace_of, smoothed, solve_track, spline_basis
from backend.methods.fauna.clip.views import angle_between
from backend.rig.rotations import euler_to_matrix
from tests.methods.walking import DISTANCE, FPS, FRAMES, SWING, TEMPLATE, Noise, look_at, no_network, posed, turned, walk

TIMES = np.arange(FRAMES) / FPS
LEGS = [bone - 1 for leg in TEMPLATE.legs for bone in leg.bones[:2]]
"""Thighs and shins among the deforming bones."""
ANGLE = 0.1
"""Radians by which legs' angles may miss, root mean square: under a third of their swing."""
VIEW = 0.12
"""Radians by which a view may miss."""
ACROSS, AWAY = 0.05, 0.04
"""Object units across the line of sight and share of the distance by which a place may miss, root mean square."""
JITTER = 0.5
"""Of the second differences of the points read, what may be left in those of the points found."""


@pytest.mark.parametrize("rate", list(KNOTS.values()))
@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_a_spline_basis_sums_to_one(rate: float, frames: int) -> None:
    basis = spline_basis(0.7 + np.arange(frames) / FPS, rate)
    np.testing.assert_allclose(basis.sum(1), 1, atol=1e-6)
    assert basis.min() >= 0 and len(basis) == frames


def test_smoothed_values_keep_a_line_and_pass_an_outlier_by() -> None:
    basis = torch.from_numpy(spline_basis(TIMES, 2.0))
    line = torch.from_numpy(TIMES).float()[:, None] * torch.tensor([1.0, -2.0])
    torch.testing.assert_close(smoothed(basis, line), line, atol=2e-3, rtol=0)
    off = line.clone()
    off[FRAMES // 2] += 3
    assert float((smoothed(basis, off) - line).abs().max()) < 0.1


def test_crops_and_clip_are_each_other_s_inverse() -> None:
    looks, track = look_at(walk()), walk()
    back = in_clip(looks, *in_crops(looks, track.rotation, track.translation))
    torch.testing.assert_close(back[0], track.rotation, atol=1e-5, rtol=0)
    torch.testing.assert_close(back[1], track.translation, atol=1e-4, rtol=0)


@pytest.mark.parametrize("pace", [0.15, 0.3, 0.6])
@pytest.mark.parametrize("noise", [0.0, 0.04])
def test_noise_doesn_t_make_a_swing_quicker(pace: float, noise: float) -> None:
    count = sum(bone.deform for bone in TEMPLATE.bones)
    phase = pace * torch.arange(48)[:, None] + torch.arange(count)
    swing = torch.stack([0.3 * phase.cos(), torch.zeros(48, count), torch.zeros(48, count)], -1)
    noisy = swing + noise * torch.randn(swing.shape, generator=torch.Generator().manual_seed(1))
    assert pace_of(noisy, TEMPLATE) == pytest.approx(pace, rel=0.12)
    assert pace_of(noisy[:3], TEMPLATE) > 0 and pace_of(torch.zeros(48, count, 3), TEMPLATE) > 0


def rough(truth: Track) -> Track:
    """Every frame's view, distance and angles off by themselves."""
    dice = torch.Generator().manual_seed(5)
    views = torch.stack([truth.rotation[k] @ turned((0.0, 1.0, 0.0), 0.15 * float(torch.randn((), generator=dice))) for k in range(FRAMES)])
    depth = 1 + 0.05 * torch.randn(FRAMES, 1, generator=dice)
    angles = truth.angles * 0.5 + 0.1 * torch.randn(truth.angles.shape, generator=dice)
    return Track(views, truth.translation * depth, angles, truth.rest)


def second_difference(values: Tensor) -> Tensor:
    """(t, ...) -> (t - 2, ...)."""
    return values[2:] - 2 * values[1:-1] + values[:-2]


def rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def projected(looks: Looks, track: Track) -> Tensor:
    """(t, P, 2) in the crops."""
    rotation, translation = in_crops(looks, track.rotation, track.translation)
    seen = posed(track) @ rotation.transpose(1, 2) + translation[:, None]
    return looks.focal[:, None, None] * seen[..., :2] / seen[..., 2:]


def test_curves_start_near_what_they_were_given() -> None:
    truth = walk()
    rotation, translation = Curves(TIMES, truth.rotation, truth.translation)()
    assert float(angle_between(rotation, truth.rotation).max()) < 0.02
    assert float((translation - truth.translation).abs().max()) < 0.02 * DISTANCE


def test_a_known_walk_is_found_from_noisy_points_and_smoother_than_they_are() -> None:
    truth = walk()
    looks = look_at(truth, Noise(seen=0.015, lifted=0.08))
    start = rough(truth)
    found = solve_track(no_network(), looks, start, TIMES, steps=120)
    off = (found.angles - truth.angles)[:, LEGS, 0]
    assert rms(off) < ANGLE < SWING / 3
    assert rms(off) < 0.6 * rms((start.angles - truth.angles)[:, LEGS, 0])
    assert float(angle_between(found.rotation, truth.rotation).max()) < VIEW
    scale = found.translation[:, 2:] / truth.translation[:, 2:]
    assert rms(scale - 1) < AWAY
    assert rms((found.translation / scale - truth.translation)[:, :2]) < ACROSS
    steady = second_difference(projected(looks, truth))
    jitter = rms(second_difference(projected(looks, found)) - steady)
    assert jitter < JITTER * rms(second_difference(looks.seen) - steady)
    local = euler_to_matrix(found.angles)
    assert math.isfinite(float(local.sum())) and bool((found.rest[:16, 0] == 0).all())  # mirrored still


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_of_one_and_two_frames_have_a_track(frames: int) -> None:
    truth = walk(frames)
    found = solve_track(no_network(), look_at(truth), truth, np.arange(frames) / FPS, steps=3)
    assert found.rotation.shape == (frames, 3, 3) and bool(found.angles.isfinite().all() and found.translation.isfinite().all())
