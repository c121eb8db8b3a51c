"""A gait's rhythm is found of distances without signs, and says which way legs go on that meet."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.methods.fauna.clip.gait import WINDOW, Reach, find_gait, in_step, rhythm
from backend.methods.fauna.clip.legs import first_is_right, sides_told
from backend.methods.fauna.fitting.limbs import JOINTS, Limbs
from backend.methods.fauna.fitting.viewpoint import Solution
from backend.rig.template import load_quadruped

TEMPLATE = load_quadruped()
CLEAR = 0.08
"""Half widths from which on legs lie apart."""


def reaches(stride: float, count: int, seed: int, square: float = 0.0) -> tuple[list[Reach], list[np.ndarray]]:
    """Of both pairs, read with noise and in any order -> what is read, and the true distances from right to left (t,)."""
    rng = np.random.default_rng(seed)
    read, true = [], []
    for swing, late in ((0.4, 0.3), (0.3, 1.9)):
        apart = swing * np.cos(2 * np.pi * np.arange(count) / stride + late) + square
        true.append(apart)
        read.append(Reach((apart + 0.02 * rng.standard_normal(count)) * rng.choice([-1.0, 1.0], count), np.full(count, square)))
    return read, true


@pytest.mark.parametrize("stride", [13.0, 21.5, 37.0])
@pytest.mark.parametrize("square", [0.0, 0.12])
def test_a_rhythm_is_found_whatever_the_legs_are_called(stride: float, square: float) -> None:
    read, true = reaches(stride, 56, int(stride), square)
    for wave, apart in zip(rhythm(read), true, strict=True):
        clear = np.abs(apart) > CLEAR
        agree = np.sign(wave[clear] * apart[clear])
        assert abs(agree.sum()) == clear.sum()  # all of one mind
        if square:
            assert agree[0] == 1  # where legs don't swing about each other, the rhythm knows the left one


def test_legs_that_stand_or_go_anyhow_have_no_rhythm() -> None:
    rng = np.random.default_rng(5)
    still = [Reach(np.full(48, 0.3) * rng.choice([-1.0, 1.0], 48), np.zeros(48)) for _ in range(2)]
    anyhow = [Reach(rng.uniform(-0.6, 0.6, 48), np.zeros(48)) for _ in range(2)]
    slow, _ = reaches(60.0, 48, 2)
    for pairs in (still, anyhow, slow):
        assert not np.any(rhythm(pairs))


def test_long_clips_are_taken_in_stretches_that_reach_their_end() -> None:
    read, _ = reaches(22.0, 3 * WINDOW + 7, 1)
    for order in in_step(read):
        assert order[0][0].start == 0 and order[-1][0].stop == 3 * WINDOW + 7
        assert all(after.start < before.stop for (before, _), (after, _) in zip(order, order[1:], strict=False))
        assert all(np.any(product) and len(product) == part.stop - part.start for part, product in order)


def walking(count: int, stride: float) -> torch.Tensor:
    """(t, 2, j, 2) right in the middle of each crossing both legs stand still: which way they go on can't be told from how they came."""
    swing = torch.cos(2 * torch.pi * torch.arange(count) / stride) ** 3
    below = torch.linspace(1.0, 0.4, 4)
    return torch.stack([0.35 * torch.stack([swing, -swing], 1)[..., None] * below, 0.8 * below.expand(count, 2, 4)], -1)


def side_view(count: int, elevation: float) -> Solution:
    """An animal that goes to the picture's right, its right side to the camera (OpenCV axes), seen from above by so many radians."""
    level = torch.tensor([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    c, s = np.cos(elevation), np.sin(elevation)
    rotation = torch.tensor([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]], dtype=torch.float32) @ level
    rest = torch.zeros(len(TEMPLATE.points), 3)
    for joints in JOINTS.values():
        for joint in joints:
            rest[TEMPLATE.point_index[f"{joint}.L"], 0], rest[TEMPLATE.point_index[f"{joint}.R"], 0] = 0.4, -0.4
    return Solution(rotation.expand(count, 3, 3), torch.tensor([0.0, 0.0, 9.0]).expand(count, 3), torch.zeros(count, 1, 3), rest[None], 0.0)


def limbs_of(legs: torch.Tensor, turned: torch.Tensor, odds: float) -> Limbs:
    """legs (t, 2, j, 2), left first -> limbs, the right one first in the `turned` (t,) frames. odds: what each joint says of the names."""
    place = torch.where(turned[:, None, None, None], legs.flip(1), legs)
    named = torch.where(turned, -odds, odds)[:, None].expand(-1, 4)
    return Limbs(place, torch.full(place.shape[:3], 0.5), named.clone())


def test_legs_that_meet_go_on_in_rhythm() -> None:
    count, stride = 56, 26.0
    legs = walking(count, stride)
    turned = torch.rand(count, generator=torch.Generator().manual_seed(2)) < 0.5
    limbs = [limbs_of(legs, turned, 1.0), limbs_of(legs, ~turned, 1.0)]
    wrong = slice(7, 20)  # from one crossing to the next the names are mistaken
    for own in limbs:
        own.odds[wrong] *= -1.5
    focal = torch.full((count,), 4.5)
    clear = (legs[:, 0] - legs[:, 1]).norm(dim=-1).amax(1).numpy() > CLEAR
    for own, gait, truth in zip(limbs, find_gait(limbs, side_view(count, 0.0), focal, TEMPLATE), (turned, ~turned), strict=True):
        right = first_is_right(own, torch.zeros(count, 2), focal, gait)
        assert (right == truth.numpy())[clear].all()


@pytest.mark.parametrize("elevation", [0.15, -0.15])
def test_the_farther_leg_stands_higher_in_a_picture_from_above(elevation: float) -> None:
    count, start = 40, side_view(40, elevation)
    legs = walking(count, 18.0)
    legs[:, 0, :, 1] -= float(0.8 * np.sin(elevation)) * 4.5 / 9.0  # its left side is the farther one
    for turned in (False, True):
        limbs = [limbs_of(legs, torch.full((count,), turned), 0.0)] * 2
        focal = torch.full((count,), 4.5)
        gait = find_gait(limbs, start, focal, TEMPLATE)[0]
        assert sides_told(limbs[0].place.double().numpy(), np.ones(count), gait) * (-1 if turned else 1) > 0
        assert (first_is_right(limbs[0], torch.zeros(count, 2), focal, gait) == turned).mean() > 0.9
