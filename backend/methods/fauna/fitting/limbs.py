"""Both legs of a pair, where the joint head has read one of them twice.

Of two legs that look alike, a left and a right joint may be read at the same one: the heat of both then has the same two peaks. Both peaks
are read of the two heats together; peaks that lie along one leg make a limb. Enters heat maps, of one picture or of many at once; leaves
limbs, or what was seen with both legs read.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from backend.methods.fauna.model import BELIEVED, Fauna
from backend.rig.template import Template

JOINTS = {"front": ("front_tip", "front_knuckle", "wrist", "elbow"), "hind": ("hind_tip", "hind_knuckle", "hock", "knee")}
"""From the ground up: feet stand farthest apart."""
PEAK_CELLS = 2.5
"""Radius of a peak, cells of the heat map."""
LEAST_SECOND = 0.17
"""Share of both heats that a second peak must hold to be the other leg's: two legs that stand apart share it nearly evenly."""
SUREST = 3.0
"""The most that a joint's log odds count in a frame."""
LEAST_HEAT = 1e-3
AT_ONCE = 64
"""Frames that are lifted at once: of all of a long clip, the network's own numbers took more memory than what they were about."""


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


def find_limbs(heat: Tensor, seen: Tensor, confidence: Tensor, template: Template, pair: str) -> Limbs:
    """The two legs of a pair ("front", "hind") in each picture: heat (t, P, g, g) logits, seen (t, P, 2), confidence (t, P)."""
    count = len(heat)
    places: list[Tensor] = []
    masses: list[Tensor] = []
    odds: list[Tensor] = []
    for joint in JOINTS[pair]:
        left, right = (template.point_index[f"{joint}.{side}"] for side in "LR")
        ours = torch.softmax(heat[:, [left, right]].float().flatten(2), -1).unflatten(-1, heat.shape[-2:])  # (t, 2, g, g)
        place, mass = find_peaks(ours.mean(1))
        alone = mass[:, 1] < LEAST_SECOND
        read, sure = seen[:, [left, right]], confidence[:, [left, right]]
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


def read_as(limbs: Limbs, right: Tensor, seen: Tensor, confidence: Tensor, template: Template, pair: str) -> tuple[Tensor, Tensor]:
    """seen (t, P, 2), confidence (t, P) with a pair's joints where its limbs are; right (t,): whether the first limb is the right leg."""
    seen, confidence = seen.clone(), confidence.clone()
    place = torch.where(right[:, None, None, None], limbs.place.flip(1), limbs.place)
    mass = torch.where(right[:, None, None], limbs.mass.flip(1), limbs.mass)
    for number, joint in enumerate(JOINTS[pair]):
        for side in range(2):
            point = template.point_index[f"{joint}.{'LR'[side]}"]
            seen[:, point] = place[:, side, number]
            confidence[:, point] = (2 * mass[:, side, number]).clamp_max(1)
    return seen, confidence


def lift_again(model: Fauna, like: Tensor, before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Points and their confidences (t, P, 2), (t, P) that are read elsewhere lie elsewhere in space: what the network lifts of points
    alone says how far (t, P, 3), OpenGL camera axes, and what rest shape (t, P, 3) they tell of. like (t, P, 3): the category's."""
    lifting, head = model.netInstance.netLifting, model.netInstance.netRest
    moved, rest = [], []
    for start in range(0, len(like), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        old, _ = lifting(before[0][some], before[1][some], like[some], None)
        new, change = lifting(after[0][some], after[1][some], like[some], None)
        moved.append(new - old)
        rest.append(like[some] + BELIEVED * head.mirrored(change))
    return torch.cat(moved), torch.cat(rest)
