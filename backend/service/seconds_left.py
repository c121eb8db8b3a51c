"""How long a job still takes: the estimate that was made before it, and more and more what its own progress says.

Enters an estimate (`expect`) and fractions done; leaves seconds. A bar's first tenths say little: loading is slow, and the
stages' shares are those of one machine. From `TRUSTED` of the bar on the progress alone speaks.
"""

from __future__ import annotations

import time
from collections.abc import Callable

TRUSTED = 0.3
"""Fraction done from which the estimate counts no more."""
LEAST_FRACTION, LEAST_SECONDS = 0.03, 0.5
"""Less progress, or less time, says nothing."""
NEW_SHARE = 0.3
"""Of a new total against those before: the number shown must not jump."""


class SecondsLeft:
    """One job's clock, started when it is made. clock: seconds, never backwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start = clock, clock()
        self._expected: float | None = None
        self._total: float | None = None

    def expect(self, seconds: float) -> None:
        """What is estimated to be left from now on, seconds."""
        self._expected = self._clock() - self._start + seconds

    def at(self, fraction: float) -> float | None:
        """Seconds left when `fraction`, 0..1, is done; None while nothing is known."""
        elapsed = self._clock() - self._start
        seen = elapsed / fraction if fraction >= LEAST_FRACTION and elapsed >= LEAST_SECONDS else None
        total = seen
        # An estimate that the clock has overtaken was wrong: it says nothing more.
        if self._expected is not None and elapsed < self._expected:
            trust = min(1.0, max(0.0, (fraction - LEAST_FRACTION) / (TRUSTED - LEAST_FRACTION)))
            total = self._expected if seen is None else (1 - trust) * self._expected + trust * seen
        if total is None:
            return None
        self._total = total if self._total is None else (1 - NEW_SHARE) * self._total + NEW_SHARE * total
        return max(0.0, self._total - elapsed)
