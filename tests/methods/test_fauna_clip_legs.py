"""Legs that cross in the picture keep their names, whatever single frames say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.methods.fauna.clip.flank import Flank
from backend.methods.fauna.clip.gait import Gait
from backend.methods.fauna.clip.legs import APART, WINDOW, best_signs, first_is_right, turn_stretches
from backend.methods.fauna.fitting.limbs import AT_ONCE, JOINTS, Limbs, find_limbs, find_peaks, lift_again, read_as
from backend.rig.template import load_quadruped

TEMPLATE = load_quadruped()
GRID = 32
CELL = 2 / GRID
SPREAD = 0.8
"""Cells by which a peak spreads."""
FRAMES = 44
LIKELIER, LESS = 0.55, 0.45
"""Shares of the two legs in the heat of one of them: hardly told apart."""
NEAR = CELL
"""Half widths within which a joint is read at its leg."""
GIRDLE = torch.tensor([0.0, -0.3])


def spot(place: Tensor) -> Tensor:
    """Places (..., 2) in [-1, 1] -> (..., g, g) a peak of mass one."""
    cell = (torch.arange(GRID) + 0.5) * CELL - 1
    away = (cell - place[..., :1, None]).square() + (cell[:, None] - place[..., 1:, None]).square()
    return torch.softmax((-away / (2 * (SPREAD * CELL) ** 2)).flatten(-2), -1).unflatten(-1, (GRID, GRID))


def swinging(stride: float, pair: str) -> Tensor:
    """(t, 2, j, 2): joints, from the ground up, of a left and a right leg that hang from GIRDLE and swing half a stride apart."""
    phase = 2 * torch.pi * torch.arange(FRAMES) / stride
    ahead = 0.3 * torch.stack([phase.sin(), -phase.sin()], 1)  # (t, 2)
    below = torch.linspace(1.0, 0.4, len(JOINTS[pair]))
    return GIRDLE + torch.stack([ahead[..., None] * below, 0.8 * below.expand(FRAMES, 2, -1)], -1)


def heats(legs: Tensor, wrong: Tensor, pair: str) -> tuple[Tensor, Tensor, Tensor]:
    """Heat (t, P, g, g) logits, seen (t, P, 2), confidence (t, P): both joints' heats have both peaks, the likelier one at the joint's own
    leg but in the `wrong` (t,) frames, where both joints are read at the other's."""
    heat = torch.zeros(FRAMES, len(TEMPLATE.points), GRID, GRID)
    seen, confidence = torch.zeros(FRAMES, len(TEMPLATE.points), 2), torch.ones(FRAMES, len(TEMPLATE.points))
    peaks = spot(legs)  # (t, 2, j, g, g)
    for number, joint in enumerate(JOINTS[pair]):
        for side in range(2):
            own = torch.where(wrong, 1 - side, side)
            rows = torch.arange(FRAMES)
            point = TEMPLATE.point_index[f"{joint}.{'LR'[side]}"]
            mixed = LIKELIER * peaks[rows, own, number] + LESS * peaks[rows, 1 - own, number]
            heat[:, point] = mixed.clamp_min(1e-9).log()
            seen[:, point], confidence[:, point] = legs[rows, own, number], LIKELIER
    return heat, seen, confidence


def read(legs: Tensor, wrong: Tensor, pair: str) -> tuple[Tensor, np.ndarray]:
    """-> joints (t, 2, j, 2) as they are read of left and right, and (t,) whether each frame's first limb is the right one."""
    heat, seen, confidence = heats(legs, wrong, pair)
    limbs = find_limbs(heat, seen, confidence, TEMPLATE, pair)
    right = first_is_right(limbs, GIRDLE.expand(FRAMES, 2), torch.ones(FRAMES))
    found, _ = read_as(limbs, torch.from_numpy(right), seen, confidence, TEMPLATE, pair)
    points = [[TEMPLATE.point_index[f"{joint}.{side}"] for joint in JOINTS[pair]] for side in "LR"]
    return found[:, points], right


def test_peaks_are_placed_within_a_third_of_a_cell() -> None:
    dice = torch.Generator().manual_seed(3)
    first = torch.rand(64, 2, generator=dice) * 0.6 - 0.8
    second = first + torch.rand(64, 2, generator=dice) * 0.4 + 6 * CELL  # farther than peaks reach
    place, mass = find_peaks(0.6 * spot(first) + 0.4 * spot(second))
    assert float((place - torch.stack([first, second], 1)).abs().max()) < CELL / 3
    torch.testing.assert_close(mass, torch.tensor([[0.6, 0.4]]).expand(64, 2), atol=0.03, rtol=0)


@pytest.mark.parametrize("pair", list(JOINTS))
@pytest.mark.parametrize("stride", [23.0, 28.6])
def test_legs_that_cross_keep_their_names_in_every_frame(pair: str, stride: float) -> None:
    legs = swinging(stride, pair)
    wrong = torch.rand(FRAMES, generator=torch.Generator().manual_seed(int(stride))) < 0.3
    apart = (legs[:, 0] - legs[:, 1]).norm(dim=-1)  # (t, j)
    crossings = int((legs[:, 0, 0, 0].diff().sign().diff() != 0).sum())
    assert crossings >= 3 and int((wrong & (apart[:, 0] > APART)).sum()) >= 5
    found, _ = read(legs, wrong, pair)
    off = (found - legs).norm(dim=-1).amax(1)  # (t, j)
    assert (off[apart > 6 * CELL] < NEAR).all()
    assert (off[apart > 2 * NEAR] < apart[apart > 2 * NEAR] / 2).all()  # nearer to its own than to the other's


def test_mistakes_that_last_some_frames_are_mended() -> None:
    legs = swinging(17.3, "hind")
    wrong = (torch.arange(FRAMES) >= 10) & (torch.arange(FRAMES) < 17)
    found, _ = read(legs, wrong, "hind")
    off, apart = (found - legs).norm(dim=-1).amax(1), (legs[:, 0] - legs[:, 1]).norm(dim=-1)
    assert (off[apart > 2 * NEAR] < apart[apart > 2 * NEAR] / 2).all()


def test_all_heats_together_say_which_leg_is_the_left_one() -> None:
    legs = swinging(17.3, "front")
    right, mirrored = (read(legs, torch.full((FRAMES,), wrong), "front")[0] for wrong in (False, True))
    apart = (legs[:, 0] - legs[:, 1]).norm(dim=-1)[..., None].transpose(1, 2) > 6 * CELL
    assert apart.any()
    torch.testing.assert_close(mirrored, right.flip(1), atol=1e-4, rtol=0)


def test_legs_that_are_one_in_the_picture_say_nothing() -> None:
    legs = swinging(17.3, "hind")
    one = legs[:, :1].expand(-1, 2, -1, -1)
    heat, seen, confidence = heats(one, torch.zeros(FRAMES, dtype=torch.bool), "hind")
    limbs = find_limbs(heat, seen, confidence, TEMPLATE, "hind")
    torch.testing.assert_close(limbs.place[:, 0], limbs.place[:, 1])
    assert float(limbs.odds.abs().max()) == 0
    right = torch.from_numpy(first_is_right(limbs, GIRDLE.expand(FRAMES, 2), torch.ones(FRAMES)))
    found, sure = read_as(limbs, right, seen, confidence, TEMPLATE, "hind")
    torch.testing.assert_close(found, seen)
    torch.testing.assert_close(sure, confidence)


@pytest.mark.parametrize(("near", "goes"), [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)])
def test_of_legs_that_look_alike_the_near_one_is_the_one_that_the_skin_goes_with(near: float, goes: float) -> None:
    legs = swinging(23.0, "hind")
    limbs = Limbs(legs, torch.full(legs.shape[:3], 0.5), torch.zeros(FRAMES, legs.shape[2]))
    flat = np.tile([0.0, -1.0], (FRAMES, 1))
    gait = Gait([], flat, np.zeros(FRAMES))
    first = legs[:, 0, :3, 0].mean(1).double().numpy()
    flank = Flank(0.3 * goes * np.diff(first), np.tile([1.0, 0.0], (FRAMES - 1, 1)), near)
    right = first_is_right(limbs, GIRDLE.expand(FRAMES, 2), torch.ones(FRAMES), gait, flank)
    assert (right == (near * goes < 0)).all()


def test_one_or_two_frames_are_told_apart_by_their_heats() -> None:
    legs = swinging(17.3, "hind")
    heat, seen, confidence = heats(legs, torch.zeros(FRAMES, dtype=torch.bool), "hind")
    some = [4, 5]
    for rows in (some[:1], some):
        limbs = find_limbs(heat[rows], seen[rows], confidence[rows], TEMPLATE, "hind")
        right = torch.from_numpy(first_is_right(limbs, GIRDLE.expand(len(rows), 2), torch.ones(len(rows))))
        found, _ = read_as(limbs, right, seen[rows], confidence[rows], TEMPLATE, "hind")
        tips = [TEMPLATE.point_index[f"hind_tip.{side}"] for side in "LR"]
        assert float((found[:, tips] - legs[rows, :, 0]).norm(dim=-1).max()) < NEAR


@pytest.mark.parametrize("seed", range(4))
def test_the_beam_finds_the_best_signs_of_all(seed: int) -> None:
    dice = np.random.default_rng(seed)
    count = 9
    basis = dice.normal(size=(count, 3))
    form, odds = basis @ basis.T, dice.normal(size=count)
    every = np.array(np.meshgrid(*[[-1.0, 1.0]] * count)).reshape(count, -1).T  # (2^n, n)
    costs = ((every @ form) * every).sum(1) - 2 * every @ odds
    found = best_signs(form, 2 * odds)
    assert float(found @ form @ found - 2 * found @ odds) == pytest.approx(float(costs.min()))


def test_stretches_between_frames_that_say_nothing_are_put_right_together() -> None:
    stretches, silent, count = 8, 6, 120
    told = (np.arange(count) % (count // stretches) >= silent).astype(float)
    pull = -np.outer(told, told) + np.diag(told) - 1e-4 * np.eye(count, k=1) - 1e-4 * np.eye(count, k=-1)
    odds = np.zeros(count)
    best = np.ones(count)
    wrong = np.where((np.arange(count) // (count // stretches)) % 2 == 0, 1.0, -1.0)  # each stretch by itself is well told
    found = turn_stretches(wrong, pull, odds)
    assert abs(found.sum()) == count and found @ pull @ found == pytest.approx(best @ pull @ best)


def test_a_long_clip_is_put_right_window_by_window() -> None:
    count, dice = WINDOW + WINDOW // 2 + 7, np.random.default_rng(3)
    true = np.where(dice.random(count) < 0.5, -1.0, 1.0)
    near = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) <= 3
    form = -np.outer(true, true) * near
    found = best_signs(form, 0.1 * true)
    assert np.array_equal(found, true)


def test_however_long_the_clip_few_frames_are_lifted_at_once() -> None:
    sizes = []

    def lifting(seen: Tensor, confidence: Tensor, like: Tensor, tokens: None) -> tuple[Tensor, Tensor]:
        sizes.append(len(seen))
        deep = torch.cat([seen, confidence[..., None]], -1)
        return deep, like + deep

    head = SimpleNamespace(mirrored=lambda change: 2 * change)
    model: Any = SimpleNamespace(netInstance=SimpleNamespace(netLifting=lifting, netRest=head))
    count, dice = 2 * AT_ONCE + 7, torch.Generator().manual_seed(1)
    like = torch.rand(count, 5, 3, generator=dice)
    before, after = ((torch.rand(count, 5, 2, generator=dice), torch.rand(count, 5, generator=dice)) for _ in range(2))
    moved, rest = lift_again(model, like, before, after)
    assert max(sizes) == AT_ONCE and sum(sizes) == 2 * count
    deep = [torch.cat([seen, confidence[..., None]], -1) for seen, confidence in (before, after)]
    assert torch.equal(moved, deep[1] - deep[0])
    assert torch.equal(rest[-1:], lift_again(model, like[-1:], *((seen[-1:], sure[-1:]) for seen, sure in (before, after)))[1])
