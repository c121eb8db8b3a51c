"""Which of the four viewpoints is kept: the best, the one asked for, the one that faces away from it; legs do not turn it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from backend.methods.fauna.fitting import viewpoint as fauna
from backend.methods.fauna.fitting.evidence import Evidence
from backend.methods.request import Request
from backend.rig.rotations import euler_to_matrix
from backend.rig.template import load_quadruped
from backend.types import Image
from tests.rig.animals import rest_points

BEST = 1
"""Whose view the lifted points have too."""
LOGITS = (3.0, 0.0, 2.0, 4.0)


class View:
    """Four hypotheses a quarter of a turn apart, whose joints are solved by looking at them; what was solved is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.template = load_quadruped()
        count = len(self.template.points)
        seen, lifted = torch.arange(2.0 * count).reshape(count, 2), torch.arange(3.0 * count).reshape(count, 3)
        sure = torch.ones(count)
        self.evidence = Evidence(torch.zeros(8, 8), seen, sure, lifted, sure, 1.0, torch.zeros(1, 3, 2), torch.zeros(1))
        turns = euler_to_matrix(torch.tensor([[0.0, np.pi / 2 * h, 0.0] for h in range(4)], dtype=torch.float32))
        viewpoints = SimpleNamespace(rotation=turns[None], translation=torch.zeros(1, 3), logits=torch.tensor([LOGITS]))
        rest = torch.from_numpy(rest_points().astype(np.float32))
        self.seen: Any = SimpleNamespace(viewpoints=viewpoints, rest=rest[None], lifted=(rest @ turns[BEST].T)[None])
        self.model: Any = SimpleNamespace(template=self.template, articulate=lambda *words: torch.zeros(1, 1, 3))
        self.last: Evidence | None = None
        monkeypatch.setattr(fauna, "solve_joints", self.solve)

    def solve(
        self, model: object, starts: list[fauna.Solution], evidence: Evidence, *words: object, **more: object
    ) -> list[fauna.Solution]:
        """With its legs swapped the animal is explained better by every other hypothesis, as real ones may be."""
        self.last = evidence
        swapped = not torch.equal(evidence.seen, self.evidence.seen)
        return [replace(start, energy=5.0 if swapped and float(start.rotation[0, 2]) > 0.5 else 0.0) for start in starts]

    def choose(self, **asked: Any) -> tuple[int, np.ndarray]:
        """-> the kept hypothesis and where its body points, (3,)."""
        request = Request(Image(np.zeros((8, 8, 3), np.uint8)), np.zeros((8, 8), np.float32), **asked)
        evidence = fauna.swap_legs(self.model, self.evidence) if request.swap_legs else self.evidence
        choice = fauna.choose_view(self.model, self.seen, evidence, request, 1.0, "")
        return choice.best, choice.options[choice.best].rotation[:, 2].numpy()


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> View:
    return View(monkeypatch)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("viewpoint", [None, 0, 1, 2, 3])
def test_facing_the_other_way_turns_what_was_chosen(view: View, viewpoint: int | None, swap: bool) -> None:
    index, ahead = view.choose(viewpoint=viewpoint, swap_legs=swap)
    assert index == (BEST if viewpoint is None else viewpoint)
    other, behind = view.choose(viewpoint=viewpoint, swap_legs=swap, flip_heading=True)
    assert other == (index + 2) % 4 and float(ahead @ behind) < -0.5


@pytest.mark.parametrize("flip", [False, True])
def test_swapping_legs_turns_nothing_and_is_fitted_with_the_legs_swapped(view: View, flip: bool) -> None:
    index, ahead = view.choose(flip_heading=flip)
    swapped, same = view.choose(flip_heading=flip, swap_legs=True)
    assert swapped == index and np.array_equal(same, ahead)
    assert view.last is not None and not torch.equal(view.last.seen, view.evidence.seen)
