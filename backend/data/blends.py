"""Animals between animals: one drawn toward another in the canonical space, by a share.

Bones take lengths and girths between the two (as scales, so that every pose of the first animal serves), and the skin on the mean
skeleton moves onto the level set of the two's blended distances. Coats, poses and topology stay the first animal's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import identity

from backend.data.canonical import canonical_vertices, proportion_maps
from backend.data.distances import STEP, trilinear
from backend.data.girths import relative_girths
from backend.data.stage import Figure
from backend.rig.proportions import template_weights
from backend.rig.template import load_quadruped
from backend.shape.laplacian import face_adjacency, neighbour_mean
from backend.types import FloatArray

MOST = float(np.log(1.7))
"""Bound of the logarithm of a scale: between a giraffe's neck and a pig's lies more than weights on a mesh can carry."""
ROUNDS, LONGEST_STEP, FARTHEST = 8, 0.5 * STEP, 0.14
"""Of the way onto the blended level set, object units; beyond FARTHEST lies another part, not another shape of this one."""
SMOOTHING = 4
"""Rounds of averaging over neighbours that the offset goes through."""


@dataclass(frozen=True)
class Measures:
    """What proportions an animal has: points (42, 3) at rest, girths (b, 2) of `girths.measure_girths`."""

    points: FloatArray
    girths: NDArray[np.float64]


@dataclass(frozen=True)
class MeanSkeleton:
    """points (42, 3) and girths (b, 2) that all canonical shapes are brought to."""

    points: FloatArray
    girths: NDArray[np.float64]


def blend_scales(own: Measures, other: Measures, share: float) -> FloatArray:
    """(b, 3) factors along each bone's local X, Y and Z that take `own` a share of the way to `other`; ears keep theirs."""
    template = load_quadruped()
    lengths = [np.linalg.norm(m.points[template.tail_points] - m.points[template.head_points], axis=1) for m in (own, other)]
    along = np.log(np.maximum(lengths[1], 1e-6) / np.maximum(lengths[0], 1e-6))
    along[template.parents < 0] = 0
    across = np.nan_to_num(np.log(other.girths / own.girths))
    ratio = np.stack([across[:, 0], along, across[:, 1]], 1)
    ratio[[name.startswith("ear") for name in template.bone_names]] = 0
    return np.exp(share * ratio.clip(-MOST, MOST)).astype(np.float32)


def canonical_skin(mean: MeanSkeleton, figure: Figure, own: Measures) -> FloatArray:
    """(v, 3) the figure's skin on the mean skeleton."""
    return canonical_vertices(mean.points, figure, relative_girths(own.girths, mean.girths))


def blend_offset(
    figure: Figure,
    skin: FloatArray,
    mean: MeanSkeleton,
    own: Measures,
    grids: tuple[NDArray[np.floating], NDArray[np.floating]],
    share: float,
) -> FloatArray:
    """Displacement (v, 3) of the figure's rest vertices toward another animal's skin.

    skin (v, 3): `canonical_skin`; grids: canonical distances (positive inside) of the two; share: 0 stays.
    """
    faces, index = figure.stage.animal.faces, figure.stage.index
    moved = skin.astype(np.float64)

    def field(points: NDArray[np.float64]) -> NDArray[np.float64]:
        here = [trilinear(grid, points) for grid in grids]
        return np.asarray((1 - share) * here[0] + share * here[1], np.float64)

    for _ in range(ROUNDS):
        value = field(moved)
        slope = np.stack([(field(moved + d) - field(moved - d)) / STEP for d in np.eye(3) * STEP / 2], 1)  # (v, 3)
        step = -value[:, None] * slope / np.maximum((slope**2).sum(1, keepdims=True), 0.25)
        moved += step * np.minimum(1, LONGEST_STEP / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9))
    offset = moved - skin
    offset *= np.minimum(1, FARTHEST / np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-9))
    count = int(index.max()) + 1
    welded = np.zeros((count, 3))
    welded[index] = offset
    around = neighbour_mean(face_adjacency(index[faces], count) + identity(count))
    for _ in range(SMOOTHING):
        welded = around @ welded
    weights = template_weights(skin, faces, mean.points, index).astype(np.float64)
    back = proportion_maps(mean.points, figure.points, relative_girths(own.girths, mean.girths))
    linear = np.einsum("vb,bij->vij", weights, back[:, :3, :3])
    return np.einsum("vij,vj->vi", linear, welded[index]).astype(np.float32)
