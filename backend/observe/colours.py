"""Colours of an animal and of what is around it, learnt from frame to frame: which of the two a pixel's colour speaks for, and how like
another thing's colours are to the animal's.

Histograms of 16 x 16 x 16 colours, smoothed; what was learnt fades, so that the light may change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.types import ByteArray, FloatArray

LEVELS = 16
FADE = 0.9
"""Of what was learnt, a frame."""
SPREAD = 0.7
"""Standard deviation of the smoothing, in levels."""
FLOOR = 1e-4
"""Share below which a colour says nothing."""
MOST = 2.0
"""Odds that a colour gives at most."""


def _empty() -> FloatArray:
    return np.zeros(LEVELS**3, np.float32)


@dataclass(frozen=True)
class Colours:
    """animal, around, others: (4096,) how much of each colour was seen there; own: (4096,) the animal's over all the time, unfaded."""

    animal: FloatArray = field(default_factory=_empty)
    around: FloatArray = field(default_factory=_empty)
    others: FloatArray = field(default_factory=_empty)
    own: FloatArray = field(default_factory=_empty)

    def learn(
        self, rgb: ByteArray, inside: NDArray[np.bool_], outside: NDArray[np.bool_], others: NDArray[np.bool_]
    ) -> Colours:
        """After one frame more. rgb: (h, w, 3); inside, outside, others: (h, w) where the animal, what is around it, and others are."""
        codes = _codes(rgb)
        own = _share(codes[inside])
        return Colours(
            FADE * self.animal + own,
            FADE * self.around + _share(codes[outside]),
            FADE * self.others + _share(codes[others]) if others.any() else self.others,
            self.own + own,
        )

    def odds(self, rgb: ByteArray) -> FloatArray:
        """(h, w): positive where the colour speaks for the animal. rgb: (h, w, 3)."""
        return _odds(self.animal, self.around, rgb)

    def odds_against_others(self, rgb: ByteArray) -> FloatArray:
        """(h, w): positive where the colour speaks for the animal rather than for the other animals seen so far."""
        return _odds(self.own, self.others, rgb)

    def likeness(self, rgb: ByteArray, inside: NDArray[np.bool_]) -> float:
        """Bhattacharyya coefficient of a thing's colours and the animal's: 0 nothing in common, 1 the same."""
        return float(np.sqrt(_smooth(self.own) * _smooth(_share(_codes(rgb)[inside]))).sum())


def _odds(one: FloatArray, other: FloatArray, rgb: ByteArray) -> FloatArray:
    ratio = np.log((_smooth(one) + FLOOR) / (_smooth(other) + FLOOR))
    return np.asarray(np.clip(ratio, -MOST, MOST)[_codes(rgb)], np.float32)


def _codes(rgb: ByteArray) -> NDArray[np.int32]:
    levels = rgb.astype(np.int32) // (256 // LEVELS)
    return np.asarray((levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2])


def _share(codes: NDArray[np.int32]) -> FloatArray:
    return np.asarray(np.bincount(codes.ravel(), minlength=LEVELS**3) / max(1, codes.size), np.float32)


def _smooth(counts: FloatArray) -> FloatArray:
    spread = ndimage.gaussian_filter(counts.reshape(LEVELS, LEVELS, LEVELS), SPREAD, mode="nearest").ravel()
    return np.asarray(spread / max(float(spread.sum()), 1e-12), np.float32)
