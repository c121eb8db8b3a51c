"""From which side the animal is seen, through a clip: of each frame's four hypotheses the ones that agree with each other.

One picture may be taken for its opposite; an animal doesn't turn round between two frames. A path through all frames is the cheapest by
what the network says of each hypothesis, what its joints leave unexplained, and how far the view turns from frame to frame (Viterbi 1967).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.fitting.evidence import Evidence, bone_limits, sideways_stiffness
from backend.methods.fauna.fitting.viewpoint import TRUNK, Solution, solve_joints
from backend.methods.fauna.model import Fauna

TURNED = 6.0
"""Cost of a radian that the view turns between neighbouring frames, over a hypothesis' logit."""
LARGEST_TURN = 1.0
"""Radians after which it costs no more: of a clip that was cut the parts are told apart elsewhere."""
UNEXPLAINED = 4.0
"""Weight of what the joints leave unexplained, as for photos."""
STEPS = 40
BATCH = 256
"""Solutions at once."""


def cheapest_path(cost: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.int64]:
    """cost (t, s) of states, change (t - 1, s, s) of going from one to another -> (t,) the states of the cheapest path."""
    count, states = cost.shape
    total, back = cost[0], np.zeros((count, states), np.int64)
    for frame in range(1, count):
        reached = total[:, None] + change[frame - 1]  # (from, to)
        back[frame] = reached.argmin(0)
        total = reached.min(0) + cost[frame]
    path = np.empty(count, np.int64)
    path[-1] = total.argmin()
    for frame in range(count - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path


def evidence_of(model: Fauna, looks: Looks) -> Evidence:
    """What the joints of all frames say at once; the masks are not in it."""
    believed, no_mask = torch.ones_like(looks.confidence), torch.empty(len(looks), 0, 0)
    limits, sideways = bone_limits(model.template), sideways_stiffness(model.template)
    return Evidence(no_mask, looks.seen, looks.confidence, looks.lifted, believed, looks.focal[:, None, None], limits, sideways)


def some_of(evidence: Evidence, index: Tensor) -> Evidence:
    """The evidence of some frames, index (n,)."""
    assert isinstance(evidence.focal, Tensor)
    fields = {name: getattr(evidence, name)[index] for name in ("mask", "seen", "confidence", "lifted", "lifted_confidence")}
    return replace(evidence, focal=evidence.focal[index], **fields)


def lifted_rotations(model: Fauna, rest: Tensor, lifted: Tensor) -> Tensor:
    """Rotations (t, 3, 3) that lay the rest trunk (P, 3) onto lifted ones (t, P, 3) (Kabsch 1976)."""
    some = [i for i, name in enumerate(model.template.points) if name.startswith(TRUNK)]
    there, here = lifted[:, some], rest[some]
    spread = (there - there.mean(1, keepdim=True)).transpose(1, 2) @ (here - here.mean(0))
    u, _, vt = torch.linalg.svd(spread)
    sign = torch.ones(len(u), 3)
    sign[:, 2] = torch.sign(torch.linalg.det(u @ vt))
    return (u * sign[:, None]) @ vt


def angle_between(first: Tensor, second: Tensor) -> Tensor:
    """Radians between rotations (..., 3, 3)."""
    trace = (first * second).sum((-2, -1))
    return torch.acos(((trace - 1) / 2).clamp(-1, 1))


def choose_views(model: Fauna, looks: Looks, rest: Tensor) -> Solution:
    """One solution a frame: rotation (t, 3, 3) and translation (t, 3) to the crop, angles (t, n, 3), rest (t, P, 3).

    rest (P, 3): of the clip's animal.
    """
    count = len(looks)
    from_lifted = lifted_rotations(model, rest, looks.lifted)
    nearest = angle_between(looks.rotation, from_lifted[:, None]).argmin(1)
    rotation = looks.rotation.clone()
    rotation[torch.arange(count), nearest] = from_lifted
    solved = solve_all(model, looks, rest, rotation.flatten(0, 1), looks.translation.repeat_interleave(4, 0), 4)
    energy = torch.tensor([one.energy for one in solved]).view(count, 4)
    found = torch.stack([one.rotation for one in solved]).view(count, 4, 3, 3)
    clip_axes = looks.turn.transpose(1, 2)[:, None] @ found  # the crops turn; what turns in the clip's camera is the animal
    turned = angle_between(clip_axes[:-1, :, None], clip_axes[1:, None]).clamp_max(LARGEST_TURN)
    gaps = (looks.numbers[1:] - looks.numbers[:-1]).double()
    cost = (looks.logits + UNEXPLAINED * energy).double().numpy()
    path = cheapest_path(cost, (TURNED * turned.double() / gaps[:, None, None]).numpy())
    kept = [solved[4 * frame + int(state)] for frame, state in enumerate(path)]
    stacked = {name: torch.stack([getattr(one, name) for one in kept]) for name in ("rotation", "translation", "angles", "rest")}
    return Solution(**stacked, energy=float(np.mean([one.energy for one in kept])))


def solve_all(model: Fauna, looks: Looks, rest: Tensor, rotation: Tensor, translation: Tensor, each: int) -> list[Solution]:
    """Joints solved from rest pose under views (t * each, ...) of the frames, some frames at once."""
    frame = torch.arange(len(looks)).repeat_interleave(each)
    evidence = evidence_of(model, looks)
    bones = sum(bone.deform for bone in model.template.bones)
    solved: list[Solution] = []
    for index in torch.arange(len(frame)).split(BATCH):
        starts = [Solution(rotation[i], translation[i], torch.zeros(bones, 3), rest, 0.0) for i in index.tolist()]
        solved += solve_joints(model, starts, some_of(evidence, frame[index]), STEPS)
    return solved
