"""The shaped rest mesh as the asset keeps it: clean, with joints and weights of its own, in the pose that it was fitted in.

Object frame, object units. A shape whose rig does not hold is drawn back towards the canonical one until it does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from backend.methods.fauna.fitting import fit as fitting
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.shape import crosses, rigged
from backend.rig.skeleton import skeleton_points
from backend.rig.template import Template
from backend.shape.untangle import untangle
from backend.types import Mesh, Skeleton, Skin

DRAWN_BACK = ((1.0, 1.0), (1.0, 0.4), (1.0, 0.0), (0.7, 0.7), (0.4, 0.4))
"""What is kept of the proportions, from the canonical ones on, while the rig does not hold: of all, and of the tail's own, whose thin skin
is spoilt first."""


def settle(creature: Creature, p: Parameters, use_free: bool, use_code: bool) -> tuple[Mesh, Skeleton, Skin, Creature, Parameters]:
    """The shaped rest mesh as the asset keeps it, with joints and weights of its own, in the same pose.

    Faces that came to cross or thin out where it was stretched, thickened and pushed about are smoothed. A shape that still crosses
    itself, or does not hold what a rig must show, is drawn back towards the canonical one until it does, the tail alone at first: of
    animals that lie or sit, what is folded may be taken for short.
    """
    for share in DRAWN_BACK:
        drawn = drawn_back(creature.model.template, p, *share)
        with torch.no_grad():
            vertices = creature.rest_vertices(drawn, use_code, use_free).contiguous()
            posed, _ = creature.posed(drawn, vertices)
            points = creature.rest_points(drawn).numpy()
        mesh = untangle(replace(creature.mesh, vertices=np.ascontiguousarray(vertices.numpy(), np.float32)))
        if crosses(mesh) and share != DRAWN_BACK[-1]:
            continue  # weights for it would take longer than all else
        skeleton, skin, holds = rigged(mesh, points)
        if holds:
            break
    settled = Creature(creature.model, mesh, skin, torch.from_numpy(skeleton_points(skeleton)), creature.code, settled=True)
    return mesh, skeleton, skin, settled, fitting.repose(settled, settled.take_over(drawn), posed)


def drawn_back(template: Template, p: Parameters, share: float, tail: float) -> Parameters:
    """Proportions with `share` kept of their change of the canonical ones, but `tail` of the tail's, which goes with its base."""
    base, *others = (template.point_index[f"tail{number}"] for number in range(5))  # in the half form, y and z of centre points come first
    points, girth = share * p.points, share * p.girth
    for point in others:
        carried = p.points[2 * base : 2 * base + 2]
        points[2 * point : 2 * point + 2] = share * carried + tail * (p.points[2 * point : 2 * point + 2] - carried)
    bones = [bone.group for bone in template.bones if bone.deform]
    girth[[number for number, group in enumerate(bones) if group == "tail"]] *= tail / share
    return replace(p, points=points, girth=girth)
