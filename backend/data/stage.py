"""Animals made ready to be pictured: all their poses, and the shape variants of each.

Enters a `Quadruped` and its archive; leaves a `Stage` (poses sampled from its clips, with the template's bone frames in
each) and `Figure`s (one shape variant: rest mesh and points, and the same variant in any of the poses). A posed figure
stands in the object frame: pelvis where it rests, the withers straight ahead of it (+Z) seen from above.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from backend.data import quadrupeds, variety
from backend.data.cross_sections import crossings
from backend.data.folding import random_fold
from backend.data.quadrupeds import DIAGONAL, Quadruped
from backend.data.smoothing import weld
from backend.data.variety import Variation
from backend.data.zero_ad import Archive
from backend.rig.proportions import template_weights
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from backend.types import ByteArray, FloatArray, IntArray

FRAMES_A_CLIP = 24
SHARPNESS, OVERSHOOT = 3.0, 2.0
"""Of the weights by which an animal's parts vary: sharper than those that carry a whole shape, so that each part varies on its own."""
KINDS: tuple[tuple[str, float], ...] = (
    ("death", 0.02), ("sit", 0.10), ("lay", 0.06), ("rest", 0.05), ("idle", 0.38), ("feed", 0.10), ("gather", 0.04), ("walk", 0.22),
    ("pace", 0.06), ("trot", 0.08), ("canter", 0.06), ("run", 0.14), ("gallop", 0.08), ("attack", 0.08),
)  # fmt: skip
"""What a clip's name holds -> the share of pictures; the first that fits counts."""
REST_SHARE = 0.05
FOLDED = 0.15
"""Chance that an animal of training's pictures lies, sits or crouches, whatever its clip."""
LENGTH_RANGE = (0.6, 1.55)
"""Posed over rest length that every leg bone must keep, else the clip was made for another body."""


@dataclass(frozen=True)
class Stage:
    """matrices (t, b, 4, 4): the rig's skinning of each pose; points (t, 42, 3); frames (t, bones, 4, 4): the template's bones;
    shares (t,): how often each pose is pictured, sum 1; influence (v, bones): template weights; index (v,): welded places."""

    animal: Quadruped
    matrices: FloatArray
    points: FloatArray
    frames: NDArray[np.float64]
    shares: NDArray[np.float64]
    names: tuple[str, ...]
    influence: FloatArray
    index: NDArray[np.int64]
    skins: tuple[ByteArray, ...]


@dataclass(frozen=True)
class Figure:
    """One shape variant of a stage's animal. vertices, points: at rest, canonical frame; radii (42,): how deep each
    point lies under the skin; scale: from the animal's units to the variant's; offset (v, 3): of the animal's own rest skin, before
    its parts are scaled (see `blends`)."""

    stage: Stage
    variation: Variation
    vertices: FloatArray
    points: FloatArray
    radii: FloatArray
    scale: float
    offset: FloatArray


@njit(cache=True)
def _skin(vertices, bones, weights, matrices):  # type: ignore[no-untyped-def]
    out = np.zeros((len(vertices), 3), np.float32)
    for v in range(len(vertices)):
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        for k in range(4):
            w = weights[v, k]
            if w > 0:
                m = matrices[bones[v, k]]
                for r in range(3):
                    out[v, r] += w * (m[r, 0] * x + m[r, 1] * y + m[r, 2] * z + m[r, 3])
    return out


def build_stage(archive: Archive, name: str) -> Stage:
    """Load an animal, its poses and skins. Raises as `quadrupeds.load`."""
    animal = quadrupeds.load(archive, name)
    bones = animal.point_weights.shape[1]
    matrices = [np.tile(np.eye(4, dtype=np.float32), (1, bones, 1, 1))]
    points, shares, labels = [animal.points[None]], [[REST_SHARE]], ["rest"]
    for clip_name in animal.clips:
        clip = archive.clip(clip_name)
        if clip.frames.shape[1] != bones:
            continue
        pick = np.unique(np.linspace(0, len(clip.frames) - 1, FRAMES_A_CLIP).astype(int))
        skinning = quadrupeds.skin_matrices(animal, clip)[pick]
        posed = np.stack([quadrupeds.posed_points(animal, m) for m in skinning])
        keep = np.flatnonzero(_plausible(animal.points, posed))
        if len(keep) < len(pick) / 2:
            continue
        share = next((s for word, s in KINDS if word in clip.name.lower()), 0.05)
        matrices.append(skinning[keep])
        points.append(posed[keep])
        shares.append([share / len(pick)] * len(keep))
        labels += [f"{clip.name}:{pick[k]}" for k in keep]
    every = np.concatenate(points)
    rotations, placement = solve_pose(animal.points, every)
    frames = variety.posed_frames(animal.points, rotations, placement)
    odds = np.concatenate([np.array(s) for s in shares])
    index = weld(animal.vertices)[1]
    influence = template_weights(animal.vertices, animal.faces, animal.points, index, SHARPNESS, OVERSHOOT)
    skins = tuple(np.ascontiguousarray(quadrupeds.skin_image(archive, s)[..., :3]) for s in animal.skins)
    return Stage(animal, np.concatenate(matrices), every, frames, odds / odds.sum(), tuple(labels), influence, index, skins)


def _plausible(rest: FloatArray, posed: FloatArray) -> NDArray[np.bool_]:
    """(t,) poses whose bones keep their length and whose spine isn't upright (its heading would be unknown)."""
    template = load_quadruped()
    bones = [i for i, b in enumerate(template.bones) if b.parent >= 0 and ("leg" in b.group or b.group == "torso")]
    heads, tails = template.head_points[bones], template.tail_points[bones]
    ratio = np.linalg.norm(posed[:, tails] - posed[:, heads], axis=2) / np.linalg.norm(rest[tails] - rest[heads], axis=1)
    spine = posed[:, template.point_index["withers"]] - posed[:, template.point_index["pelvis"]]
    level = np.hypot(spine[:, 0], spine[:, 2]) / np.linalg.norm(spine, axis=1) > 0.3
    return np.asarray((ratio > LENGTH_RANGE[0]).all(1) & (ratio < LENGTH_RANGE[1]).all(1) & level)


def build_figure(stage: Stage, variation: Variation, offset: FloatArray | None = None) -> Figure:
    """The variant at rest, brought back to the canonical frame (box centred, `DIAGONAL` across). offset: as in `Figure`."""
    animal = stage.animal
    frames = stage.frames[0]
    offset = np.zeros_like(animal.vertices) if offset is None else offset
    matrices = variety.stretch_matrices(variation, frames, animal.points)
    vertices = variety.stretch_vertices(matrices, stage.influence, animal.vertices + offset)
    points = variety.stretch_points(matrices, animal.points)
    low, high = vertices.min(0), vertices.max(0)
    scale = DIAGONAL / float(np.linalg.norm(high - low))
    middle = (low + high) / 2
    middle[0] = 0
    points = _mirror_exactly((points - middle) * scale)
    vertices = np.ascontiguousarray((vertices - middle) * scale, np.float32)
    return Figure(stage, variation, vertices, points, _depths(vertices, animal.faces, points), scale, offset)


def pose_figure(figure: Figure, frame: int, rng: np.random.Generator | None = None) -> tuple[FloatArray, FloatArray]:
    """Vertices (v, 3) and points (42, 3) of the variant in one of the stage's poses, object frame. rng: as `random_turns`."""
    stage = figure.stage
    vertices = _skin(stage.animal.vertices + figure.offset, stage.animal.bones, stage.animal.weights, stage.matrices[frame])
    points = stage.points[frame]
    if rng is not None or not figure.variation.is_identity:
        turns = None if rng is None else random_turns(points, rng)
        matrices = variety.stretch_matrices(figure.variation, stage.frames[frame], points, turns)
        vertices = variety.stretch_vertices(matrices, stage.influence, vertices)
        points = variety.stretch_points(matrices, points)
    index = load_quadruped().point_index
    pelvis, withers = points[index["pelvis"]], points[index["withers"]]
    heading = np.arctan2(withers[0] - pelvis[0], withers[2] - pelvis[2])
    c, s = np.cos(heading), np.sin(heading)
    turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32) * figure.scale
    rest = figure.points[index["pelvis"]]
    return np.asarray((vertices - pelvis) @ turn.T + rest, np.float32), np.asarray((points - pelvis) @ turn.T + rest, np.float32)


def random_turns(points: FloatArray, rng: np.random.Generator) -> NDArray[np.float64]:
    """(b, 3, 3) of one pose's points (42, 3): neck and tail turned further, and some animals laid down."""
    turns = variety.random_turns(points, rng)
    return turns @ random_fold(points, rng) if rng.random() < FOLDED else turns


def _mirror_exactly(points: FloatArray) -> FloatArray:
    """Right points become the mirror of the left, centre points get x = 0."""
    twin = load_quadruped().mirror_points
    mean = (points + points[twin] * np.array([-1, 1, 1], np.float32)) / 2
    left = np.array([n.endswith(".L") for n in load_quadruped().points])
    out = mean.copy()
    out[twin[left]] = mean[left] * np.array([-1, 1, 1], np.float32)
    out[twin == np.arange(len(twin)), 0] = 0
    return np.asarray(out, np.float32)


def _depths(vertices: FloatArray, faces: IntArray, points: FloatArray) -> FloatArray:
    """How far each rest point lies from the skin toward its own side: what hides it is not what merely wraps it."""
    out = np.empty(len(points), np.float32)
    for i, point in enumerate(points):
        hits = np.abs(crossings(vertices, faces, 0, (point[1], point[2])))
        beyond = hits[hits >= abs(point[0])]
        nearest = float(np.linalg.norm(vertices - point, axis=1).min())
        out[i] = min(float(beyond.max() - abs(point[0])) if len(beyond) else nearest, 3 * nearest + 0.1)
    return out
