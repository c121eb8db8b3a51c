"""Rest points -> skeleton: axes, bends, mirror symmetry, guards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.rig.kinematics import rest_frames
from backend.rig.skeleton import (
    LEAST_SHARE,
    MIN_BEND,
    MIN_LENGTH,
    TAIL_BEND,
    body_length,
    build_skeleton,
    half_to_points,
    joint_bends,
    points_to_half,
    rest_matrices,
    settle_points,
    skeleton_points,
    uncurl_tail,
)
from backend.rig.template import load_quadruped
from tests.rig.animals import rest_points

BUILDS = ("horse", "column", "low", "jitter")
FLOAT32 = 1e-5
GRADIENT_STEP = 1e-6


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("scale", [0.3, 4.6, 100.0])
def test_rest_legs_bend_their_own_way(build: str, scale: float) -> None:
    skeleton = build_skeleton(rest_points(build, scale).astype(np.float32))
    points = torch.from_numpy(skeleton_points(skeleton))[None]
    assert (joint_bends(points) >= MIN_BEND).all()


@pytest.mark.parametrize("build", BUILDS)
def test_settling_twice_changes_nothing_and_a_bent_leg_is_left_alone(build: str) -> None:
    points = torch.from_numpy(rest_points(build))[None]
    once = settle_points(points)
    assert (settle_points(once) - once).abs().max() < FLOAT32
    if build == "horse":
        assert torch.equal(once, points)
    elif build == "column":
        assert (once - points).norm(dim=-1).max() < 0.02 * body_length(points)


def test_settling_passes_gradients_on() -> None:
    points = torch.from_numpy(rest_points("column"))[None].requires_grad_(True)
    assert torch.autograd.gradcheck(lambda p: settle_points(p)[:, ::7], (points,), eps=GRADIENT_STEP, atol=1e-3)


@pytest.mark.parametrize("build", BUILDS)
def test_right_rest_matrices_are_the_exact_mirror_of_the_left(build: str) -> None:
    skeleton = build_skeleton(rest_points(build).astype(np.float32))
    matrices = rest_matrices(skeleton)
    template = load_quadruped()
    flip = np.diag([-1.0, 1.0, 1.0])
    twin = matrices[template.mirror_bones]
    rotation = flip @ twin[:, :3, :3]
    rotation[..., 0] *= -1
    assert np.array_equal(rotation, matrices[:, :3, :3])
    assert np.array_equal(twin[:, :3, 3] * [-1, 1, 1], matrices[:, :3, 3])


@pytest.mark.parametrize("build", BUILDS)
def test_centre_bones_lie_at_x_zero_with_their_x_axis_to_the_right(build: str) -> None:
    skeleton = build_skeleton(rest_points(build).astype(np.float32))
    centre = [i for i, name in enumerate(skeleton.names) if not name.endswith((".L", ".R"))]
    matrices = rest_matrices(skeleton)[centre]
    assert (skeleton.heads[centre, 0] == 0).all() and (skeleton.tails[centre, 0] == 0).all()
    assert (matrices[:, :3, 0] == [-1, 0, 0]).all()


@pytest.mark.parametrize("build", BUILDS)
def test_a_positive_turn_about_x_swings_every_leg_bones_tail_forward(build: str) -> None:
    skeleton = build_skeleton(rest_points(build).astype(np.float32))
    matrices = rest_matrices(skeleton)
    legs = [bone for leg in load_quadruped().legs for bone in leg.bones]
    assert (matrices[legs, 0, 0] < -0.4).all()
    upright = matrices[legs][matrices[legs, 1, 1] < -0.3]
    assert (upright[:, 2, 2] > 0).all()  # the tail moves along local Z


def test_frames_are_right_handed_and_the_same_in_torch_and_in_the_skeleton() -> None:
    points = settle_points(torch.from_numpy(rest_points("jitter"))[None])
    frames = rest_frames(points)[0].numpy()
    matrices = rest_matrices(build_skeleton(points[0].numpy().astype(np.float32)))
    assert np.allclose(np.linalg.det(matrices[:, :3, :3]), 1)
    assert np.allclose(frames, matrices, atol=FLOAT32)


def test_root_stands_on_the_ground_under_the_pelvis_and_lies_forward() -> None:
    points = rest_points()
    skeleton = build_skeleton(points.astype(np.float32))
    assert np.allclose(skeleton.heads[0], [0, 0.04, 0])
    assert skeleton.tails[0][2] > 0 and np.allclose(rest_matrices(skeleton)[0][:3, 2], [0, 1, 0])


def test_bones_of_no_length_are_given_one() -> None:
    points = rest_points()
    index = load_quadruped().point_index
    for tip, base in (("ear_tip", "ear_base"), ("front_tip", "front_knuckle"), ("hind_tip", "hind_knuckle")):
        for side in "LR":
            points[index[f"{tip}.{side}"]] = points[index[f"{base}.{side}"]]
    for number in range(1, 5):
        points[index[f"tail{number}"]] = points[index["tail0"]]
    skeleton = build_skeleton(points.astype(np.float32))
    lengths = np.linalg.norm(skeleton.tails - skeleton.heads, axis=1)
    assert (lengths >= MIN_LENGTH * float(body_length(torch.from_numpy(points)))).all()
    assert np.isfinite(rest_matrices(skeleton)).all()


def test_an_ear_that_points_sideways_keeps_a_frame() -> None:
    points = rest_points()
    index = load_quadruped().point_index
    for side, sign in (("L", 1), ("R", -1)):
        points[index[f"ear_tip.{side}"]] = points[index[f"ear_base.{side}"]] + [0.2 * sign, 0, 0]
    matrices = rest_matrices(build_skeleton(points.astype(np.float32)))
    assert np.allclose(np.linalg.det(matrices[:, :3, :3]), 1)


def test_the_whole_tail_may_be_absent() -> None:
    whole, docked = build_skeleton(rest_points().astype(np.float32)), build_skeleton(rest_points().astype(np.float32), tail=False)
    assert set(whole.names) - set(docked.names) == {"tail.001", "tail.002", "tail.003", "tail.004"}
    for i, parent in enumerate(docked.parents):
        number = whole.names.index(docked.names[i])
        assert (docked.names[parent] if parent >= 0 else None) == (whole.names[whole.parents[number]] if parent >= 0 else None)


def test_connected_bones_begin_where_their_parent_ends() -> None:
    skeleton = build_skeleton(rest_points("jitter").astype(np.float32))
    for bone in np.flatnonzero(skeleton.connected):
        assert np.array_equal(skeleton.heads[bone], skeleton.tails[skeleton.parents[bone]])


def test_half_form_round_trip_is_exact() -> None:
    points = torch.from_numpy(rest_points("jitter"))
    assert torch.equal(half_to_points(*points_to_half(points)), points)


@pytest.mark.parametrize("bad", [np.zeros((42, 3)), np.zeros((41, 3)), np.full((42, 3), np.nan)])
def test_points_that_are_no_animal_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError):
        build_skeleton(bad.astype(np.float32))


def test_of_an_uncurled_tail_no_bone_is_short_and_it_stays_as_long() -> None:
    index = load_quadruped().point_index
    tail = [index[f"tail{number}"] for number in range(5)]
    points = torch.from_numpy(rest_points("horse").copy())
    for point, along in zip(tail[1:], (0.3, 0.35, 0.7, 1.0), strict=True):
        points[point] = points[tail[0]] + torch.tensor([0.0, -along, 0.0])
    even = uncurl_tail(points)
    before, after = (np.linalg.norm(np.diff(p[tail].numpy(), axis=0), axis=1) for p in (points, even))
    assert before.min() < 0.5 * before.mean()
    assert np.isclose(after.min(), LEAST_SHARE * after.mean()) and np.isclose(after.sum(), before.sum())
    assert torch.allclose(uncurl_tail(even), even, atol=1e-6)


def test_a_curled_tail_is_uncurled_and_keeps_its_bones_lengths() -> None:
    index = load_quadruped().point_index
    tail = [index[f"tail{number}"] for number in range(5)]
    points = torch.from_numpy(rest_points("horse").copy())
    start = points[tail[0]].clone()
    for number, point in enumerate(tail[1:]):  # half a circle
        points[point] = start + 0.3 * torch.tensor([0.0, np.sin(0.8 * (number + 1)), -1 + np.cos(0.8 * (number + 1))])
    straight = uncurl_tail(points)
    before, after = (np.diff(p[tail].numpy(), axis=0) for p in (points, straight))
    assert np.allclose(np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1))
    along = after / np.linalg.norm(after, axis=1, keepdims=True)
    assert (np.arccos((along[1:] * along[:-1]).sum(1).clip(-1, 1)) <= TAIL_BEND + 1e-6).all()
    others = [i for i in range(len(points)) if i not in tail[1:]]
    assert torch.equal(straight[others], points[others])
    assert torch.allclose(uncurl_tail(straight), straight)
