"""How the bones of a part follow one another along it: a step of weight at each joint.

Enters: a skeleton and vertices on the fold x >= 0. Leaves: each bone's share of each vertex, sum 1. At each joint a smooth step runs
across the plane that halves the joint, so the joint's own section is half and half and keeps cos(bend / 2) of its area; the step
widens with the distance from the hinge, most on the side that is pressed together, so nothing folds over and little volume is lost
(`folding_step`). What that leaves to be done is done by `bends`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.rig.checks import CROUCH_SIGNS
from backend.rig.names import parse_name
from backend.rig.skeleton import rest_matrices
from backend.rig.territory import inscribed_radius
from backend.types import Skeleton

Array = NDArray[np.float64]

FOLD_PRESSURE = 0.8
"""Share of the steepest step without folding that `folding_step` takes: less is wider and loses more volume."""
BEND_WIDTH = 0.5
"""Half width of the ramp at a joint, in distances from the bone, where it is bent by 40 degrees at most or skin is stretched. A turn
by a presses skin at depth q together by 2 q sin(a / 2) w' against cos(a / 2) that is left of it, so w' must stay below 1.37 / q
at 40 degrees; the ramp's steepest slope is 0.59 over its half width. Wider would lose volume."""
ROUNDED = 0.15
"""Of the ramp, at either end."""
LEAST_WIDTH = 0.35
"""Half width at the hinge itself, in inscribed radii."""
BONE_SHARE, FOLD_SHARE = 0.45, 0.9
"""Largest half width, in the shorter of the two bones' lengths: of other joints, and of those that fold."""


def along_chain(skeleton: Skeleton, vertices: Array, bones: list[int]) -> Array:
    """(v, n) shares of n bones in a row, sum 1, at vertices (v, 3) with x >= 0."""
    result = np.ones((len(vertices), len(bones)))
    tree = cKDTree(vertices)
    for place in range(1, len(bones)):
        step = _joint_step(skeleton, vertices, bones[place - 1], bones[place], tree)
        result[:, place - 1] *= 1 - step
        result[:, place:] *= step[:, None]
    return result


def _joint_step(skeleton: Skeleton, vertices: Array, above: int, bone: int, tree: cKDTree) -> Array:
    """(v,) share of the bone below the joint between two bones. tree: of the vertices (v, 3)."""
    frames = rest_matrices(skeleton)[[above, bone]]
    normal = frames[0, :3, 1] + frames[1, :3, 1]
    normal /= np.linalg.norm(normal).clip(1e-9)
    offset = vertices - frames[1, :3, 3]
    height = offset @ normal
    base, side = parse_name(skeleton.names[bone]).base, parse_name(skeleton.names[bone]).side
    shorter = float(np.linalg.norm(skeleton.tails[[above, bone]] - skeleton.heads[[above, bone]], axis=1).min())
    if not side:
        return ramp(height / (2 * BONE_SHARE * shorter) + 0.5)
    sign = CROUCH_SIGNS.get(base, 1.0)
    pressed = [sign * offset @ np.cross(frames[1, :3, 0], frame[:3, 1]) for frame in frames]
    depth = np.where(height < 0, pressed[0], pressed[1])  # from the bone, towards the side that a fold presses
    folds = (depth > 0) & (base in CROUCH_SIGNS)
    slope = np.where(folds, FOLD_REACH, BEND_WIDTH)
    radius = float(inscribed_radius(frames[1, None, :3, 3], tree)[0])
    most = shorter * (FOLD_SHARE if base in CROUCH_SIGNS else BONE_SHARE)
    # Where the limb is bent at rest its skin runs aslant to the plane's normal.
    aslant = float(frames[1, :3, 1] @ normal)
    width = aslant * np.minimum(np.hypot(slope * depth, LEAST_WIDTH * radius), most)
    return np.where(folds, folding_step(height / width), ramp(height / (2 * width) + 0.5))


def _steepest_step() -> tuple[Array, Array]:
    """Places x >= 0, in depths, and the step there: the solution of w' = c (1 - 2 w (1 - w)) / (1 - x (2 w - 1)), w(0) = 1/2.

    A right angle's blended matrix at weight w shrinks skin along the bone by 1 - 2 w (1 - w), and the step itself presses skin
    at depth 1 together by w' (1 - x (2 w - 1)): with c = FOLD_PRESSURE = 1 the pressed skin would just be creased to a point.
    """
    places, step = [0.0], [0.5]
    while step[-1] < 1:
        x, w = places[-1], step[-1]
        places.append(x + 1e-3)
        step.append(w + 1e-3 * FOLD_PRESSURE * (1 - 2 * w * (1 - w)) / (1 - x * (2 * w - 1)))
    return np.array(places), np.minimum(step, 1.0)


FOLD_PLACES, FOLD_STEP = _steepest_step()
FOLD_REACH = float(FOLD_PLACES[-1])
"""Half width of `folding_step` in distances from the bone."""


def folding_step(x: Array) -> Array:
    """0 below -1, 1 above 1: the narrowest step that lets pressed skin survive a right angle (`_steepest_step`), over its half width."""
    half = np.interp(np.abs(x) * FOLD_REACH, FOLD_PLACES, FOLD_STEP)
    return np.asarray(np.where(x < 0, 1 - half, half))


def smooth_step(x: Array) -> Array:
    """0 below 0, 1 above 1, 3x^2 - 2x^3 between."""
    x = x.clip(0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def ramp(x: Array) -> Array:
    """0 below 0, 1 above 1, straight between but for the first and last ROUNDED of the way."""
    x = x.clip(0, 1)
    low = np.minimum(x, 1 - x)
    rise = np.where(low < ROUNDED, low * low / (2 * ROUNDED), low - ROUNDED / 2) / (1 - ROUNDED)
    return np.asarray(np.where(x < 0.5, rise, 1 - rise))
