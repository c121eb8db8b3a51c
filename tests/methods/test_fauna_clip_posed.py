"""A settled creature takes over the poses of one of other proportions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from backend.methods.fauna.clip.posed import Posed
from backend.rig.skeleton import build_skeleton, skeleton_points
from tests.methods.walking import REST, TEMPLATE, no_network, walk

TAIL = [TEMPLATE.point_index[f"tail{number}"] for number in range(5)]


def creature_of(rest: torch.Tensor) -> Posed:
    creature: Any = SimpleNamespace(rest=torch.from_numpy(skeleton_points(build_skeleton(rest.numpy()))), model=no_network())
    return Posed.of(creature)


def test_a_tail_that_lies_otherwise_at_rest_is_held_as_it_was() -> None:
    own, angles = creature_of(REST), walk(6).angles
    other = REST.clone()
    steps = REST[TAIL].diff(dim=0)
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.6, -0.8], [0.0, 0.8, 0.6]])  # 53 degrees about the side axis, x
    other[TAIL[1:]] = other[TAIL[0]] + 0.8 * (steps @ turn.T).cumsum(0)
    changed = creature_of(other)
    wanted = own.points(own.transforms(angles))
    taken = changed.take_over(angles, wanted)

    def directions(cast: Posed, bend: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(cast.points(cast.transforms(bend))[:, TAIL].diff(dim=1), dim=-1)

    def off(bend: torch.Tensor) -> float:
        cosine = (directions(changed, bend) * directions(own, angles)).sum(-1).clamp(-1, 1)
        return float(torch.rad2deg(torch.acos(cosine)).mean())

    assert off(angles) > 30 and off(taken) < 12
    rest = [k for k in range(len(TEMPLATE.points)) if k not in TAIL[1:]]
    there = changed.points(changed.transforms(taken))
    assert float((there - wanted)[:, rest].norm(dim=-1).max()) < 0.08


def test_the_same_creature_keeps_its_angles() -> None:
    own, angles = creature_of(REST), walk(5).angles
    taken = own.take_over(angles, own.points(own.transforms(angles)))
    assert torch.allclose(taken, angles, atol=1e-4)
