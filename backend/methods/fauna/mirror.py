"""The picture is looked at twice, as it is and mirrored, and what both looks say is brought together.

An animal's left and right are the same but for the mirror; a network that has learnt from pictures knows that only nearly. Where the two
looks differ, their mean is nearer the truth than either.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from backend.methods.fauna.heads import QUADRANTS, Viewpoints, expectation
from backend.methods.fauna.model import Fauna, Perception
from backend.rig.template import Template

MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
"""Of the object's and of the camera's axes."""
OPPOSITE = [QUADRANTS.index((-x, z)) for x, z in QUADRANTS]
"""The hypothesis that each becomes in the mirror."""


def perceive_twice(model: Fauna, picture: Tensor, encoder: torch.nn.Module, code: Tensor | None = None) -> Perception:
    """Of one picture (1, 3, s, s): where its mirror image says otherwise, the mean of both. code: see `Fauna.perceive`."""
    seen = model.perceive(encoder(torch.cat([picture, picture.flip(3)])), None if code is None else code.expand(2, -1))
    one, other = seen.map(lambda value: value[:1]), seen.map(lambda value: value[1:])
    return agree(one, unmirror(other, model.template))


def unmirror(seen: Perception, template: Template) -> Perception:
    """What was seen of a mirrored picture, as it is in the picture itself. Maps and features of the whole stay the mirrored picture's."""
    twin, view = torch.as_tensor(template.mirror_points), seen.viewpoints
    turned = MIRROR @ view.rotation[:, OPPOSITE] @ MIRROR
    shifted = view.translation @ MIRROR
    return replace(
        seen,
        viewpoints=Viewpoints(turned, shifted, view.logits[:, OPPOSITE]),
        heat=seen.heat.flip(3)[:, twin],
        seen=seen.seen[:, twin] * seen.seen.new_tensor([-1.0, 1.0]),
        confidence=seen.confidence[:, twin],
        lifted=seen.lifted[:, twin] @ MIRROR,
    )


def agree(one: Perception, other: Perception) -> Perception:
    """The mean of two looks; maps and features of the whole are the first's, for those of two pictures don't mix."""
    heat = torch.stack([torch.log_softmax(look.heat.flatten(2), -1) for look in (one, other)]).logsumexp(0).unflatten(2, one.heat.shape[2:])
    seen, confidence = expectation(heat)
    views = one.viewpoints, other.viewpoints
    u, _, vt = torch.linalg.svd(views[0].rotation + views[1].rotation)
    middle = {name: (getattr(one, name) + getattr(other, name)) / 2 for name in ("code", "category", "rest", "girth", "lifted")}
    viewpoints = Viewpoints(u @ vt, (views[0].translation + views[1].translation) / 2, (views[0].logits + views[1].logits) / 2)
    return replace(one, viewpoints=viewpoints, heat=heat, seen=seen, confidence=confidence, **middle)
