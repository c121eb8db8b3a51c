"""What the artist has put right: points dragged over the photo to where they are, kept whatever was read there.

Enters: names of template points with the photo's pixels. `pin` makes evidence of them, before a viewpoint is chosen: a pin takes the
place of its point's reading, tells a leg from its twin, and what was read beside a point that was read wrong is doubted. All solving
then pulls at it (`evidence.pin_residual`). `hold_pins` comes last: the finished rig, whose joints lie inside its mesh, is moved
until its points are seen on their pins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from backend.media.crop import CropCamera
from backend.methods.descent import Adam
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.fitting.evidence import Evidence, Pins, limit_excess, project
from backend.rig.kinematics import pose_points, rest_frames
from backend.rig.rotations import euler_to_matrix
from backend.rig.template import load_quadruped

MISTAKEN = 0.04
"""Half widths from its reading beyond which a pin may mean that a leg was taken for its twin."""
NEARER = 0.5
"""Of the way to its own reading, what the twin's must lie within to be the leg's."""
DOUBT_REACH = 0.06
"""Half widths by which a reading was wrong that leave half of the trust in what was read at the same place."""
DOUBT_STEPS = 3
"""Bones along which a wrong reading casts doubt, less at each."""
STEPS = 80
"""Of the descent that lays the finished rig's points on their pins."""
SLACK = 0.012
"""Half widths that a point may lie from its pin at last: a hair, which nobody sees, against bones turned for it."""
STAY, TURNED, LIMITS = 0.02, 0.02, 0.2
"""Weights there: of other points' squared way in the picture, of squared turns of bones, and of what lies beyond their limits, against the
pins' squared distance."""


def pin(evidence: Evidence, heat: Tensor, pins: Mapping[str, tuple[float, float]], crop: CropCamera) -> tuple[Evidence, Tensor]:
    """The evidence and the joints' heat (P, g, g), with points seen where they are pinned: template points -> photo pixels (x, y)."""
    if not pins:
        return evidence, heat
    index = load_quadruped().point_index
    points = torch.tensor([index[name] for name in pins])
    places = torch.from_numpy(crop_positions(np.array(list(pins.values()), np.float64), crop))
    order = sides_told(evidence.seen, points, places)
    evidence = replace(evidence, **{name: getattr(evidence, name)[order] for name in ("seen", "confidence", "lifted", "lifted_confidence")})
    moved = (places - evidence.seen[points]).norm(dim=1)
    trust = trust_left(points, moved)
    return replace(
        evidence,
        seen=evidence.seen.index_copy(0, points, places),
        confidence=(evidence.confidence * trust).index_fill(0, points, 1.0),
        lifted_confidence=evidence.lifted_confidence * trust,
        pins=Pins(points, places),
    ), heat[order]  # fmt: skip


def crop_positions(pixels: np.ndarray, crop: CropCamera) -> np.ndarray:
    """Photo pixels (k, 2) -> positions in the crop, [-1, 1] within it, float32."""
    seen = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(crop.homography).T
    return np.asarray(seen[:, :2] / seen[:, 2:] / crop.size * 2 - 1, np.float32)


def sides_told(seen: Tensor, points: Tensor, places: Tensor) -> Tensor:
    """(P,) which reading is whose: the points' own numbers, but the twin's for the two legs of a pair that were taken for each other.

    seen: (P, 2); points (k,) are pinned at places (k, 2).
    """
    template = load_quadruped()
    twin = torch.from_numpy(template.mirror_points)
    order = torch.arange(len(template.points))
    for number in range(0, len(template.legs), 2):
        legs = template.legs[number : number + 2]
        girdles = [int(template.head_points[leg.girdle]) for leg in legs if leg.girdle is not None]
        pair = [*girdles, *(point for leg in legs for point in leg.points)]
        here = torch.isin(points, torch.tensor(pair))
        own = (places - seen[points])[here].norm(dim=1).sum()
        other = (places - seen[twin[points]])[here].norm(dim=1).sum()
        if own > MISTAKEN * here.sum() and other < NEARER * own:
            order[pair] = twin[pair]
    return order


def trust_left(points: Tensor, moved: Tensor) -> Tensor:
    """(P,) share of the trust in what was read that is left where points (k,) were read wrong by `moved` (k,) half widths."""
    steps = bones_between()[points]  # (k, P)
    reach = DOUBT_REACH * (1 + steps)
    left = 1 / (1 + (moved[:, None] / reach).square())
    return torch.where(steps <= DOUBT_STEPS, left, 1.0).amin(0)


@cache
def bones_between() -> Tensor:
    """(P, P) how many bones lie between two points of the template, along its skeleton; what isn't joined to a bone's end is far."""
    template = load_quadruped()
    count = len(template.points)
    steps = torch.full((count, count), float(count))
    steps.fill_diagonal_(0)
    for head, tail in zip(template.head_points.tolist(), template.tail_points.tolist(), strict=True):
        if min(head, tail) >= 0:
            steps[head, tail] = steps[tail, head] = 1
    for middle in range(count):  # Floyd and Warshall
        steps = torch.minimum(steps, steps[:, middle, None] + steps[None, middle])
    return steps


def hold_pins(creature: Creature, p: Parameters, evidence: Evidence) -> Parameters:
    """Viewpoint and angles, a little changed, with which the creature's points lie on their pins; other points stay about where they
    are seen. Changes `p` in place and returns it, detached."""
    pins = evidence.pins
    if pins is None:
        return p
    rest = creature.rest_points(p).detach()[None]
    frames, root = rest_frames(rest), torch.eye(3)[None]
    start = p.angles.detach()
    bend, turn, shift = (x.detach().clone().requires_grad_(True) for x in (p.angles, p.turn, p.shift))
    optimizer = Adam([{"params": [bend], "lr": 0.02}, {"params": [turn, shift], "lr": 0.004}])
    before: Tensor | None = None
    for step in range(STEPS):
        for group, rate in zip(optimizer.param_groups, (0.02, 0.004), strict=True):
            group["lr"] = rate * (1 - 0.95 * step / STEPS)
        points = pose_points(rest, torch.cat([root, euler_to_matrix(bend)])[None], frames)[0]
        image = project(points, *creature.camera(replace(p, turn=turn, shift=shift)), evidence.focal)
        before = image.detach() if before is None else before
        energy = (
            ((image[pins.points] - pins.places).norm(dim=1) - SLACK).clamp_min(0).square().sum()
            + STAY * (image - before).square().sum()
            + TURNED * (bend - start).square().sum()
            + LIMITS * limit_excess(bend, evidence.limits)
        )
        optimizer.zero_grad()
        energy.backward()
        optimizer.step()
    p.angles, p.turn, p.shift = bend.detach(), turn.detach(), shift.detach()
    return p
