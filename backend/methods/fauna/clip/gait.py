"""The gait: how far apart, along the body, the legs of a pair are from frame to frame.

Legs that walk, trot or run change places once in half a stride, each pair in one rhythm with the other. Which leg is which is not known
here, only how far one is before the other; so the rhythm is found of distances without their signs. It says where legs that meet in the
picture pass each other and where they part again as they came, which is hard to tell where both look alike. Distances in half widths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.fitting.limbs import JOINTS, Limbs
from backend.methods.fauna.fitting.viewpoint import Solution
from backend.rig.template import Template

Array = NDArray[np.float64]

READ = 3
"""Joints from the ground up whose mean distance is a pair's: what is above them hardly swings."""
PERIODS = np.append(np.exp(np.linspace(np.log(8.0), np.log(72.0), 64)), 1e9)
"""Frames of a stride that are tried; the last stands still."""
PHASES = np.arange(24) * (2 * np.pi / 24)
SWINGS = np.linspace(0.04, 0.6, 15)
FARTHEST = 0.25
"""What a frame is off by at most: legs that were read wrong say no more against a rhythm."""
WINDOW = 64
"""Frames through which a stride is held to take equally long."""
STRIDES = 1.2
"""Of the rhythm that must have been seen for it to be believed."""
TRUE, UNTRUE = 0.3, 0.6
"""Shares of what legs that stand leave unexplained up to which a rhythm is believed, and from which on it isn't."""


Order = list[tuple[slice, Array]]
"""Stretches of frames with what each frame's order says: products v (n,) of the distance read and that of the rhythm. With signs s by which
leg is which, all agree where |sum of s v| is the sum of |v|."""


@dataclass(frozen=True)
class Reach:
    """Along the body's direction in the picture. apart (t,): from a pair's second limb to its first; rest (t,): from the right to the
    left leg, were the animal standing square."""

    apart: Array
    rest: Array


@dataclass(frozen=True)
class Gait:
    """Of one pair. order: what its rhythm says; across (t, 2): unit, the picture's direction across the body's, upwards or to the right;
    beside (t,): half widths along it from the right to the left leg, were the animal standing square."""

    order: Order
    across: Array
    beside: Array


def ahead_of(start: Solution) -> Array:
    """(t, 2) unit: the bodies' directions in the picture; start: a solution a frame, stacked."""
    seen = start.rotation.double().numpy()[:, :2, 2]
    return np.asarray(seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-6))


def find_gait(limbs: list[Limbs], start: Solution, focal: Tensor, template: Template) -> list[Gait]:
    """limbs: of the pairs, as `JOINTS`; start: a solution a frame, stacked, all with one animal's rest points; focal (t,) of the crops:
    half widths become those of one crop."""
    axes, lens, depth = start.rotation.double().numpy()[:, :2], focal.double().numpy(), start.translation[:, 2].double().numpy()
    middle = float(np.median(lens))
    ahead = ahead_of(start)
    across = np.stack([-ahead[:, 1], ahead[:, 0]], 1)
    across *= np.where(across @ [1.0, -2.0] < 0, -1.0, 1.0)[:, None]
    rest, reaches, besides = start.rest[0].double().numpy(), [], []
    for own, pair in zip(limbs, JOINTS, strict=True):
        ends = own.place.double().numpy()[:, :, :READ].mean(2)  # (t, 2, 2)
        left, right = (rest[[template.point_index[f"{joint}.{side}"] for joint in JOINTS[pair][:READ]]].mean(0) for side in "LR")
        square = axes @ (left - right) * (middle / depth)[:, None]  # (t, 2)
        apart = ((ends[:, 0] - ends[:, 1]) * ahead).sum(1) * middle / lens
        reaches.append(Reach(apart, (square * ahead).sum(1)))
        besides.append((square * across).sum(1))
    return [Gait(order, across, beside) for order, beside in zip(in_step(reaches), besides, strict=True)]


def rhythm(pairs: list[Reach]) -> list[Array]:
    """For each pair signed distances (t,) as one rhythm of both has them, from left to right or from right to left; zeros where there is
    none to be seen."""
    count = len(pairs[0].apart)
    left = np.array([_left_over(pair) for pair in pairs])  # (pairs, periods, phases, swings)
    best = left.min((2, 3)).sum(0)
    number = int(best.argmin())
    believed = float(np.interp(best[number] / max(float(best[-1]), 1e-9), (TRUE, UNTRUE), (1, 0)))
    if PERIODS[number] * STRIDES > count or believed <= 0:
        return [np.zeros(count) for _ in pairs]
    found = []
    for pair, own in zip(pairs, left[:, number], strict=True):
        phase, swing = np.unravel_index(int(own.argmin()), own.shape)
        found.append(believed * (SWINGS[swing] * np.cos(2 * np.pi * np.arange(count) / PERIODS[number] + PHASES[phase]) + pair.rest))
    return found


def _left_over(pair: Reach) -> Array:
    """(periods, phases, swings) squared distance of all frames from each rhythm."""
    count = len(pair.apart)
    size, out = np.abs(pair.apart), np.empty((len(PERIODS), len(PHASES), len(SWINGS)))
    for number, period in enumerate(PERIODS):
        wave = np.cos(2 * np.pi * np.arange(count) / period + PHASES[:, None])
        apart = np.abs(wave[:, None] * SWINGS[:, None] + pair.rest)  # (phases, swings, t)
        out[number] = np.minimum(np.square(apart - size), FARTHEST**2).sum(-1)
    return out


def in_step(pairs: list[Reach]) -> list[Order]:
    """What the rhythm of each stretch of frames says of each pair."""
    count = len(pairs[0].apart)
    out: list[Order] = [[] for _ in pairs]
    for start in range(0, max(count - WINDOW // 2, 1), WINDOW // 2):
        part = slice(start, min(start + WINDOW, count))
        waves = rhythm([Reach(pair.apart[part], pair.rest[part]) for pair in pairs])
        for own, pair, wave in zip(out, pairs, waves, strict=True):
            own.append((part, pair.apart[part] * wave))
    return out
