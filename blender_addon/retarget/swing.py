"""How wide a leg's joints swing, and how a leg in the air makes up for what standing has cost them of it.

The swing of a joint is the range of its hinge's angle over the clip, that of the upper bone and of the whole leg (first joint to tip) the
range of their own angle seen from the side. A foot that is held swings its leg otherwise than the motion asks for; while it is in the
air its leg is free, so there each hinge bends a little more or less, in two smooth waves a step, until the swings are those that are
asked for and the foot is out of the ground.
"""

from __future__ import annotations

import numpy as np

from . import legs
from .limbs import Limb
from .rotations import Array, unit

LEAST_SWING = np.radians(12.0)
"""Below which a joint's own swing says nothing of how readily it may turn."""
NEAR_ENOUGH = 0.08
"""Share by which a joint's swing may differ from what is asked for."""
STEPS = tuple(np.radians([16.0, 8.0, 4.0, 2.0]))
"""Radians by which the waves' heights are tried, round by round."""
DEPTH_COUNTS = 5.0
"""How many times a foot's depth in the ground, in leg lengths, counts more than a swing's share."""
TURN_COUNTS = 0.08
"""How much a wave's height counts, radians against shares."""
Base = tuple[Array, Array]


def swings_of(limb: Limb, base: Base, angles: Array, up: Array) -> Array:
    """Angles (t, n, 3) -> (n + 1,) radians: upper bone, hinges, whole leg."""
    return many_swings(limb, base, angles[None], up)[0][0]


def many_swings(limb: Limb, base: Base, angles: Array, up: Array) -> tuple[Array, Array]:
    """Angles (c, t, n, 3) -> (c, n + 1) radians as above, and (c, t, n + 1) heights of the joints and of the held tip."""
    tries, count, bones = angles.shape[:3]
    again = np.tile(np.arange(count), tries)
    leg, hung = limb.leg.of(again), (base[0][again], base[1][again])
    _, heads, tip = legs.stand(leg, hung, angles.reshape(tries * count, bones, 3))
    across = hung[0][..., 0]  # the upper bone's bend axis at rest, as what it hangs on is turned: to the right
    forward = np.cross(up, unit(across - (across @ up)[:, None] * up))
    ways = np.stack([heads[1] - heads[0], tip - heads[0]], 1)  # (c t, 2, 3)
    own = np.arctan2((ways * forward[:, None]).sum(-1), -(ways @ up)).reshape(tries, count, 2)
    heights = np.stack([*(head @ up for head in heads), tip @ up], 1).reshape(tries, count, bones + 1)
    ranges = np.ptp(np.unwrap(own, axis=1), axis=1)
    return np.concatenate([ranges[:, :1], np.ptp(angles[:, :, 1:, 0], axis=1), ranges[:, 1:]], 1), heights


def fitted(
    limb: Limb, base: Base, angles: Array, asked: Array, share: Array, free: Array, lowest: Array, up: Array, length: float
) -> Array:
    """Angles (t, n, 3) with waves in the air that bring the swings near to those asked for (n + 1,). share (t,): 0..1 through each step in
    the air; free (t,): how much it may; lowest (t, n + 1): heights that joints and tip shall keep; length: of a leg."""
    waves = np.stack([np.sin(np.pi * share), np.sin(2 * np.pi * share)], 1) * free[:, None]  # (t, 2)
    bones = angles.shape[1]
    heights = np.zeros((bones, 2))

    def tried(candidates: Array) -> Array:
        """(c, n, 2) heights of the waves -> (c, t, n, 3)."""
        turned = np.tile(angles, (len(candidates), 1, 1, 1))
        turned[..., 0] += np.einsum("cnw,tw->ctn", candidates, waves)
        return legs.clamped(turned, limb.leg.limits)

    counts = np.ones(bones + 1)
    counts[bones - 1] = 0.2  # a toe's own angle follows its foot
    for step in STEPS:
        for bone in range(bones):
            for wave in range(2):
                candidates = np.tile(heights, (5, 1, 1))
                candidates[:, bone, wave] += np.arange(-2, 3) * step
                ranges, places = many_swings(limb, base, tried(candidates), up)
                off = np.maximum(np.abs(ranges / asked - 1) - NEAR_ENOUGH, 0)
                depth = np.maximum(lowest - places, 0).max((1, 2)) / length
                cost = (counts * off**2).sum(1) + (DEPTH_COUNTS * depth) ** 2 + ((TURN_COUNTS * candidates) ** 2).sum((1, 2))
                heights = candidates[cost.argmin()]
    return tried(heights[None])[0]
