"""What is held to be known of a creature while readings of the picture are tried against each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from backend.methods.fauna.fitting.creature import Parameters
from backend.methods.fauna.fitting.evidence import Evidence
from backend.methods.fauna.fitting.viewpoint import Solution

Settle = Callable[[Parameters, Evidence], Parameters]
"""What parameters go through before they are compared; may change what it is given."""

RIM = 2
"""Pixels from what is covered within which bare mask is an outline drawn a little too small."""


class Standing(NamedTuple):
    """p: the creature's parameters, aligned; solution: what they began from; evidence: the joints as they were read for it."""

    p: Parameters
    solution: Solution
    evidence: Evidence


def bare_patches(cover: Tensor, mask: Tensor, least_area: float) -> list[NDArray[np.bool_]]:
    """Coverage and mask (s, s) -> connected patches (s, s) of bare mask, the largest first. least_area: of a patch, over the mask's."""
    inside = mask.numpy() > 0.5
    labels, count = ndimage.label(inside & (ndimage.distance_transform_edt(~(cover.numpy() > 0.5)) > RIM))
    patches = [labels == number for number in range(1, count + 1)]
    large = [patch for patch in patches if patch.sum() >= least_area * inside.sum()]
    return sorted(large, key=lambda patch: -int(patch.sum()))
