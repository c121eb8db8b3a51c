"""The clip room's core without Blender, and walks with truth: a bundled motion, as if it had been seen in a clip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from tests.rooms_without_blender import module_of


def core(name: str) -> ModuleType:
    """blender_addon/clip/<name>.py as a module."""
    return module_of("clip", name)


@dataclass(frozen=True)
class Walk:
    """rig: a `retarget.rig.Rig`; moves: `keys.Moves`; period: frames of one cycle; step (3,): how far a cycle goes."""

    rig: Any
    moves: Any
    period: float
    step: np.ndarray


def seen(name: str = "horse_walk", frames: int = 70, fps: float = 24.0, turning: float = 0.0, noise: float = 0.0) -> Walk:
    """A ready motion that travels with the root bone. turning: radians of heading a cycle; noise: radians in every joint."""
    turns, rotations_, rig_ = module_of("motions", "turns"), module_of("retarget", "rotations"), module_of("retarget", "rig")
    seconds, target, steps = cycle_of(name)
    period, fine = seconds * fps, len(steps.rotations)
    timing = core("timing")
    cycles = int(np.ceil(frames / period)) + 2
    places = fine + np.arange(frames) * (fine / period)
    rotations = timing.resampled_turns(np.tile(steps.rotations, (cycles, 1, 1)), places)
    hips = timing.resampled(np.tile(steps.hips, (cycles, 1)), places)
    ahead = -steps.step * fine / period
    heading = turning * np.arange(frames) / period
    walked = np.cumsum(np.stack([-np.sin(heading), np.cos(heading), 0 * heading], -1) * ahead, 0)
    swayed = np.einsum("tij,tj->ti", about_up(heading), hips)
    tails = target.rest[:, :3, 3] + target.rest[:, :3, 1] * target.lengths[:, None]
    rig = rig_.Rig(target.names, target.parents, target.rest, tails)
    axes = rig.axes[0]
    rotations[:, 0] = rotations_.to_quaternions(axes.T @ about_up(heading) @ axes)
    if noise:
        bent = np.random.default_rng(4).normal(0, noise / 2, (*rotations.shape[:2], 3))
        bent[:, 0] = 0
        rotations = turns.multiply(rotations, np.concatenate([np.ones((*bent.shape[:2], 1)), bent], -1))
    rotations = rotations_.continuous(rotations / np.linalg.norm(rotations, axis=-1, keepdims=True))
    return Walk(rig, core("keys").Moves(rotations, walked + swayed, fps), period, np.array([0, ahead * period, 0]))


@lru_cache
def cycle_of(name: str) -> tuple[float, Any, Any]:
    """Seconds of a ready motion's cycle, its own animal's `motions.rig.Target`, and its `transfer.Steps` in fine frames."""
    library, rigs, transfer = (module_of("motions", room) for room in ("library", "rig", "transfer"))
    motion = library.load().motions[name]
    target = rigs.source_rig(motion.skeleton)
    return motion.seconds, target, transfer.transfer(motion, target, max(48, round(motion.seconds * 40)))


def about_up(angles: np.ndarray) -> np.ndarray:
    """(t,) -> (t, 3, 3) turns about Z."""
    out = np.tile(np.eye(3), (len(angles), 1, 1))
    out[:, 0, 0] = out[:, 1, 1] = np.cos(angles)
    out[:, 1, 0] = np.sin(angles)
    out[:, 0, 1] = -out[:, 1, 0]
    return out
