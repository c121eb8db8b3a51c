"""Which of two legs is the nearer one: the flank's skin goes along with it.

A thigh and an upper arm lie under the flank's skin: of the near leg they are seen, those of the far one are hidden by the trunk. So the
skin below a hip or shoulder, against the trunk's, swings as the near leg does, whichever of the legs hides the other below. Half widths of
the crop, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.clip.flow import flow_at, read_field
from backend.methods.fauna.clip.gait import ahead_of
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.fitting.viewpoint import Solution
from backend.rig.template import Template

Array = NDArray[np.float64]

UPPER = {"front": ("shoulder", "elbow"), "hind": ("hip", "knee")}
DOWN, REACH = 0.9, 0.08
"""Where skin is looked at: share of the way from a pair's upper joints to the next ones, both legs' mean, and half widths about it."""
TRUNK = ("spine1", "spine2", "spine3")
BELOW, HIGH, LONGER = 0.04, 0.12, 0.02
"""The trunk's skin: half widths that it lies below its joints, half its height, and what it reaches beyond half the way from pelvis to
withers."""
FEWEST_CELLS, FEWEST_FRAMES = 30, 6
ROUNDS, OFF = 4, 0.01
"""Of finding the trunk's motion, and half widths at which a cell counts half."""
SMOOTHED = 3
"""Frames over whose mean both are compared."""


@dataclass(frozen=True)
class Flank:
    """Of one pair. sway (t - 1,): how far its skin goes ahead of the trunk's to the next frame, NaN where that can't be told; ahead
    (t - 1, 2): unit, the body's direction in the picture; near: cosine of the animal's left to the viewer."""

    sway: Array
    ahead: Array
    near: float


def find_flanks(looks: Looks, start: Solution, template: Template) -> list[Flank]:
    """Of both pairs, as `UPPER`; start: a solution a frame, stacked."""
    index, ahead = template.point_index, ahead_of(start)[:-1]
    near = -float(np.median(start.rotation.double().numpy()[:, 2, 0]))
    motions = [trunk_motion(looks, number, template) for number in range(len(looks) - 1)]
    found = []
    for pair in UPPER.values():
        top, bottom = (looks.seen[:, [index[f"{joint}.{side}"] for side in "LR"]].mean(1) for joint in pair)
        place = top + DOWN * (bottom - top)  # (t, 2)
        step, known = flow_at(looks.flow, place[:, None], REACH)
        sway = np.full(len(looks) - 1, np.nan)
        for number, motion in enumerate(motions):
            if motion is not None and known[number, 0]:
                carried = motion[0] * np.array([-place[number, 1], place[number, 0]]) + motion[1:]
                sway[number] = (step[number, 0].double().numpy() - carried) @ ahead[number]
        found.append(Flank(sway, ahead, near))
    return found


def trunk_motion(looks: Looks, number: int, template: Template) -> Array | None:
    """(3,) how the trunk's skin turns, radians, and goes, about the crop's middle, to the next frame (reweighted least squares); None where
    too little of it is seen."""
    seen, index = looks.seen[number], template.point_index
    middle = seen[[index[name] for name in TRUNK]].mean(0)
    half = float((seen[index["withers"], 0] - seen[index["pelvis"], 0]).abs()) / 2 + LONGER
    place, step = read_field(looks.flow, number)
    inside = ((place[:, 0] - middle[0]).abs() < half) & ((place[:, 1] - middle[1] - BELOW).abs() < HIGH)
    if int(inside.sum()) < FEWEST_CELLS:
        return None
    x, y = place[inside].double().numpy().T
    wanted = step[inside].double().numpy().T.ravel()
    nothing, whole = np.zeros_like(x), np.ones_like(x)
    form = np.concatenate([np.stack([-y, whole, nothing], 1), np.stack([x, nothing, whole], 1)])
    weight: Array = np.ones(len(wanted))
    found: Array = np.zeros(3)
    for _ in range(ROUNDS):
        found = np.asarray(np.linalg.lstsq(form * weight[:, None], wanted * weight, rcond=None)[0], np.float64)
        weight = 1 / (1 + np.square((wanted - form @ found) / OFF))
    return found


def goes_with(flank: Flank, apart: Tensor, focal: Tensor) -> float:
    """-1 to 1: how far the skin swings as the left leg does rather than the right one. apart (t, 2): from the right leg to the left one;
    focal (t,) of the crops."""
    scale = (focal[:-1] / focal[1:])[:, None]
    moved = ((apart[1:] * scale - apart[:-1]).double().numpy() * flank.ahead).sum(1)
    known = np.isfinite(flank.sway)
    if known.sum() < FEWEST_FRAMES:
        return 0.0
    box = np.ones(SMOOTHED)
    counted = np.maximum(np.convolve(known, box, "same"), 1e-9)
    skin, legs = (np.convolve(np.where(known, values, 0.0), box, "same") / counted for values in (flank.sway, moved))
    skin, legs = skin[known] - skin[known].mean(), legs[known] - legs[known].mean()
    return float(skin @ legs / max(np.sqrt((skin @ skin) * (legs @ legs)), 1e-12))
