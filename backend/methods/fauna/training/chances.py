"""How often each picture is learnt from: oftener where species never trained are off most.

These are views from behind, and animals that sit or lie.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.rig.template import load_quadruped
from backend.types import FloatArray

AWAY = 1.0
"""How much oftener an animal seen right from behind is drawn than one seen from the side or the front."""
FOLDED = 1.0
"""How much oftener one that lies is drawn than one that stands."""
STRETCHED, LYING = 0.88, 0.65
"""Straight distance of a leg's ends over that at rest, mean of the four, from which and up to which it counts."""
LEGS = tuple((upper + side, lower + side) for upper, lower in (("scapula", "front_tip"), ("hip", "hind_tip")) for side in (".L", ".R"))


def chances(forward: FloatArray, points: FloatArray, rest: FloatArray) -> NDArray[np.float64]:
    """(N,) of N pictures, sum 1.

    forward: (N, 3) of the animal, OpenGL camera frame; points, rest: (N, 42, 3) posed and at rest.
    """
    away = 1 + AWAY * np.maximum(-forward[:, 2].astype(np.float64), 0)
    folded = np.clip((STRETCHED - leg_reach(points) / leg_reach(rest)) / (STRETCHED - LYING), 0, 1)
    weight = away * (1 + FOLDED * folded)
    return np.asarray(weight / weight.sum())


def leg_reach(points: FloatArray) -> NDArray[np.float64]:
    """(N, 42, 3) -> (N,) straight distance between a leg's ends, mean of the four."""
    at = load_quadruped().point_index
    ends = [points[:, at[upper]].astype(np.float64) - points[:, at[lower]] for upper, lower in LEGS]
    return np.asarray(np.linalg.norm(ends, axis=-1).mean(0))
