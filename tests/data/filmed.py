"""A made-up animal that walks in a made-up clip of the game's kind, and what stands in for the archive that would hold both."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from backend.data.clip_motion import ClipMotion, Play, read_motion
from backend.data.quadrupeds import Quadruped
from backend.data.zero_ad import BoneClip
from backend.rig.kinematics import pose_matrices, rest_frames
from backend.rig.rotations import euler_to_matrix
from backend.rig.template import load_quadruped
from tests.data.figures import made_up_stage

FPS = 24.0
CYCLE = 24
"""Frames of the clip's cycle; the file holds one less."""


@cache
def walker() -> tuple[Quadruped, BoneClip]:
    """Legs swing fore and aft and fold in the air, diagonal ones together; one cycle in a second, in place, turned to the animal's left."""
    template, animal = load_quadruped(), made_up_stage().animal
    rest = rest_frames(torch.from_numpy(animal.points.astype(np.float64))[None])
    phase = 2 * np.pi * np.arange(CYCLE) / CYCLE
    angles = torch.zeros(CYCLE, len(template.bones), 3, dtype=torch.float64)
    for number, leg in enumerate(template.legs):
        turn = phase + np.pi * (number in (1, 2))
        angles[:, leg.bones[0], 0] = torch.from_numpy(0.3 * np.sin(turn))
        fold = torch.from_numpy(0.7 * np.maximum(np.cos(turn), 0))
        angles[:, leg.bones[1], 0] = fold * (1 if leg.front else -1)
        angles[:, leg.bones[2], 0] = fold * (-1 if leg.front else 1)
    angles[:, template.bone_index["head"], 0] = torch.from_numpy(0.2 * np.sin(phase))
    posed = pose_matrices(rest, euler_to_matrix(angles)).numpy() @ np.linalg.inv(rest.numpy())
    left = np.array([[0, 0, 1, 2], [0, 1, 0, 0.3], [-1, 0, 0, -1], [0, 0, 0, 1.0]])
    return animal, BoneClip("bead_walk", (left @ posed)[:-1].astype(np.float32), 1 / FPS)


@cache
def walk() -> ClipMotion:
    """The walker over 30 frames, from the cycle's fourth on."""
    return read_motion(*walker(), Play(30, start=4), FPS)


class Shelf:
    """An archive of the walker's clip alone."""

    def clip(self, name: str) -> BoneClip:
        """The one clip, whatever it is called."""
        return walker()[1]

    def skin(self, name: str) -> np.ndarray:
        """A plain coat."""
        return np.full((4, 4, 4), 150, np.uint8)
