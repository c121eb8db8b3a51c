"""Feet that stand, stand: a clip's pose on its own skeleton, changed as little as it takes.

Enters: rest frames of the template's bones (body length 1), rotations over one cycle, contacts and where each tip shall be.
Leaves: rotations and the hips' places with every standing tip on its spot, toes turned as the clip has them, no foot below the
ground and no bone past the template's limits. Gradient descent over turns of the legs' bones and the hips' height, smooth over
the cycle (which is circular). Same input, same machine: the same output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.rig.kinematics import euler_to_matrix, matrix_to_euler, matrix_to_quaternion, pose_matrices, quaternion_to_matrix
from backend.rig.template import load_quadruped

Array = NDArray[np.float64]

STEPS = 700
RATE = 0.01
MARGIN = np.radians(1.0)
"""How far from the template's limits the legs' angles are sought."""
SPARE = np.radians(0.05)
"""What keeps float32 files within the limits."""
SWING_LIFT = 0.004
"""How high a foot that does not stand stays above its ground, body lengths."""
HEEL = 0.9
"""Share of its height at rest below which no knuckle comes: the flesh under it would be in the ground."""
WEIGHTS = {"stand": 1e4, "swing": 2.0, "sole": 20.0, "ground": 1e4, "heel": 200.0, "limits": 1e3, "turn": 0.1, "jerk": 1.0, "lift": 0.2}
"""Of squared distances in body lengths and squared angles in radians."""


@dataclass(frozen=True)
class Steps:
    """contacts (t, 4) of the feet in the order of `feet`; tips (t, 4, 3): where each shall be; soles (t, 4, 3): tip to knuckle."""

    contacts: NDArray[np.bool_]
    tips: Array
    soles: Array


@cache
def feet() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Toe bones (4,) whose tail is the tip and whose head is the knuckle, in the template's order of legs; all legs' bones, shoulders
    among them; all bones below the root that a limit holds."""
    template = load_quadruped()
    toes = np.array([leg.bones[3] for leg in template.legs])
    moving = [bone for leg in template.legs for bone in ((*leg.bones,) if leg.girdle is None else (leg.girdle, *leg.bones))]
    return toes, np.array(moving), np.arange(1, len(template.bones))


def foot_points(posed: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Posed frames (t, b, 4, 4), lengths of the toes (4,) -> tips and knuckles (t, 4, 3)."""
    toes = torch.from_numpy(feet()[0])
    toe = posed.index_select(1, toes)
    return toe[..., :3, 3] + toe[..., :3, 1] * lengths[:, None], toe[..., :3, 3]


def place_feet(rest: Array, lengths: Array, rotations: Array, hips: Array, steps: Steps, grounds: Array) -> tuple[Array, Array]:
    """rest (b, 4, 4), lengths (4,) of the toes, rotations (t, b, 4), hips (t, 3) from where they rest, grounds (4,) tips' heights at rest
    -> rotations (t, b, 4) and hips (t, 3)."""
    _, moving, held = (torch.from_numpy(index) for index in feet())
    frames, toes = torch.from_numpy(rest)[None], torch.from_numpy(lengths)
    start = quaternion_to_matrix(torch.from_numpy(rotations))  # (t, b, 3, 3)
    places, floor = torch.from_numpy(hips), torch.from_numpy(grounds)
    stand = torch.from_numpy(steps.contacts).double()
    wanted, soles = torch.from_numpy(steps.tips), torch.from_numpy(steps.soles)
    heels = HEEL * frames[0, feet()[0], 1, 3]
    limits = torch.from_numpy(load_quadruped().limits)[held]
    turns = torch.zeros(len(rotations), len(moving), 3, dtype=torch.float64, requires_grad=True)
    lift = torch.zeros(len(rotations), 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([turns, lift], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, RATE / 200)

    def pose() -> tuple[Tensor, Tensor]:
        every = start.index_copy(1, moving, start[:, moving] @ euler_to_matrix(turns))
        return every, places + torch.nn.functional.pad(lift, (1, 1))

    for _ in range(STEPS):
        optimizer.zero_grad()
        every, moved = pose()
        tips, knuckles = foot_points(pose_matrices(frames, every, moved), toes)
        away = (tips - wanted).square().sum(-1)
        lowest = floor + SWING_LIFT * (1 - stand)
        angles = matrix_to_euler(every[:, held])
        beyond = (angles - limits[..., 1] + MARGIN).clamp_min(0) + (limits[..., 0] + MARGIN - angles).clamp_min(0)
        terms = {
            "stand": (stand * away).sum(-1),
            "swing": ((1 - stand) * away).sum(-1),
            "sole": (knuckles - tips - soles).square().sum((-1, -2)),
            "ground": (lowest - tips[..., 1]).clamp_min(0).square().sum(-1),
            "heel": (heels - knuckles[..., 1]).clamp_min(0).square().sum(-1),
            "limits": beyond.square().sum((-1, -2)),
            "turn": turns.square().sum((-1, -2)),
            "jerk": jerk(turns).sum(-1) + 10 * jerk(lift),
            "lift": lift.square().sum(-1),
        }
        total = sum(WEIGHTS[name] * term.mean() for name, term in terms.items())
        assert isinstance(total, Tensor)
        total.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        every, moved = pose()
    return within_limits(matrix_to_quaternion(every).numpy()), moved.numpy()


def within_limits(rotations: Array) -> Array:
    """(t, b, 4) the same rotations, angles past the template's limits brought back to them."""
    angles = matrix_to_euler(quaternion_to_matrix(torch.from_numpy(rotations)))
    low, high = torch.from_numpy(load_quadruped().limits + [SPARE, -SPARE]).unbind(-1)
    held = matrix_to_quaternion(euler_to_matrix(angles.clamp(low, high))).numpy()
    past = ((angles < low) | (angles > high)).any(-1).numpy()
    return np.where(past[..., None], held, rotations)


def jerk(values: Tensor) -> Tensor:
    """(t, ..., n) circular -> (t, ...) squared second differences, as for a cycle of 30 frames."""
    second = torch.roll(values, 1, 0) + torch.roll(values, -1, 0) - 2 * values
    return second.square().sum(-1) * (len(values) / 30) ** 4
