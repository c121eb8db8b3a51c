"""Seconds left: first what was estimated, then what the progress itself says, and never a leap between the two."""

from __future__ import annotations

import pytest

from backend.service.seconds_left import TRUSTED, SecondsLeft

STEADY = 1.0
"""Seconds by which a job that goes evenly may be misjudged once the progress alone speaks."""


class Hand:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_known_before_there_is_an_estimate_or_progress() -> None:
    left = SecondsLeft(clock := Hand())
    assert left.at(0.0) is None
    clock.now += 5
    assert left.at(0.01) is None and left.at(0.1) == pytest.approx(45)


def test_the_estimate_is_the_first_answer_and_counts_down() -> None:
    left = SecondsLeft(clock := Hand())
    clock.now += 2  # reading the photo
    left.expect(18)
    assert left.at(0.03) == pytest.approx(18)
    clock.now += 1
    assert left.at(0.03) == pytest.approx(17, abs=1)


@pytest.mark.parametrize("estimate", [5.0, 40.0])
def test_progress_takes_over_from_a_wrong_estimate(estimate: float) -> None:
    left = SecondsLeft(clock := Hand())
    left.expect(estimate)
    steps, seconds = 100, 20.0
    answers = {}
    for step in range(1, steps + 1):
        clock.now += seconds / steps
        answers[step / steps] = left.at(step / steps)
    assert all(answer is not None for answer in answers.values())
    late = {done: answer for done, answer in answers.items() if done > 2 * TRUSTED}
    assert all(answer == pytest.approx(seconds * (1 - done), abs=STEADY) for done, answer in late.items())


def test_an_estimate_that_time_has_overtaken_says_nothing() -> None:
    left = SecondsLeft(clock := Hand())
    left.expect(8)
    clock.now += 9
    assert left.at(0.01) is None
