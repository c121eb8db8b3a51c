"""Left and right legs, told apart through time.

In one frame a far leg may be taken for the near one, or both for the same: the heat of a left and a right joint then has the same two
peaks. Where both were read at one of them, the other is read as well. Peaks that lie along one leg make a limb; of all ways to call the
frames' limbs left and right the one is taken with which both legs go most evenly and the heats agree best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.fitting.viewpoint import FLIP
from backend.methods.fauna.model import BELIEVED, Fauna
from backend.rig.template import Template

JOINTS = {"front": ("front_tip", "front_knuckle", "wrist", "elbow"), "hind": ("hind_tip", "hind_knuckle", "hock", "knee")}
"""From the ground up: feet stand farthest apart."""
GIRDLES = {"front": "scapula", "hind": "hip"}
PEAK_CELLS = 2.5
"""Radius of a peak, cells of the heat map."""
LEAST_SECOND = 0.17
"""Share of both heats that a second peak must hold to be the other leg's: two legs that stand apart share it nearly evenly."""
APART = 0.09
"""Half widths between two limbs from which on they are told apart."""
FEWEST = 2
"""Joints of a pair that must have two places."""
SMOOTH = 2.5
"""Weight of squared second differences: half of a stride that takes eight frames is let through, nearly all of slower ones."""
UNTOLD = 0.1
"""Weight of a frame in which the legs are one in the picture, over one in which they lie apart."""
READING = 0.02
"""Half widths by which joints are read wrong."""
BEAM = 256
REACH = 48
"""Frames over which how even a way is depends on what was."""
NAMED = 0.006
"""Weight of the heats' log odds for the names: what is mistaken in one frame is in the next."""
SUREST = 3.0
"""The most that a joint's log odds count in a frame."""
LEAST_HEAT = 1e-3
MOVED = 1.0
"""Share of what the points alone say that lifted ones have moved."""


@dataclass(frozen=True)
class Limbs:
    """Two limbs a frame, in no order. place (t, 2, j, 2): of their joints, as `JOINTS`; mass (t, 2, j): share of the heat there;
    odds (t, j): log odds for the first being the left one, 0 where both are the same place."""

    place: Tensor
    mass: Tensor
    odds: Tensor


def find_peaks(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (t, g, g) -> places (t, 2, 2) in [-1, 1], y down, and masses (t, 2) of the highest peak and the next one apart."""
    count, grid = len(heat), heat.shape[-1]
    centre = torch.arange(grid, dtype=torch.float32)
    rows, columns = torch.meshgrid(centre, centre, indexing="ij")
    left, places, masses = heat.clone(), [], []
    for _ in range(2):
        around = functional.avg_pool2d(left[:, None], 3, 1, 1)[:, 0].flatten(1).argmax(1)
        away = (rows - (around // grid)[:, None, None]).square() + (columns - (around % grid)[:, None, None]).square()
        own = left * (away <= PEAK_CELLS**2)
        mass = own.flatten(1).sum(1)
        middle = torch.stack([(own * axis).flatten(1).sum(1) for axis in (columns, rows)], 1) / mass.clamp_min(1e-9)[:, None]
        places.append((middle + 0.5) / grid * 2 - 1)
        masses.append(mass)
        left = left - own
    assert len(places[0]) == count
    return torch.stack(places, 1), torch.stack(masses, 1)


def heat_at(heat: Tensor, place: Tensor) -> Tensor:
    """Mass of probabilities (t, g, g) in the 3x3 cells about places (t, 2) in [-1, 1]: (t,)."""
    grid = heat.shape[-1]
    cell = ((place + 1) / 2 * grid).long().clamp(1, grid - 2)  # (t, 2) x, y
    sums = functional.avg_pool2d(heat[:, None], 3, 1, 1)[:, 0] * 9
    return sums[torch.arange(len(heat)), cell[:, 1], cell[:, 0]]


def find_limbs(looks: Looks, template: Template, pair: str) -> Limbs:
    """The two legs of a pair ("front", "hind") in each frame."""
    count = len(looks)
    places: list[Tensor] = []
    masses: list[Tensor] = []
    odds: list[Tensor] = []
    for joint in JOINTS[pair]:
        left, right = (template.point_index[f"{joint}.{side}"] for side in "LR")
        ours = torch.softmax(looks.heat[:, [left, right]].float().flatten(2), -1).unflatten(-1, looks.heat.shape[-2:])  # (t, 2, g, g)
        place, mass = find_peaks(ours.mean(1))
        alone = mass[:, 1] < LEAST_SECOND
        read, sure = looks.seen[:, [left, right]], looks.confidence[:, [left, right]]
        place, mass = torch.where(alone[:, None, None], read, place), torch.where(alone[:, None], sure / 2, mass)
        held = torch.stack([heat_at(ours[:, side], place[:, peak]) for side in range(2) for peak in range(2)], 1)
        share = held.clamp_min(LEAST_HEAT).log()
        odd = (share[:, 0] + share[:, 3] - share[:, 1] - share[:, 2]).clamp(-SUREST, SUREST)
        if places:  # a peak goes on in the limb whose last joint lies nearer
            before = places[-1]
            straight = (place - before).norm(dim=-1).sum(1)
            crossed = (place.flip(1) - before).norm(dim=-1).sum(1)
            turn = crossed < straight
            place = torch.where(turn[:, None, None], place.flip(1), place)
            mass = torch.where(turn[:, None], mass.flip(1), mass)
            odd = torch.where(turn, -odd, odd)
        places.append(place)
        masses.append(mass)
        odds.append(odd)
    assert all(len(place) == count for place in places)
    return Limbs(torch.stack(places, 2), torch.stack(masses, 2), torch.stack(odds, 1))


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
def lift_again(model: Fauna, looks: Looks, before: Looks) -> Looks:
    """Points that are read elsewhere than `before` lie elsewhere in space: what the network lifts of the points alone says how far."""
    lifting, like = model.netInstance.netLifting, before.category
    old, _ = lifting(before.seen, before.confidence, like, None)
    new, change = lifting(looks.seen, looks.confidence, like, None)
    rest = like + BELIEVED * model.netInstance.netRest.mirrored(change)
    return replace(looks, lifted=before.lifted + MOVED * ((new - old) @ FLIP), rest=(before.rest + rest) / 2)


def tell_apart(looks: Looks, template: Template) -> Looks:
    """The same with each leg's joints read where that leg is, in every frame."""
    seen, confidence = looks.seen.clone(), looks.confidence.clone()
    for pair, joints in JOINTS.items():
        limbs = find_limbs(looks, template, pair)
        girdle = looks.seen[:, [template.point_index[f"{GIRDLES[pair]}.{side}"] for side in "LR"]].mean(1)
        right = torch.from_numpy(first_is_right(limbs, girdle, looks.focal))
        place = torch.where(right[:, None, None, None], limbs.place.flip(1), limbs.place)
        mass = torch.where(right[:, None, None], limbs.mass.flip(1), limbs.mass)
        for number, joint in enumerate(joints):
            for side in range(2):
                point = template.point_index[f"{joint}.{'LR'[side]}"]
                seen[:, point] = place[:, side, number]
                confidence[:, point] = (2 * mass[:, side, number]).clamp_max(1)
    return replace(looks, seen=seen, confidence=confidence)
