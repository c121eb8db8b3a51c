"""Left and right legs, told apart through time.

In one frame a far leg may be taken for the near one, or both for the same (`fitting.limbs`). Of all ways to call the frames' limbs left and
right the one is taken with which both legs go most evenly, pass each other in the gait's rhythm (`gait`), the flank's skin goes with the
nearer one (`flank`), and the heats agree best.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.clip.flank import Flank, find_flanks, goes_with
from backend.methods.fauna.clip.gait import READ, Gait, Order, find_gait
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.fitting.limbs import JOINTS, Limbs, lift_again, read_as
from backend.methods.fauna.fitting.viewpoint import FLIP, Solution
from backend.methods.fauna.model import Fauna

GIRDLES = {"front": "scapula", "hind": "hip"}
APART = 0.09
"""Half widths between two limbs from which on they are told apart."""
FEWEST = 2
"""Joints of a pair that must have two places."""
SMOOTH = 1.5
"""Weight of squared second differences: half of a stride that takes seven frames is let through, nearly all of slower ones."""
UNTOLD = 0.6
"""Weight of a frame in which the legs are one in the picture, over one in which they lie apart."""
READING = 0.02
"""Half widths by which joints are read wrong."""
BEAM = 256
REACH = 64
"""Frames over which how even a way is depends on what was."""
WINDOW = 512
"""Frames within which stretches are turned round, half of them again with those that follow."""
IN_STEP = 0.05
"""Half widths by which a pair's legs are out of the gait's rhythm."""
NAMED_ALL, BESIDE = 4.0, 0.028
"""Where all of a clip's frames are turned round or none: weight of the names' mean log odds, and half widths by which the legs' places
beside each other are mistaken."""
WITH_THE_SKIN = 2.0
"""Likewise, weight of how far the flank's skin goes with the nearer leg."""
NEAR_GROUND = 0.2
"""Share of the frames in which a leg is lower than where its place is taken: standing, more or less."""
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


def out_of_step(order: Order, count: int) -> NDArray[np.float64]:
    """How badly legs keep the gait's rhythm, by which is which: (t, t), as `unevenness`."""
    form = np.zeros((count, count))
    for part, product in order:
        form[part, part] -= np.outer(product, product) / (2 * IN_STEP**2 * max(float(np.abs(product).sum()), 1e-9))
    return form


def first_is_right(
    limbs: Limbs, girdle: Tensor, focal: Tensor, gait: Gait | None = None, flank: Flank | None = None
) -> NDArray[np.bool_]:
    """(t,) whether each frame's first limb is the right leg. girdle (t, 2): the place from which the legs hang; focal (t,) of the crops:
    half widths become those of one crop; gait, flank: what the pair's say."""
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
    form = form / apart.shape[1]
    if gait is None:
        return best_signs(form, odds) < 0
    signs = best_signs(form + out_of_step(gait.order, len(form)), odds)
    names = NAMED_ALL * float((signs * limbs.odds.double().sum(1).numpy()).mean())
    skin = 0.0 if flank is None else WITH_THE_SKIN * flank.near * goes_with(flank, left_from_right(limbs, signs), focal)
    return np.asarray(signs * (names + sides_told(place, signs, gait) + skin) < 0)


def left_from_right(limbs: Limbs, signs: NDArray[np.float64]) -> Tensor:
    """(t, 2) from the right leg's lower joints to the left one's, for signs (t,) that are positive where the first limb is the left."""
    ends = limbs.place[:, :, :READ].mean(2)  # (t, 2, 2)
    return (ends[:, 0] - ends[:, 1]) * torch.from_numpy(signs).float()[:, None]


def sides_told(place: NDArray[np.float64], signs: NDArray[np.float64], gait: Gait) -> float:
    """Log odds for these signs (t,) against all of them turned round, by where the legs are beside each other: seen from above the farther
    leg stands higher in the picture, from behind the left one on the left. place (t, 2, j, 2): of the limbs from their girdle."""
    across = (place[:, :, :READ].mean(2) * gait.across[:, None]).sum(-1)  # (t, 2)
    left = np.where(signs > 0, across[:, 0], across[:, 1])
    right = np.where(signs > 0, across[:, 1], across[:, 0])
    apart = float(np.quantile(left, NEAR_GROUND) - np.quantile(right, NEAR_GROUND))
    return 2 * apart * float(gait.beside.mean()) / BESIDE**2


def best_signs(form: NDArray[np.float64], odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) of +1 and -1 with about the least s' form s - odds' s, by a beam; form reaches hardly farther than REACH."""
    signs, cost = np.array([[1.0], [-1.0]]), np.array([-odds[0], odds[0]])
    for number in range(1, len(odds)):
        start = max(0, number - REACH)
        pull = 2 * signs[:, start:] @ form[number, start:number] - odds[number]  # (beam,)
        tried, told = np.concatenate([cost + pull, cost - pull]), np.repeat([1.0, -1.0], len(cost))
        kept = np.argsort(tried, kind="stable")[:BEAM]
        signs, cost = np.column_stack([signs[kept % len(pull)], told[kept]]), tried[kept]
    other = cost + 2 * signs @ odds  # of the same signs all turned round: a beam soon holds but one of both
    best = signs[cost.argmin()].copy() if cost.min() <= other.min() else -signs[other.argmin()]
    # Frames in which the legs are one fill the beam with signs that hardly matter; a stretch that it got wrong is turned round as a whole.
    for start in range(0, max(len(odds) - WINDOW // 2, 1), WINDOW // 2):
        part = slice(start, start + WINDOW)
        rest = form[part] @ best - form[part, part] @ best[part]
        best[part] = turn_stretches(best[part], form[part, part], odds[part] - 2 * rest)
    return best


def turn_stretches(signs: NDArray[np.float64], form: NDArray[np.float64], odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same (n,) with those stretches of signs turned round that make s' form s - odds' s less, the best first, until none does."""
    count = len(signs)
    signs = signs.copy()
    for _ in range(count):
        pull = form * np.outer(signs, signs)
        np.fill_diagonal(pull, 0)
        # What a stretch of frames pulls within, with all, and is named, from sums up to each frame.
        within = np.zeros((count + 1, count + 1))
        within[1:, 1:] = pull.cumsum(0).cumsum(1)
        named = np.append(0, (odds * signs).cumsum())
        own, everything = np.diag(within), within[:, -1]
        inside = own[None] - within - within.T + own[:, None]  # (n + 1, n + 1): from each frame up to each other
        change = -4 * (everything[None] - everything[:, None] - inside) + 2 * (named[None] - named[:, None])
        change = np.triu(change, 1)
        start, end = np.unravel_index(int(change.argmin()), change.shape)
        if change[start, end] > -1e-9:
            break
        signs[start:end] *= -1
    return signs


@torch.no_grad()
def tell_apart(model: Fauna, looks: Looks, start: Solution) -> Looks:
    """The same with each leg's joints read where that leg is, in every frame, and lifted and shaped accordingly. start: a solution a frame,
    as `choose_views` leaves it."""
    template = model.template
    before = found = (looks.seen, looks.confidence)
    limbs = [Limbs(looks.limb_place[:, k], looks.limb_mass[:, k], looks.limb_odds[:, k]) for k in range(len(JOINTS))]
    gaits = find_gait(limbs, start, looks.focal, template)
    for own, gait, flank, pair in zip(limbs, gaits, find_flanks(looks, start, template), JOINTS, strict=True):
        girdle = looks.seen[:, [template.point_index[f"{GIRDLES[pair]}.{side}"] for side in "LR"]].mean(1)
        found = read_as(own, torch.from_numpy(first_is_right(own, girdle, looks.focal, gait, flank)), *found, template, pair)
    moved, rest = lift_again(model, looks.category, before, found)
    return replace(looks, seen=found[0], confidence=found[1], lifted=looks.lifted + moved @ FLIP, rest=(looks.rest + rest) / 2)
