"""A tail that the network did not see is found in the bare mask, and its bones are laid through it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.methods.fauna.fitting.bare_tail import EDGE_ON, laid_out, patch_at, path_through, raise_tail, resample
from backend.methods.fauna.fitting.evidence import project
from backend.methods.fauna.fitting.viewpoint import Solution
from backend.rig.kinematics import pose_points
from backend.rig.rotations import axis_angle_to_matrix, euler_to_matrix
from backend.rig.template import load_quadruped
from tests.rig.animals import rest_points

TEMPLATE = load_quadruped()
TAIL = [TEMPLATE.point_index[f"tail{number}"] for number in range(5)]
SIZE, FOCAL = 160, 4.0
BASE = torch.tensor([-0.5, 0.0])
FROM_THE_SIDE = torch.tensor([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
"""Object to camera (OpenCV): the animal faces the picture's right."""


def grid() -> Tensor:
    """(s, s, 2) the pixels' places in [-1, 1]."""
    along = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    return torch.stack(torch.meshgrid(along, along, indexing="xy"), -1)


def trunk() -> Tensor:
    return ((grid()[..., 0] > -0.5) & (grid()[..., 0] < 0.7) & (grid()[..., 1] > 0) & (grid()[..., 1] < 0.5)).float()


def curl(turn: float = np.pi, radius: float = 0.2, width: float = 0.1) -> tuple[Tensor, Tensor]:
    """A band that rises from the base and curls forward over the back: its mask (s, s), and five points along its middle (5, 2)."""
    centre = BASE + torch.tensor([radius, 0.0])
    offset = grid() - centre
    angle = torch.atan2(-offset[..., 1], -offset[..., 0])  # 0 at the base, growing upward and forward
    band = ((offset.norm(dim=-1) - radius).abs() < width / 2) & (angle > 0) & (angle < turn)
    at = torch.linspace(0, turn, 5)
    return band.float(), centre + radius * torch.stack([-at.cos(), -at.sin()], 1)


def test_the_patch_beside_the_base_is_the_tail() -> None:
    tail, _ = curl()
    patch = patch_at(trunk(), (trunk() + tail).clamp(0, 1), BASE)
    assert patch is not None
    assert tail.numpy()[patch].all() and patch.sum() > 0.7 * float((tail * (1 - trunk())).sum())


def test_what_is_small_or_lies_elsewhere_or_is_covered_is_no_tail() -> None:
    thin, _ = curl(turn=0.4)
    assert patch_at(trunk(), (trunk() + thin).clamp(0, 1), BASE) is None
    tail, _ = curl()
    mask = (trunk() + tail).clamp(0, 1)
    assert patch_at(trunk(), mask, torch.tensor([0.7, 0.4])) is None
    assert patch_at(mask, mask, BASE) is None


def test_the_path_follows_a_curl_and_its_joints_are_evenly_spaced() -> None:
    tail, middle = curl(turn=2.5)
    path, width = path_through(tail.numpy() > 0, BASE)
    # the shortest way through a curl runs along its inside, and the end is the middle of what is farthest
    assert (path - middle[1:]).norm(dim=1).max() < 0.08
    steps = torch.cat([BASE[None], path]).diff(dim=0).norm(dim=1)
    assert steps.max() < 1.15 * steps.min()
    assert width == pytest.approx(0.1, rel=0.25)


def test_resampled_polylines_keep_their_ends_and_space_evenly() -> None:
    even = resample(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0]]), 5)
    np.testing.assert_allclose(even, [[0, 0], [1, 0], [1, 1], [1, 2], [1, 3]])


def solution(turned: float) -> Solution:
    """The made-up animal as it stands, seen from the side but for so many degrees about the vertical."""
    turn = torch.from_numpy(axis_angle_to_matrix(np.array([0.0, 1.0, 0.0]), np.array([np.radians(turned)]))[0]).float()
    rest = torch.from_numpy(rest_points().astype(np.float32))
    bones = sum(bone.deform for bone in TEMPLATE.bones)
    return Solution(FROM_THE_SIDE @ turn, torch.tensor([0.0, 0.8, 8.0]), torch.zeros(bones, 3), rest, 0.0)


@pytest.mark.parametrize("turned", [0.0, 40.0, -40.0, 80.0, 180.0])
def test_a_raised_tails_joints_are_seen_along_the_path(turned: float) -> None:
    before = solution(turned)
    base = project(before.rest, before.rotation, before.translation, FOCAL)[TAIL[0]]
    _, middle = curl()
    path = middle[1:] - BASE + base
    after = raise_tail(before, path, FOCAL, TAIL)
    local = torch.cat([torch.eye(3)[None], euler_to_matrix(after.angles)])
    posed = pose_points(after.rest[None], local[None])[0]
    torch.testing.assert_close(project(posed, after.rotation, after.translation, FOCAL)[TAIL[1:]], path, atol=2e-3, rtol=0)
    others = [point for point in range(len(posed)) if point not in TAIL[1:]]
    torch.testing.assert_close(posed[others], before.rest[others], atol=1e-5, rtol=0)
    assert (after.rest[TAIL].diff(dim=0)[:, 2] <= 0).all()  # at rest it points back still


def test_a_tail_lies_in_the_middle_plane_unless_that_is_seen_edge_on() -> None:
    oblique, behind = solution(40.0), solution(85.0)
    base = oblique.rest[TAIL[0]]
    for here, in_plane in ((oblique, True), (behind, False)):
        seen = project(base[None], here.rotation, here.translation, FOCAL)
        path = seen + torch.tensor([[0.05, -0.1], [0.1, -0.2]])
        joints = laid_out(path, base, here, FOCAL)
        torch.testing.assert_close(project(joints, here.rotation, here.translation, FOCAL), path, atol=1e-4, rtol=0)
        if in_plane:
            assert joints[:, 0].abs().max() < 1e-4
        else:
            depth = joints @ here.rotation[2]
            torch.testing.assert_close(depth, (base @ here.rotation[2]).expand(2), atol=1e-4, rtol=0)
    assert np.sin(np.radians(90 - 85)) < EDGE_ON < np.sin(np.radians(90 - 40))
