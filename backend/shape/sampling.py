"""Points spread evenly over a triangle mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sample_surface(vertices: NDArray[np.floating], faces: NDArray[np.integer], rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """vertices (v, 3), faces (f, 3) -> (count, 3) points, spread evenly over the area. Raises ValueError where there is none."""
    corners = vertices.astype(np.float64)[faces]  # (f, 3, 3)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    if not area.sum() > 0:
        raise ValueError("The mesh has no area.")
    # One draw in each equal share of the area: steadier than independent draws.
    places = (np.arange(count) + rng.random(count)) / count * area.sum()
    triangles = corners[np.minimum(np.searchsorted(np.cumsum(area), places), len(area) - 1)]
    root, along = np.sqrt(rng.random(count))[:, None], rng.random(count)[:, None]
    inside: NDArray[np.float64] = (1 - root) * triangles[:, 0] + root * ((1 - along) * triangles[:, 1] + along * triangles[:, 2])
    return inside
