"""Rest points of made-up quadrupeds of different build: the rig's tests share them. Object frame, metres of no animal."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.rig.skeleton import half_to_points
from backend.rig.template import load_quadruped

CENTRE = {
    "pelvis": (0.86, 0.0), "spine1": (0.87, 0.16), "spine2": (0.87, 0.33), "spine3": (0.87, 0.5), "chest": (0.88, 0.66),
    "withers": (0.92, 0.83), "neck_mid": (1.12, 0.98), "poll": (1.3, 1.1), "muzzle": (1.16, 1.45), "jaw_hinge": (1.2, 1.14),
    "chin": (1.09, 1.36), "tail0": (0.86, -0.165), "tail1": (0.78, -0.25), "tail2": (0.68, -0.29), "tail3": (0.58, -0.31),
    "tail4": (0.47, -0.32),
}  # fmt: skip
LEFT = {
    "ear_base": (0.06, 1.34, 1.1), "ear_tip": (0.13, 1.47, 1.08), "scapula": (0.1, 0.88, 0.78), "shoulder": (0.13, 0.65, 0.88),
    "elbow": (0.13, 0.5, 0.76), "wrist": (0.13, 0.28, 0.79), "front_knuckle": (0.13, 0.1, 0.78), "front_tip": (0.13, 0.04, 0.86),
    "hip": (0.12, 0.78, -0.04), "knee": (0.14, 0.52, 0.09), "hock": (0.14, 0.32, -0.12), "hind_knuckle": (0.14, 0.1, -0.08),
    "hind_tip": (0.14, 0.04, 0.01),
}  # fmt: skip
STRAIGHT = {
    "shoulder": (0.13, 0.7, 0.8), "elbow": (0.13, 0.5, 0.8), "wrist": (0.13, 0.28, 0.8), "front_knuckle": (0.13, 0.1, 0.8),
    "hip": (0.12, 0.78, -0.04), "knee": (0.125, 0.52, -0.04), "hock": (0.13, 0.32, -0.04), "hind_knuckle": (0.135, 0.1, -0.04),
}  # fmt: skip


def rest_points(build: str = "horse", scale: float = 1.0) -> NDArray[np.float64]:
    """(42, 3): "horse", "column" (straight legs, as an elephant's), "low" (short legs), "jitter" (an unsure network's)."""
    template = load_quadruped()
    centre = np.array([CENTRE[name] for name in template.centre_points])
    joints = LEFT | (STRAIGHT if build == "column" else {})
    left = np.array([joints[name] for name in template.paired_points])
    if build == "low":
        legs = left[:, 1] < 0.6
        left[legs, 1] *= 0.5
        left[~legs, 1] -= 0.3
        centre[:, 0] -= 0.3
    if build == "jitter":
        noise = np.random.default_rng(5)
        centre += noise.normal(size=centre.shape) * 0.03
        left += noise.normal(size=left.shape) * 0.03
    return np.asarray((half_to_points(torch.from_numpy(centre), torch.from_numpy(left)) * scale).numpy())
