"""Skeletons that no picture shows: proportions, poses and cameras at random, projected, for what lifts points into space.

Enters the training shapes' rest points and the training pictures' bone rotations; leaves the 2D points that a joint head would see,
with its mistakes, and the truth in space. Rest points lie between two shapes' and each part is scaled on its own; every leg, the neck
with the head, and the tail may take its pose from another picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.rig.kinematics import pose_points
from backend.rig.rotations import axis_angle_to_matrix, quaternion_to_matrix
from backend.rig.template import load_quadruped

RESTS = 4000
"""Rest skeletons made at the start, of which each sample takes one."""
MISTAKEN = 0.8
"""How far the category given is drawn from the right one toward another, at most."""
TURN = 0.12
"""Radians of noise about each axis of each bone."""
BORROWED = 0.35
"""Chance that a limb's pose is another picture's."""
NOISE, STRAY, SWAP = 0.03, 0.06, 0.15
"""Of the seen points: largest standard deviation in half widths, share of points far off, chance that a pair of legs is exchanged."""


@dataclass(frozen=True)
class Lifted:
    """seen (B, P, 2) in [-1, 1] y down, confidence (B, P); category (B, P, 3) rest points of something like it; points (B, P, 3) posed,
    about their mean, OpenGL camera axes; rest (B, P, 3) its own."""

    seen: Tensor
    confidence: Tensor
    category: Tensor
    points: Tensor
    rest: Tensor

    def to(self, device: torch.device) -> Lifted:
        """The same on a device."""
        return Lifted(*(value.to(device) for value in vars(self).values()))


class Skeletons:
    """A source of `Lifted` batches; everything follows from the generator given."""

    def __init__(self, rest: NDArray[np.floating], rotations: NDArray[np.floating], focal: float, rng: np.random.Generator) -> None:
        """rest (S, P, 3): training shapes; rotations (N, b, 4) wxyz: training poses; focal: of the crop, in half widths."""
        template = load_quadruped()
        self.focal, self.rotations = focal, rotations
        pair = rng.integers(len(rest), size=(RESTS, 2))
        share = rng.uniform(0, 1, (RESTS, 1, 1))
        self.categories = (1 - share) * rest[pair[:, 0]] + share * rest[pair[:, 1]]
        self.rests = _rescale(self.categories, rng)  # (R, P, 3)
        limbs = [list(leg.bones) + ([] if leg.girdle is None else [leg.girdle]) for leg in template.legs]
        for group in (("neck", "head", "jaw", "ear"), ("tail",)):
            limbs.append([i for i, name in enumerate(template.bone_names) if name.startswith(group)])
        self.limbs = limbs
        self.legs = [[template.point_index[n] for n in template.points if n.endswith(".L") and n.startswith(starts)] for starts in (
            ("scapula", "shoulder", "elbow", "wrist", "front"), ("hip", "knee", "hock", "hind"))]  # fmt: skip
        self.twin = template.mirror_points

    def draw(self, count: int, rng: np.random.Generator) -> Lifted:
        """One batch."""
        own, other = rng.integers(RESTS, size=(2, count))
        rest = torch.from_numpy(self.rests[own].astype(np.float32))
        away = rng.uniform(0, MISTAKEN, (count, 1, 1))
        category = torch.from_numpy(((1 - away) * self.categories[own] + away * self.categories[other]).astype(np.float32))
        turns = self.rotations[rng.integers(len(self.rotations), size=count)].astype(np.float32)  # (B, b, 4)
        for limb in self.limbs:
            other = self.rotations[rng.integers(len(self.rotations), size=count)]
            taken = rng.random(count) < BORROWED
            turns[:, limb] = np.where(taken[:, None, None], other[:, limb], turns[:, limb])
        noise = rng.normal(0, TURN * rng.random((count, 1, 1)), (count, turns.shape[1], 3))
        noise[:, 0] = 0
        angle = np.linalg.norm(noise, axis=2)
        shake = axis_angle_to_matrix(noise / np.maximum(angle, 1e-9)[..., None], angle).astype(np.float32)
        local = quaternion_to_matrix(torch.from_numpy(turns)) @ torch.from_numpy(shake)
        points = pose_points(rest, local)  # (B, P, 3)
        turned = points @ _cameras(count, rng).transpose(1, 2)
        turned = turned - turned.mean(1, keepdim=True)
        truth = self._project(turned, rng)
        return Lifted(*self._observe(truth, rng), category, turned, rest)

    def _project(self, points: Tensor, rng: np.random.Generator) -> Tensor:
        """Camera points -> (B, P, 2), so that their box fills about what an animal's does."""
        count = len(points)
        fill = torch.from_numpy(rng.uniform(0.55, 0.92, count).astype(np.float32))
        depth = torch.full((count,), 12.0)
        image = points[..., :2]
        for _ in range(3):
            away = (depth[:, None] - points[..., 2]).clamp_min(0.5)
            image = self.focal * points[..., :2] * points.new_tensor([1.0, -1.0]) / away[..., None]
            low, high = image.amin(1), image.amax(1)
            depth = depth * (high - low).amax(-1) / (2 * fill)
        shift = torch.from_numpy(rng.uniform(-0.1, 0.1, (count, 1, 2)).astype(np.float32))
        return image - (image.amin(1, keepdim=True) + image.amax(1, keepdim=True)) / 2 + shift

    def _observe(self, image: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The points as a joint head would see them -> positions, confidences."""
        count, number = image.shape[:2]
        seen = image.clone()
        for legs in self.legs:
            swapped = torch.from_numpy(np.flatnonzero(rng.random(count) < SWAP))[:, None]
            left, right = torch.tensor(legs), torch.from_numpy(self.twin[legs])
            seen[swapped, left], seen[swapped, right] = image[swapped, right], image[swapped, left]
        spread = NOISE * rng.random((count, 1, 1)) * np.ones((count, number, 1))
        stray = rng.random((count, number, 1)) < STRAY
        noise = rng.normal(0, np.where(stray, 0.2, spread), (count, number, 2))
        sure = 0.95 - 3 * np.linalg.norm(noise, axis=2) + rng.normal(0, 0.15, (count, number))
        confidence = torch.from_numpy(sure.clip(0.05, 1.0).astype(np.float32))
        return seen + torch.from_numpy(noise.astype(np.float32)), confidence


def _rescale(rest: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.floating]:
    """(R, P, 3) each bone made longer or shorter on its own, left and right alike; what hangs on it moves along."""
    template = load_quadruped()
    spread = np.array([0.08 if bone.group == "torso" else 0.18 for bone in template.bones])
    factor = np.exp(rng.normal(0, 1, (len(rest), len(spread))).clip(-1.8, 1.8) * spread)
    factor = factor[:, np.minimum(np.arange(len(spread)), template.mirror_bones)]
    out = rest.copy()
    placed = np.zeros(rest.shape[1], bool)
    placed[template.point_index["pelvis"]] = True
    for bone, (head, tail) in enumerate(zip(template.head_points, template.tail_points, strict=True)):
        if head < 0 or tail < 0:
            continue
        if not placed[head]:  # begins apart from its parent's end: keeps its place beside it
            above = template.tail_points[template.parents[bone]]
            above = above if above >= 0 else template.point_index["pelvis"]
            out[:, head] = out[:, above] + rest[:, head] - rest[:, above]
            placed[head] = True
        if not placed[tail]:
            out[:, tail] = out[:, head] + factor[:, bone, None] * (rest[:, tail] - rest[:, head])
            placed[tail] = True
    return out


def _cameras(count: int, rng: np.random.Generator) -> Tensor:
    """(B, 3, 3) object -> OpenGL camera axes: any azimuth, mostly at the animal's height, little roll."""
    azimuth = rng.uniform(-math.pi, math.pi, count)
    elevation = np.radians(np.where(rng.random(count) < 0.7, rng.triangular(-6, 6, 22, count), rng.uniform(-10, 40, count)))
    roll = np.radians(rng.normal(0, 3, count).clip(-8, 8))
    back = np.stack([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)], 1)
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(back, right)
    c, s = np.cos(roll)[:, None], np.sin(roll)[:, None]
    turn = np.stack([c * right + s * up, c * up - s * right, back], 1)
    return torch.from_numpy(turn.astype(np.float32))
