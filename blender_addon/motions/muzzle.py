"""A head that comes down to the ground: neck and head turned so that the muzzle is as near to the ground as the source's. numpy.

Only heights count: where the source's muzzle is near the ground, the target's gets to the same height in leg lengths, by as little
as neck and head need turn about their bend axes; elsewhere it is only kept out of the ground.
"""

from __future__ import annotations

import numpy as np

from ..retarget.rotations import from_angles
from ..scene.asset_file import Array
from .legs import clamped
from .rig import Target, pose

NECK = ("neck.001", "neck.002", "head")
NEAR = 0.45
"""Leg lengths over the ground below which the muzzle's height counts; from half of that on it counts in full."""
CLEAR = 0.04
"""Leg lengths that a muzzle keeps above the ground: its flesh."""
ROUNDS = 12
HALVINGS = 10
DAMPING = 1e-3
"""Of the squared length of neck and head."""
LARGEST_STEP = 0.15
"""Radians a round."""


def muzzle_heights(target: Target, local: Array, hips: Array) -> Array:
    """(t,) of the head's tip."""
    turned, places = pose(target, local, hips)
    head = target.index["head"]
    return np.asarray((places[:, head] + turned[:, head, :, 1] * target.lengths[head])[:, 2])


def sunk_flesh(target: Target, local: Array, hips: Array) -> Array:
    """(t,) how deep the flesh of head and jaw is in the ground on which the animal rests."""
    turned, places = pose(target, local, hips)
    sunk = np.zeros(len(local))
    for name in ("head", "jaw"):
        if name in target.flesh:
            bone = target.index[name]
            away = (target.flesh[name] - target.rest[bone, :3, 3]) @ target.rest[bone, :3, :3]  # (k, 3) in the bone's own axes
            lowest = (turned[:, bone, 2] @ away.T).min(-1) + places[:, bone, 2]
            sunk = np.maximum(sunk, -lowest)
    return sunk


def wanted_heights(own: Array, source: Array) -> Array:
    """Heights of the target's muzzle and of the source's (t,), both in leg lengths -> what the target's shall be."""
    weight = np.clip((NEAR - source) / (NEAR / 2), 0, 1)
    weight = weight * weight * (3 - 2 * weight)
    return np.maximum((1 - weight) * own + weight * source, CLEAR)


def bring_down(target: Target, angles: Array, hips: Array, limits: Array, wanted: Array) -> Array:
    """Angles (t, b, 3) with the muzzle at heights (t,), as far as limits (b, 3, 2) let neck and head."""
    if any(name not in target.index for name in NECK):
        return angles
    bones = [target.index[name] for name in NECK]
    reach = float(target.lengths[bones].sum())
    bent = held_up(target, angles, hips, wanted, bones)
    for _ in range(ROUNDS):
        turned, places = pose(target, from_angles(bent), hips)
        muzzle = places[:, bones[-1]] + turned[:, bones[-1], :, 1] * target.lengths[bones[-1]]
        lack = wanted - muzzle[:, 2]
        if np.abs(lack).max() < 1e-4 * reach:
            break
        rises = np.empty((len(angles), len(bones)))
        for column, bone in enumerate(bones):
            parent = int(target.parents[bone])
            axis = (turned[:, parent] @ target.rest[parent, :3, :3].T @ target.rest[bone, :3, :3])[..., 0]
            rises[:, column] = np.cross(axis, muzzle - places[:, bone])[:, 2]
        change = rises * (lack / ((rises**2).sum(1) + DAMPING * reach**2))[:, None]
        bent[:, bones, 0] += np.clip(change, -LARGEST_STEP, LARGEST_STEP)
        bent[:, bones] = clamped(bent[:, bones], limits[bones])
    return bent


def held_up(target: Target, angles: Array, hips: Array, wanted: Array, bones: list[int]) -> Array:
    """Angles (t, b, 3) with neck and head bent down less where the muzzle would be lower than wanted (t,): a short neck need not go far."""
    least, most = np.zeros(len(angles)), np.ones(len(angles))
    low = muzzle_heights(target, from_angles(angles), hips) < wanted
    for _ in range(HALVINGS):
        share = (least + most) / 2
        tried = angles.copy()
        tried[:, bones] *= share[:, None, None]
        high = muzzle_heights(target, from_angles(tried), hips) >= wanted
        least, most = np.where(high, share, least), np.where(high, most, share)
    eased = angles.copy()
    eased[:, bones] *= np.where(low, least, 1.0)[:, None, None]
    return eased
