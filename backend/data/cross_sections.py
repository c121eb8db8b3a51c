"""Where a line parallel to an axis meets a triangle mesh: used to find the middle of a limb and the height of a back.

Enters vertices (v, 3) and faces (f, 3) of any triangle soup; leaves the crossings' coordinates on that axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.types import FloatArray, IntArray


def crossings(vertices: FloatArray, faces: IntArray, axis: int, line: tuple[float, float]) -> NDArray[np.float64]:
    """Sorted coordinates on `axis` at which the line crosses the mesh, without doubles closer than 1e-4 (shared edges).

    line: the line's place on the two other axes, in their order.
    """
    corner = vertices[faces].astype(np.float64)  # (f, 3, 3)
    p = np.delete(corner, axis, 2) - line  # (f, 3, 2)
    cross = [p[:, (k + 1) % 3, 0] * p[:, (k + 2) % 3, 1] - p[:, (k + 1) % 3, 1] * p[:, (k + 2) % 3, 0] for k in range(3)]
    weight = np.stack(cross, 1)  # (f, 3)
    total = weight.sum(1)
    hit = (np.abs(total) > 1e-12) & ((weight >= 0).all(1) | (weight <= 0).all(1))
    x = np.sort((corner[hit, :, axis] * weight[hit]).sum(1) / total[hit])
    if len(x) == 0:
        return x
    return np.asarray(x[np.concatenate([[True], np.diff(x) > 1e-4])])
