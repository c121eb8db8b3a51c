"""Where two legs were taken for one, the bare leg is found in the mask and read from the second peak."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from backend.methods.fauna.fitting.evidence import Evidence, Pins, bone_limits, sideways_stiffness
from backend.methods.fauna.fitting.feet import low_patches, other_readings
from backend.rig.template import load_quadruped

TEMPLATE = load_quadruped()
SIZE, GRID = 160, 32
LEFT, RIGHT = (TEMPLATE.point_index[f"hind_tip.{side}"] for side in "LR")


def animal() -> tuple[torch.Tensor, torch.Tensor]:
    """A mask of a trunk on three legs, and the coverage of a creature that hasn't got the last one."""
    mask = torch.zeros(SIZE, SIZE)
    mask[40:90, 20:140] = 1
    for column in (30, 60, 120):
        mask[90:150, column : column + 12] = 1
    cover = mask.clone()
    cover[90:150, 120:132] = 0
    return mask, cover


def test_a_leg_that_nothing_covers_is_found() -> None:
    mask, cover = animal()
    [patch] = low_patches(cover, mask)
    rows, columns = torch.nonzero(patch, as_tuple=True)
    assert 90 <= rows.min() and rows.max() < 150
    assert 120 <= columns.min() and columns.max() < 132


@pytest.mark.parametrize("bare", [(slice(40, 60), slice(60, 100)), (slice(90, 150), slice(70, 72)), (slice(145, 150), slice(120, 127))])
def test_what_is_high_up_or_a_rim_or_next_to_nothing_is_no_leg(bare: tuple[slice, slice]) -> None:
    mask, _ = animal()
    cover = mask.clone()
    cover[bare] = 0
    assert low_patches(cover, mask) == []


def evidence() -> Evidence:
    count = len(TEMPLATE.points)
    return Evidence(
        torch.zeros(SIZE, SIZE), torch.zeros(count, 2), torch.ones(count), torch.zeros(count, 3), torch.ones(count), 4.0,
        bone_limits(TEMPLATE), sideways_stiffness(TEMPLATE),
    )  # fmt: skip


def heat(second: dict[int, float]) -> torch.Tensor:
    """(P, g, g): every joint at the picture's left, those named with so much of their probability at the bare leg's foot."""
    probability = torch.full((len(TEMPLATE.points), GRID, GRID), 1e-6)
    probability[:, 28, 5] = 1.0
    for point, share in second.items():
        probability[point, 28, 5] = 1 - share
        probability[point, 28, 25] = share
    return probability.log()


def test_the_likelier_leg_is_read_at_the_bare_place_and_its_joints_without_a_peak_there_are_not_seen() -> None:
    mask, cover = animal()
    [patch] = low_patches(cover, mask)
    first, second = other_readings(evidence(), heat({LEFT: 0.3, RIGHT: 0.1}), patch, TEMPLATE)
    place = torch.tensor([25.5, 28.5]) / GRID * 2 - 1
    for reading, tip in ((first, LEFT), (second, RIGHT)):
        torch.testing.assert_close(reading.seen[tip], place, atol=0.01, rtol=0)
        assert reading.confidence[tip] > 0.9
        lower = [TEMPLATE.point_index[f"{joint}.{'L' if tip == LEFT else 'R'}"] for joint in ("knee", "hock", "hind_knuckle")]
        assert reading.confidence[lower].tolist() == [0, 0, 0]
        moved = {*lower, tip}
        assert {i for i in range(len(TEMPLATE.points)) if reading.lifted_confidence[i] == 0} == moved
        assert all(reading.confidence[i] == 1 for i in range(len(TEMPLATE.points)) if i not in moved)


def test_a_pinned_leg_is_not_looked_for_elsewhere() -> None:
    mask, cover = animal()
    [patch] = low_patches(cover, mask)
    pinned = replace(evidence(), pins=Pins(torch.tensor([TEMPLATE.point_index["hock.L"]]), torch.zeros(1, 2)))
    [reading] = other_readings(pinned, heat({LEFT: 0.3, RIGHT: 0.1}), patch, TEMPLATE)
    assert reading.confidence[LEFT] == 1 and reading.lifted_confidence[RIGHT] == 0


def test_no_leg_is_read_where_no_leg_has_a_peak() -> None:
    mask, cover = animal()
    [patch] = low_patches(cover, mask)
    assert list(other_readings(evidence(), heat({LEFT: 0.01}), patch, TEMPLATE)) == []
