"""Where a heat map says that a point is."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.methods.fauna.heads import expectation

GRID = 32


def logits_of(masses: dict[tuple[int, int], float]) -> Tensor:
    """(1, 1, GRID, GRID) of (row, column) -> share of the mass; what is left over is spread evenly."""
    probability = torch.full((GRID, GRID), (1 - sum(masses.values())) / GRID**2)
    for cell, mass in masses.items():
        probability[cell] += mass
    return probability.log()[None, None]


def place_of(row: float, column: float) -> Tensor:
    return torch.tensor([column + 0.5, row + 0.5]) / GRID * 2 - 1


def test_a_point_lies_at_the_mean_of_its_candidate_alone() -> None:
    found, mass = expectation(logits_of({(10, 8): 0.3, (10, 9): 0.3, (10, 24): 0.25}))
    torch.testing.assert_close(found[0, 0], place_of(10, 8.5), atol=2e-3, rtol=0)
    torch.testing.assert_close(mass[0, 0], torch.tensor(0.6 + 0.15 * 25 / GRID**2), atol=1e-5, rtol=0)  # 5x5 cells of what is spread


def test_gradients_pull_mass_to_where_the_point_should_be() -> None:
    logits = logits_of({(10, 8): 0.4, (10, 9): 0.4}).requires_grad_(True)
    expectation(logits)[0][0, 0, 0].backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, 10, 9] > 0 > logits.grad[0, 0, 10, 8]
