"""A clip's views agree with each other: a frame that is taken for its opposite is mended by those about it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.views import angle_between, cheapest_path, choose_views, lifted_rotations
from tests.methods.walking import REST, look_at, no_network, turned, walk

FRAMES, MISTAKEN = 7, 3
OPPOSITE = 2
"""Which of `look_at`'s hypotheses is turned by half a circle."""
WRONG, RIGHT = 2.0, 0.5
"""Radians between views from which on, and up to which, they are called the other and the same."""
MIRROR = torch.diag(torch.tensor([1.0, 1.0, -1.0]))


@pytest.mark.parametrize("seed", range(8))
def test_the_cheapest_path_is_the_cheapest_of_all(seed: int) -> None:
    dice = np.random.default_rng(seed)
    count, states = (1, 3) if seed == 0 else (5, 3)
    cost, change = dice.uniform(size=(count, states)), dice.uniform(size=(count - 1, states, states))  # going back costs otherwise

    def total(path: tuple[int, ...]) -> float:
        steps = sum(change[k, path[k], path[k + 1]] for k in range(count - 1))
        return float(sum(cost[k, path[k]] for k in range(count)) + steps)

    best = min(product(range(states), repeat=count), key=total)
    assert cheapest_path(cost, change).tolist() == list(best)


def test_lifted_points_tell_the_view() -> None:
    looks = look_at(walk(FRAMES))
    assert float(angle_between(lifted_rotations(no_network(), REST, looks.lifted), looks.rotation[:, 0]).max()) < 0.05


def mistaken(looks: Looks, frames: list[int], surely: float) -> Looks:
    """In these frames depth is read the other way round and the opposite view is thought the best by `surely`."""
    logits, lifted = looks.logits.clone(), looks.lifted.clone()
    logits[frames, OPPOSITE] = logits[frames, 0] - surely
    lifted[frames] = lifted[frames] @ MIRROR
    return replace(looks, logits=logits, lifted=lifted)


def test_a_frame_taken_for_its_opposite_is_mended() -> None:
    seen = look_at(walk(FRAMES))
    looks = mistaken(seen, [MISTAKEN], 2.0)
    truth = looks.rotation[:, 0]
    best = looks.rotation[torch.arange(FRAMES), looks.logits.argmin(1)]
    assert (angle_between(best, truth) > WRONG).tolist() == [frame == MISTAKEN for frame in range(FRAMES)]
    found = choose_views(no_network(), looks, REST)
    assert float(angle_between(found.rotation, truth).max()) < RIGHT


def test_an_animal_that_turns_round_is_not_held_back() -> None:
    track = walk(12)
    track.rotation = torch.stack([track.rotation[0] @ turned((0.0, 1.0, 0.0), torch.pi * frame / 11) for frame in range(12)])
    looks = look_at(track)
    found = choose_views(no_network(), looks, REST)
    assert float(angle_between(found.rotation, looks.rotation[:, 0]).max()) < RIGHT
