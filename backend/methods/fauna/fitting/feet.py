"""A leg that nothing covers: where two legs were taken for one, the other is found.

The joint head gives each joint a heat map, and a joint is seen at its highest peak. Of legs that stand apart, both may peak at the same
one. The silhouette tells: a patch of mask that reaches down, stays bare and holds the second peak of a leg is that leg.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from backend.methods.fauna.fitting.creature import Creature
from backend.methods.fauna.fitting.evidence import Evidence
from backend.methods.fauna.fitting.fit import align, mismatch, seen_as
from backend.methods.fauna.fitting.readings import Settle, Standing, bare_patches
from backend.methods.fauna.fitting.viewpoint import solve_joints
from backend.methods.fauna.heads import expectation
from backend.rig.template import Template

LEAST_AREA = 0.004
"""Of a bare patch, over the mask's."""
LOW = 0.7
"""How far down the mask it has to reach, over the mask's height."""
NEAR = 0.12
"""Half widths about the patch in which a joint is looked for."""
LEAST_MASS = 0.05
"""Of a joint's heat there: about the second peak's share where one leg hides as well as the other."""
READINGS = 2
"""Legs tried for a patch: most often the two of a pair."""
LOWER_JOINTS = 4
"""Elbow or knee, wrist or hock, knuckle and tip: read anew together."""
LEAST_GAIN = 0.005
"""Of `fit.mismatch`, for another reading to be kept."""
STEPS = 40
"""Of the joints' solution for another reading."""


def cover_feet(
    creature: Creature, now: Standing, heat: Tensor, girth: Tensor, settle: Settle, hold_angles: bool = False
) -> Standing:
    """What is known of the creature -> the same, or with another reading of a leg that explains more.

    heat: (P, g, g) logits of the joints; girth (n, 2): see `Creature.start`; settle: what is compared goes through it first.
    """
    template = creature.model.template
    for patch in low_patches(seen_as(creature, now.p, now.evidence)[0].detach(), now.evidence.mask):
        readings = list(other_readings(now.evidence, heat, patch, template))
        if not readings:
            continue
        best = now
        least = mismatch(creature, settle(replace(now.p), now.evidence), now.evidence) - LEAST_GAIN
        for reading in readings:
            [tried] = solve_joints(creature.model, [now.solution], reading, STEPS, hold_angles, proportions=True)
            start = creature.start(tried.rotation, tried.translation, tried.angles, tried.rest, girth)
            q = settle(align(creature, start, reading), reading)
            missed = mismatch(creature, q, reading)
            if missed < least:
                best, least = Standing(q, tried, reading), missed
        now = best
    return now


def low_patches(cover: Tensor, mask: Tensor) -> list[Tensor]:
    """Coverage and mask (s, s) -> patches (s, s) bool of bare mask that reach down as legs do, the largest first."""
    rows = np.flatnonzero((mask.numpy() > 0.5).any(1))
    low = rows[0] + LOW * (rows[-1] - rows[0])
    return [torch.from_numpy(patch) for patch in bare_patches(cover, mask, LEAST_AREA) if np.flatnonzero(patch.any(1))[-1] >= low]


def other_readings(evidence: Evidence, heat: Tensor, patch: Tensor, template: Template) -> Iterator[Evidence]:
    """The evidence with one leg's lower joints read at a bare patch (s, s), the likeliest leg first; heat (P, g, g) logits.

    A joint whose heat is nowhere there isn't seen any more, and where any of them lies in space is not known. A leg of which something is
    pinned is where it is.
    """
    size, grid = patch.shape[-1], heat.shape[-1]
    away = ndimage.distance_transform_edt(~patch.numpy()) * (2.0 / size)
    at = (np.arange(grid) + 0.5) / grid * size
    around = torch.from_numpy(away[np.ix_(at.astype(int), at.astype(int))] < NEAR)  # (g, g)
    share = torch.softmax(heat.flatten(1), 1)[:, around.flatten()].sum(1)  # (P,)
    pinned = set() if evidence.pins is None else set(evidence.pins.points.tolist())
    tips = {leg.points[-1]: leg for leg in template.legs if not pinned & set(leg.points)}
    for tip in sorted(tips, key=lambda point: -float(share[point]))[:READINGS]:
        if share[tip] < LEAST_MASS:
            break
        lower = torch.tensor(tips[tip].points[-LOWER_JOINTS:])
        places, peak = expectation(torch.where(around, heat[lower], -torch.inf)[None])
        found = share[lower] >= LEAST_MASS
        yield replace(
            evidence,
            seen=evidence.seen.index_copy(0, lower, torch.where(found[:, None], places[0], evidence.seen[lower])),
            confidence=evidence.confidence.index_copy(0, lower, torch.where(found, peak[0], 0.0)),
            lifted_confidence=evidence.lifted_confidence.index_fill(0, lower, 0.0),
        )
