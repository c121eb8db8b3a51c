"""A made-up walk past a still camera, and what the network would see of it: the tests of clips share it.

Object units as the network's (a leg is about 1.2), camera axes OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.methods.fauna.clip.flow import unknown
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.packed import Packed
from backend.methods.fauna.clip.track import Track
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fitting.evidence import project
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE
from backend.methods.fauna.heads import RestShape
from backend.rig.kinematics import pose_points
from backend.rig.rotations import axis_angle_to_matrix, euler_to_matrix
from backend.rig.template import load_quadruped
from tests.rig.animals import rest_points

TEMPLATE = load_quadruped()
FPS = 12.0
FRAMES = 30
STRIDE = 14
"""Frames of a whole step of all four feet."""
SWING = 0.35
FOCAL = 4.5
"""Of the crops, half widths."""
DISTANCE, SPEED = 11.0, 1.4
"""Object units; units a second."""
REST = torch.from_numpy((rest_points() - [0.0, 0.7, 0.45]) * 1.9).float()
FROM_THE_SIDE = torch.tensor([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
"""Object to camera: the animal faces the picture's right."""


def turned(axis: tuple[float, float, float], angle: float) -> Tensor:
    """(3, 3)."""
    return torch.from_numpy(axis_angle_to_matrix(np.array(axis), np.asarray(angle))).float()


@cache
def no_network() -> Any:
    """What tracks need of the model: its template and how it folds rest points."""
    return SimpleNamespace(template=TEMPLATE, netInstance=SimpleNamespace(netRest=RestShape(BUNDLED, TEMPLATE)))


def walk(frames: int = FRAMES) -> Track:
    """Thighs and shins swing as sinusoids, diagonal legs together; the body goes to the picture's right and turns a little."""
    phase = 2 * torch.pi * torch.arange(frames) / STRIDE
    angles = torch.zeros(frames, sum(bone.deform for bone in TEMPLATE.bones), 3)
    for number, leg in enumerate(TEMPLATE.legs):
        swing = torch.sin(phase + torch.pi * (number in (1, 2)))
        angles[:, leg.bones[0] - 1, 0] = SWING * swing  # the root does not deform
        angles[:, leg.bones[1] - 1, 0] = 0.6 * SWING * swing
    angles[:, TEMPLATE.bone_index["neck.001"] - 1, 0] = 0.15 * torch.cos(phase)
    seconds = torch.arange(frames) / FPS
    heading = FROM_THE_SIDE @ turned((0.0, 1.0, 0.0), 0.5)
    rotation = torch.stack([heading @ turned((0.0, 1.0, 0.0), 0.15 * float(second)) for second in seconds])
    place = torch.stack([SPEED * (seconds - float(seconds[-1]) / 2), torch.full_like(seconds, 0.3), torch.full_like(seconds, DISTANCE)], 1)
    return Track(rotation, place, angles, REST)


def posed(track: Track) -> Tensor:
    """(t, P, 3), object frame."""
    root = torch.eye(3).expand(len(track.angles), 1, 3, 3)
    return pose_points(track.rest[None], torch.cat([root, euler_to_matrix(track.angles)], 1))


@dataclass(frozen=True)
class Noise:
    """Of what is seen, half widths, and of what is lifted, object units."""

    seen: float = 0.0
    lifted: float = 0.0
    seed: int = 0


def look_at(track: Track, noise: Noise = Noise()) -> Looks:  # noqa: B008  (frozen)
    """What would be seen of the track's points: each crop looks at the body, the first hypothesis of each view is right."""
    dice = torch.Generator().manual_seed(noise.seed)
    count, points = len(track.rotation), posed(track)
    across = torch.atan2(track.translation[:, 0], track.translation[:, 2])
    turn = torch.stack([turned((0.0, -1.0, 0.0), float(angle)) for angle in across])
    rotation, translation = turn @ track.rotation, (turn @ track.translation[..., None])[..., 0]
    focal = torch.full((count,), FOCAL)
    seen = project(points, rotation, translation, focal[:, None, None])
    lifted = points @ rotation.transpose(1, 2)
    lifted = lifted - lifted.mean(1, keepdim=True)
    quarters = torch.stack([turned((0.0, 1.0, 0.0), quarter * torch.pi / 2) for quarter in range(4)])
    zero = torch.zeros
    return Looks(
        numbers=torch.arange(count), turn=turn, focal=focal, mask=Packed.of(zero(count, RENDER_SIZE, RENDER_SIZE, dtype=torch.uint8)),
        flow=Packed.of(unknown().repeat(count, 1, 1, 1)), code=zero(count, 4), feature=zero(count, 4), light=zero(count, 4),
        category=track.rest.expand(count, -1, 3).clone(),
        rest=track.rest.expand(count, -1, 3).clone(), girth=zero(count, 4, 2), rotation=rotation[:, None] @ quarters,
        translation=translation, logits=torch.tensor([0.0, 1.0, 1.0, 1.0]).repeat(count, 1),
        seen=seen + noise.seen * torch.randn(seen.shape, generator=dice), confidence=torch.ones(seen.shape[:2]),
        lifted=lifted + noise.lifted * torch.randn(lifted.shape, generator=dice),
        limb_place=zero(count, 2, 2, 4, 2), limb_mass=zero(count, 2, 2, 4), limb_odds=zero(count, 2, 4),
    )  # fmt: skip
