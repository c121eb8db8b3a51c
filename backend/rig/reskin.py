"""Weights anew for bones that a person has moved, of a mesh that stays as it is.

Enters: a closed rest mesh and a skeleton of the template's bones, which need not be mirrored any more. Leaves: `types.Skin`. Weights are
found for animals that are the same on both sides (`weights`), so each half of the mesh gets those of the animal that has this half's
bones on both; what lies on the plane between them gets the mean.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.rig.checks import BendReport, dense_weights
from backend.rig.names import mirror_name
from backend.rig.weights import fitted_weights, prune
from backend.types import FloatArray, IntArray, Mesh, Skeleton, Skin

TWIN = 1e-5
"""Of the mesh's height: how far mirrored vertices, or bones, may lie from each other's images."""
FLIP: FloatArray = np.array([-1, 1, 1], np.float32)


def weights_anew(mesh: Mesh, skeleton: Skeleton) -> tuple[Skin, list[BendReport]]:
    """Weights of a closed rest mesh (object frame) on moved bones, and how the halves bend; one report where they are alike.

    Raises ValueError where the mesh is empty or not finite.
    """
    near = TWIN * max(float(np.ptp(mesh.vertices[:, 1])), 1e-9)
    mesh = replace(mesh, mirror=mirror_of(mesh.vertices, near))
    left = mirrored(skeleton, "L")
    skin, report = fitted_weights(mesh, left)
    if all(np.abs(getattr(left, ends) - getattr(skeleton, ends)).max() <= near for ends in ("heads", "tails")):
        return skin, [report]
    other, other_report = fitted_weights(mesh, mirrored(skeleton, "R"))
    count, x = len(skeleton.names), mesh.vertices[:, :1]
    dense = np.where(x > near, dense_weights(skin, count), dense_weights(other, count))
    middle = (dense_weights(skin, count) + dense_weights(other, count)) / 2
    return prune(np.where(np.abs(x) <= near, middle, dense), skeleton), [report, other_report]


def mirror_of(vertices: FloatArray, near: float) -> IntArray | None:
    """(v,) each vertex' twin across x = 0; None where one has none within `near`, or two have the same."""
    gaps, twin = cKDTree(vertices).query(vertices * FLIP)
    paired = bool((gaps <= near).all() and (twin[twin] == np.arange(len(vertices))).all())
    return twin.astype(np.int32) if paired else None


def mirrored(skeleton: Skeleton, side: str) -> Skeleton:
    """The skeleton with one side's bones ("L" or "R") on both sides, and the centre's on the plane between them."""
    names = skeleton.names
    source = np.array([names.index(name if name.endswith(f".{side}") else mirror_name(name)) for name in names])
    paired = np.array([name.endswith((".L", ".R")) for name in names])
    copied = paired & (source != np.arange(len(names)))

    def both(vectors: FloatArray) -> FloatArray:
        found = np.where(copied[:, None], vectors[source] * FLIP, vectors)
        found[~paired, 0] = 0
        return np.ascontiguousarray(found, np.float32)

    heads, tails = both(skeleton.heads), both(skeleton.tails)
    return replace(skeleton, heads=heads, tails=tails, z_axes=across(tails - heads, both(skeleton.z_axes)))


def across(along: NDArray[np.floating], z_axes: NDArray[np.floating]) -> FloatArray:
    """Unit vectors (b, 3) across bones (b, 3), nearest to given ones."""
    y = along / np.linalg.norm(along, axis=1, keepdims=True).clip(1e-12)
    z = z_axes - (z_axes * y).sum(1, keepdims=True) * y
    return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True).clip(1e-12), np.float32)
