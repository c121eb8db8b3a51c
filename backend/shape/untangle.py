"""Takes out what stretching and thickening a clean mesh has spoilt: faces that cross others, and slivers.

Enters: a closed mirrored mesh whose vertices were moved since `cleanup`. Leaves: the same triangles, with the vertices next
to crossing or thin faces drawn to their neighbours' mean, ring by ring, until few are left. Both sides move alike, to
the last bit, and each stays on its side of x = 0; the rest of the mesh isn't touched.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.shape.checks import SLIVER_DEGREES, intersecting_faces, smallest_angles
from backend.shape.laplacian import adjacency, neighbour_mean
from backend.shape.remesh import LEAST_X
from backend.types import Mesh

ROUNDS = 40
PATIENCE = 8
"""Rounds without a better mesh than the best so far, after which that one is taken: more smoothing would only eat thin limbs."""
CROSSING_SHARE = 0.001
"""Of the faces, that may still cross when this stops."""
THIN_SHARE = 0.01
"""Of the faces, that may still be slivers."""
ROUNDS_A_RING = 3
"""The patch that is smoothed grows by a ring after as many rounds."""
STRENGTH, SWELLING = 0.8, 0.6
"""Share of the way to the neighbours' mean in one round, and share of that that is given back afterwards (Taubin 1995)."""


def untangle(mesh: Mesh) -> Mesh:
    """The mesh with few crossing faces and slivers; `mesh.mirror` must be set (ValueError)."""
    if mesh.mirror is None:
        raise ValueError("untangle needs a mesh with mirror twins")
    count = len(mesh.vertices)
    links = adjacency(mesh)
    mean = neighbour_mean(links)
    side = np.sign(_mirrored(mesh.vertices.astype(np.float64), mesh.mirror)[:, 0])
    side[mesh.mirror == np.arange(count)] = 0
    vertices = _sided(_mirrored(mesh.vertices.astype(np.float64), mesh.mirror), side)
    best, least, since = vertices, np.inf, 0
    for number in range(ROUNDS):
        crossing = intersecting_faces(vertices.astype(np.float32), mesh.faces)
        thin = smallest_angles(vertices.astype(np.float32), mesh.faces) <= SLIVER_DEGREES
        wrong = max(float(crossing.mean()) / CROSSING_SHARE, float(thin.mean()) / THIN_SHARE)
        since += 1
        if wrong < least:
            best, least, since = vertices, wrong, 0
        if wrong <= 1 or since > PATIENCE:
            break
        touched = np.zeros(count, bool)
        touched[mesh.faces[crossing | thin].ravel()] = True
        touched |= touched[mesh.mirror]
        amount = STRENGTH * touched
        for ring in range(1 + number // ROUNDS_A_RING):
            touched = links @ touched > 0
            amount = np.maximum(amount, STRENGTH * 0.7 ** (ring + 1) * touched)
        moved = vertices + amount[:, None] * (mean @ vertices - vertices)
        moved -= SWELLING * amount[:, None] * (mean @ moved - moved)
        vertices = _sided(_mirrored(moved, mesh.mirror), side)
    return replace(mesh, vertices=_exact(best, mesh.mirror))


def _mirrored(vertices: NDArray[np.float64], mirror: NDArray[np.int32]) -> NDArray[np.float64]:
    """(v, 3) -> its mirror-symmetric part."""
    return np.asarray((vertices + vertices[mirror] * np.array([-1.0, 1.0, 1.0])) / 2)


def _sided(vertices: NDArray[np.float64], side: NDArray[np.float64]) -> NDArray[np.float64]:
    """(v, 3) with each vertex at least a little on its own side of x = 0 (side: -1, 1, or 0 on the plane)."""
    vertices[:, 0] = side * np.maximum(vertices[:, 0] * side, float(LEAST_X))
    return vertices


def _exact(vertices: NDArray[np.float64], mirror: NDArray[np.int32]) -> NDArray[np.float32]:
    """(v, 3) float32, the right side copied from the left to the last bit."""
    result = vertices.astype(np.float32)
    left = result[:, 0] > 0
    result[mirror[left]] = result[left] * np.array([-1, 1, 1], np.float32)
    return np.ascontiguousarray(result)
