"""Left and right legs, told apart through time.

In one frame a far leg may be taken for the near one, or both for the same (`fitting.limbs`). Of all ways to call the frames' limbs left and
right the one is taken with which both legs go most evenly and the heats agree best.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.fitting.limbs import JOINTS, Limbs, lift_again, read_as
from backend.methods.fauna.fitting.viewpoint import FLIP
from backend.methods.fauna.model import Fauna

GIRDLES = {"front": "scapula", "hind": "hip"}
APART = 0.09
"""Half widths between two limbs from which on they are told apart."""
FEWEST = 2
"""Joints of a pair that must have two places."""
SMOOTH = 1.5
"""Weight of squared second differences: half of a stride that takes seven frames is let through, nearly all of slower ones."""
UNTOLD = 0.1
"""Weight of a frame in which the legs are one in the picture, over one in which they lie apart."""
READING = 0.02
"""Half widths by which joints are read wrong."""
BEAM = 256
REACH = 48
"""Frames over which how even a way is depends on what was."""
NAMED = 0.006
"""Weight of the heats' log odds for the names: what is mistaken in one frame is in the next."""


def unevenness(apart: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """How uneven two limbs' ways are, by which is which: (t, t), for signs s (t,) it is s' M s, but for what no sign changes.

    apart (t, j, 2): from one limb to the other; weight (t,). The evenest ways x through the readings y have the least
    sum of w (x - y)^2 + SMOOTH (second differences)^2; what is left of it is a quadratic form of the readings, in which the limbs' middle
    and their distance don't mix.
    """
    count = len(apart)
    bend = np.diff(np.eye(count), 2, axis=0)
    inverse = np.linalg.inv(np.diag(weight) + SMOOTH * bend.T @ bend)
    form = np.diag(weight) - weight[:, None] * inverse * weight
    flat = apart.reshape(count, -1)
    return np.asarray((flat @ flat.T) * form / (2 * READING**2))


def first_is_right(limbs: Limbs, girdle: Tensor, focal: Tensor) -> NDArray[np.bool_]:
    """(t,) whether each frame's first limb is the right leg. girdle (t, 2): the place from which the legs hang; focal (t,) of the crops:
    half widths become those of one crop."""
    scale = (focal.median() / focal)[:, None, None, None]
    place = ((limbs.place - girdle[:, None, None]) * scale).double().numpy()  # (t, 2, j, 2)
    apart = place[:, 0] - place[:, 1]  # (t, j, 2)
    gap = np.linalg.norm(apart, axis=-1)
    told = gap > APART / 2
    clear = (told.sum(1) >= FEWEST) & ((gap * told).sum(1) > APART * np.maximum(told.sum(1), 1))
    odds = NAMED * limbs.odds.double().sum(1).numpy()
    if len(girdle) < 3:
        return np.asarray(odds < 0)
    form = unevenness(apart * told[..., None], np.where(clear, 1.0, UNTOLD))
    return best_signs(form / apart.shape[1], odds) < 0


def best_signs(form: NDArray[np.float64], odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) of +1 and -1 with about the least s' form s - odds' s, by a beam; form reaches hardly farther than REACH."""
    signs, cost = np.array([[1.0], [-1.0]]), np.array([-odds[0], odds[0]])
    for number in range(1, len(odds)):
        start = max(0, number - REACH)
        pull = 2 * signs[:, start:] @ form[number, start:number] - odds[number]  # (beam,)
        tried, told = np.concatenate([cost + pull, cost - pull]), np.repeat([1.0, -1.0], len(cost))
        kept = np.argsort(tried, kind="stable")[:BEAM]
        signs, cost = np.column_stack([signs[kept % len(pull)], told[kept]]), tried[kept]
    return np.asarray(signs[cost.argmin()])


@torch.no_grad()
def tell_apart(model: Fauna, looks: Looks) -> Looks:
    """The same with each leg's joints read where that leg is, in every frame, and lifted and shaped accordingly."""
    template = model.template
    before = found = (looks.seen, looks.confidence)
    for number, pair in enumerate(JOINTS):
        limbs = Limbs(looks.limb_place[:, number], looks.limb_mass[:, number], looks.limb_odds[:, number])
        girdle = looks.seen[:, [template.point_index[f"{GIRDLES[pair]}.{side}"] for side in "LR"]].mean(1)
        found = read_as(limbs, torch.from_numpy(first_is_right(limbs, girdle, looks.focal)), *found, template, pair)
    moved, rest = lift_again(model, looks.category, before, found)
    return replace(looks, seen=found[0], confidence=found[1], lifted=looks.lifted + moved @ FLIP, rest=(looks.rest + rest) / 2)
