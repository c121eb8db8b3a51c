"""Rotations, forward kinematics, skinning, and the pose found back from points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.rig.kinematics import _pose_by_levels, _template_steps, invert_frames, pose_matrices, pose_points, rest_frames, skin
from backend.rig.posing import pose_mesh, pose_skeleton
from backend.rig.rotations import euler_to_matrix, matrix_to_euler, matrix_to_quaternion, quaternion_to_matrix
from backend.rig.skeleton import build_skeleton, rest_matrices, settle_points
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from backend.types import Mesh, Pose, Skin
from tests.rig.animals import rest_points

EXACT = 1e-9
"""For float64."""
POINTS_TOLERANCE = 1e-6
"""Body lengths."""


def random_turns(count: int, spread: float, seed: int = 0) -> torch.Tensor:
    """(count, b, 3, 3) random rotations, the root's at rest."""
    angles = torch.randn(count, len(load_quadruped().bones), 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    angles[:, 0] = 0
    return euler_to_matrix(angles * spread)


def test_rotations_convert_there_and_back() -> None:
    turns = random_turns(50, 2.0)
    assert (quaternion_to_matrix(matrix_to_quaternion(turns)) - turns).abs().max() < EXACT
    assert (euler_to_matrix(matrix_to_euler(turns)) - turns).abs().max() < EXACT
    assert (matrix_to_quaternion(turns)[..., 0] >= 0).all()
    half_turns = torch.diag_embed(torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64))
    assert (quaternion_to_matrix(matrix_to_quaternion(half_turns)) - half_turns).abs().max() < EXACT


def test_euler_angles_are_turns_about_x_then_y_then_z_written_left_to_right() -> None:
    x, y, z = 0.3, -0.5, 0.7
    one = [euler_to_matrix(torch.tensor(a)) for a in ([x, 0, 0], [0, y, 0], [0, 0, z])]
    assert torch.allclose(euler_to_matrix(torch.tensor([x, y, z])), one[0] @ one[1] @ one[2])
    assert torch.allclose(one[0][1:, 1], torch.tensor([np.cos(x), np.sin(x)]).float())


def test_posing_follows_blenders_rule_bone_by_bone() -> None:
    rest = rest_frames(torch.from_numpy(rest_points())[None])
    turns = random_turns(1, 0.4)
    posed = pose_matrices(rest, turns)[0]
    basis = torch.eye(4, dtype=torch.float64).repeat(len(posed), 1, 1)
    basis[:, :3, :3] = turns[0]
    for bone, parent in enumerate(load_quadruped().parents):
        above = torch.eye(4, dtype=torch.float64) if parent < 0 else posed[parent] @ torch.linalg.inv(rest[0, parent])
        assert torch.allclose(posed[bone], above @ rest[0, bone] @ basis[bone], atol=EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_processors_loops_pose_and_differentiate_as_torch_does(dtype: torch.dtype) -> None:
    rest = rest_frames(torch.from_numpy(np.stack([rest_points("jitter"), rest_points("low")])).to(dtype)).detach()
    turns, weight = random_turns(2, 0.4).to(dtype), torch.randn(2, len(load_quadruped().bones), 3, 4, dtype=dtype)
    found = []
    for by_levels in (False, True):
        frames, local = rest.clone().requires_grad_(True), turns.clone().requires_grad_(True)
        if by_levels:
            posed = _pose_by_levels(frames, local, *_template_steps(torch.device("cpu")))
        else:
            posed = pose_matrices(frames, local)[..., :3, :]
        (posed * weight).sum().backward()
        found.append((posed.detach(), frames.grad, local.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_the_rest_pose_leaves_points_where_they_are() -> None:
    points = torch.from_numpy(rest_points("jitter"))[None]
    assert (pose_points(points, random_turns(3, 0.0)) - points).abs().max() < EXACT


def test_joints_are_shared_by_the_bones_that_meet_there() -> None:
    points = torch.from_numpy(rest_points())[None]
    turns = random_turns(2, 0.4)
    posed_points, posed = pose_points(points, turns), pose_matrices(rest_frames(points), turns)
    template = load_quadruped()
    for bone in range(1, len(template.bones)):
        head, tail = template.head_points[bone], template.tail_points[bone]
        assert torch.allclose(posed[:, bone, :3, 3], posed_points[:, head], atol=EXACT)
        length = (points[0, tail] - points[0, head]).norm()
        assert torch.allclose(posed[:, bone, :3, 3] + length * posed[:, bone, :3, 1], posed_points[:, tail], atol=EXACT)


def test_gradients_of_posed_points_are_right() -> None:
    points = torch.from_numpy(rest_points("jitter"))[None].requires_grad_(True)
    generator = torch.Generator().manual_seed(1)
    angles = (torch.randn(1, len(load_quadruped().bones), 3, generator=generator, dtype=torch.float64) * 0.3).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda p, a: pose_points(p, euler_to_matrix(a))[:, ::5], (points, angles), atol=1e-4)


def test_an_untrained_networks_points_give_finite_frames_and_gradients() -> None:
    points = torch.zeros(2, 42, 3, requires_grad=True)
    pose_points(points, random_turns(2, 0.3).float()).square().sum().backward()
    assert points.grad is not None and torch.isfinite(points.grad).all()


def test_skinning_blends_transforms_and_numpy_agrees_with_torch() -> None:
    skeleton = build_skeleton(rest_points().astype(np.float32))
    rng = np.random.default_rng(0)
    count = len(skeleton.names)
    bones = rng.integers(1, count, (30, 4)).astype(np.int32)
    weights = rng.random((30, 4)).astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    mesh = Mesh(rng.random((30, 3)).astype(np.float32), np.zeros((1, 3), np.int32))
    turns = random_turns(1, 0.4)
    pose = Pose(matrix_to_quaternion(turns[0]).numpy().astype(np.float32), np.array([0.1, 0.2, 0.3], np.float32))
    transforms = pose_skeleton(skeleton, pose) @ np.linalg.inv(rest_matrices(skeleton))
    expected = np.zeros((30, 3))
    for k in range(4):
        own = transforms[bones[:, k]]
        expected += weights[:, k, None] * (np.einsum("vij,vj->vi", own[:, :3, :3], mesh.vertices) + own[:, :3, 3])
    assert np.allclose(pose_mesh(mesh, skeleton, Skin(bones, weights), pose), expected, atol=1e-5)
    tensors = [torch.from_numpy(array) for array in (mesh.vertices[None], bones, weights, transforms[None].astype(np.float32))]
    moved = skin(*tensors)
    assert np.allclose(moved[0].numpy(), expected, atol=1e-5)


def test_a_skeleton_without_tail_poses_as_the_whole_one_does() -> None:
    whole, docked = build_skeleton(rest_points().astype(np.float32)), build_skeleton(rest_points().astype(np.float32), tail=False)
    rotations = matrix_to_quaternion(random_turns(1, 0.4)[0]).numpy().astype(np.float32)
    kept = [whole.names.index(name) for name in docked.names]
    still = np.zeros(3, np.float32)
    assert np.allclose(pose_skeleton(whole, Pose(rotations, still))[kept], pose_skeleton(docked, Pose(rotations[kept], still)), atol=EXACT)


@pytest.mark.parametrize("build", ["horse", "column", "low", "jitter"])
def test_a_solved_pose_puts_every_point_back(build: str) -> None:
    rest = settle_points(torch.from_numpy(rest_points(build))[None])
    posed = pose_points(rest, random_turns(40, 0.35)).numpy()
    rng = np.random.default_rng(2)
    yaw = rng.uniform(-np.pi, np.pi, 40)
    turn = np.zeros((40, 3, 3))
    turn[:, 0, 0] = turn[:, 2, 2] = np.cos(yaw)
    turn[:, 0, 2], turn[:, 2, 0], turn[:, 1, 1] = np.sin(yaw), -np.sin(yaw), 1
    seen = np.einsum("nij,npj->npi", turn, posed) + rng.normal(size=(40, 1, 3))
    rotations, placement = solve_pose(rest[0].numpy(), seen)
    back = pose_points(rest, quaternion_to_matrix(torch.from_numpy(rotations))).numpy()
    back = np.einsum("nij,npj->npi", placement[:, :3, :3], back) + placement[:, None, :3, 3]
    assert np.abs(back - seen).max() < POINTS_TOLERANCE
    one, where = solve_pose(rest[0].numpy(), seen[0])
    assert np.allclose(one, rotations[0]) and np.allclose(where, placement[0])
    flat = placement[:, :3, :3] @ [0, 1, 0]
    assert np.allclose(flat, [0, 1, 0])


def test_hinge_turns_below_the_thigh_are_found_exactly() -> None:
    template = load_quadruped()
    rest = settle_points(torch.from_numpy(rest_points())[None])
    angles = torch.zeros(20, len(template.bones), 3, dtype=torch.float64)
    legs = [bone for leg in template.legs for bone in leg.bones]
    angles[:, legs, 0] = torch.randn(20, len(legs), generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.4
    turns = euler_to_matrix(angles)
    rotations, _ = solve_pose(rest[0].numpy(), pose_points(rest, turns).numpy())
    assert np.abs(quaternion_to_matrix(torch.from_numpy(rotations)).numpy() - turns.numpy()).max() < POINTS_TOLERANCE


def test_the_rest_pose_is_solved_as_no_turn_at_all() -> None:
    rest = rest_points()
    rotations, placement = solve_pose(rest, rest)
    assert np.allclose(rotations, [1, 0, 0, 0]) and np.allclose(placement, np.eye(4))


def test_points_that_cannot_be_solved_are_refused() -> None:
    rest = rest_points()
    with pytest.raises(ValueError, match="finite"):
        solve_pose(rest, np.full((42, 3), np.nan))
    with pytest.raises(ValueError, match="expected"):
        solve_pose(rest, rest[:40])


def test_frames_are_inverted_by_turning_them_back() -> None:
    frames = rest_frames(settle_points(torch.from_numpy(rest_points())[None]))
    assert torch.allclose(invert_frames(frames) @ frames, torch.eye(4, dtype=frames.dtype).expand_as(frames), atol=POINTS_TOLERANCE)
