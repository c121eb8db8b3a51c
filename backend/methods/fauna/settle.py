"""The shaped rest mesh as the asset keeps it: clean, with joints and weights of its own, in the pose that it was fitted in.

Object frame, object units. A shape whose rig does not hold is drawn back towards the canonical one until it does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from backend.methods.fauna.fitting import fit as fitting
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.shape import crosses, rigged
from backend.rig.skeleton import skeleton_points
from backend.shape.untangle import untangle
from backend.types import Mesh, Skeleton, Skin


class Kept(NamedTuple):
    """Shares of the proportions, from the canonical ones on: of all; and of what that leaves of the tail, of the way in which it is bent at
    rest and of its girth, and of the lengths of its bones."""

    all: float
    bent: float = 1.0
    long: float = 1.0


DRAWN_BACK = (Kept(1), Kept(1, 1, 0.85), Kept(1, 0.4, 1), Kept(1, 0, 1), Kept(1, 0, 0.5), Kept(1, 0, 0), Kept(0.7), Kept(0.4))
"""What is kept while the rig does not hold. A tail's thin skin is spoilt first, where it is sharply bent at rest or lies along a leg; that
it be long is seen in every pose, how it lies at rest in none."""


def settle(creature: Creature, p: Parameters, use_free: bool, use_code: bool) -> tuple[Mesh, Skeleton, Skin, Creature, Parameters]:
    """The shaped rest mesh as the asset keeps it, with joints and weights of its own, in the same pose.

    Faces that came to cross or thin out where it was stretched, thickened and pushed about are smoothed. A shape that still crosses
    itself, or does not hold what a rig must show, is drawn back towards the canonical one until it does, the tail alone at first: of
    animals that lie or sit, what is folded may be taken for short.
    """
    for kept in DRAWN_BACK:
        drawn = drawn_back(creature, p, kept)
        with torch.no_grad():
            vertices = creature.rest_vertices(drawn, use_code, use_free).contiguous()
            posed, _ = creature.posed(drawn, vertices)
            points = creature.rest_points(drawn).numpy()
        mesh = untangle(replace(creature.mesh, vertices=np.ascontiguousarray(vertices.numpy(), np.float32)))
        if crosses(mesh) and kept != DRAWN_BACK[-1]:
            continue  # weights for it would take longer than all else
        skeleton, skin, holds = rigged(mesh, points)
        if holds:
            break
    settled = Creature(creature.model, mesh, skin, torch.from_numpy(skeleton_points(skeleton)), creature.code, settled=True)
    return mesh, skeleton, skin, settled, fitting.repose(settled, settled.take_over(drawn), posed)


def drawn_back(creature: Creature, p: Parameters, kept: Kept) -> Parameters:
    """Proportions with shares kept of their change of the canonical ones. The tail goes with its base."""
    template, fold = creature.model.template, creature.model.netInstance.netRest.fold
    base = 2 * template.point_index["tail0"]  # in the half form y and z of centre points come first, those of the tail one after another
    tail = slice(base, base + 10)
    points, girth = kept.all * p.points, kept.all * p.girth
    canonical = fold(creature.rest[None])[0, tail].view(5, 2)
    own = canonical + points[tail].view(5, 2)
    there, here = canonical.diff(dim=0), own.diff(dim=0)  # (4, 2) of the tail's bones
    across = torch.lerp(functional.normalize(there, dim=1), functional.normalize(here, dim=1), kept.bent)
    length = torch.lerp(there.norm(dim=1, keepdim=True), here.norm(dim=1, keepdim=True), kept.long)
    bones = functional.normalize(across, dim=1) * length
    points[tail][2:] = (own[0] + bones.cumsum(0) - canonical[1:]).flatten()
    girth[[number for number, bone in enumerate(b for b in template.bones if b.deform) if bone.group == "tail"]] *= kept.bent
    return replace(p, points=points, girth=girth)
