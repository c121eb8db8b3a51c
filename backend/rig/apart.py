"""Four legs to stand on: a level cut through the shins runs round each leg by itself.

Enters: a closed rest mesh with its rest points or skeleton. Leaves: whether its legs are apart, and rest points that make them so
where elbows or knees were placed up in the trunk: a short-legged animal's lie about as high as its chest's lower line.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.rig.embed import embed_points
from backend.rig.skeleton import body_length, build_skeleton
from backend.rig.template import load_quadruped
from backend.shape.checks import cut_loops
from backend.types import FloatArray, Mesh, Skeleton

SHINS = ("front_shin", "shin")
STEP, STEPS = 0.02, 8
"""How far joints are lowered at a time, in body lengths, and how often at most."""


def lower_shins(mesh: Mesh, points: FloatArray) -> FloatArray:
    """(42, 3) rest points inside the mesh -> the same, with the lower of the two pairs of shins moved down until the legs are apart.

    Where that can't be had the points stay as they are.
    """
    template = load_quadruped()
    step = STEP * float(body_length(torch.from_numpy(points)))
    moved = points
    for _ in range(STEPS):
        skeleton = build_skeleton(moved)
        if legs_apart(mesh, skeleton):
            return moved
        lowest = min(SHINS, key=lambda shin: float(_middle(skeleton, f"{shin}.L")[1]))
        bones = [template.bone_index[f"{lowest}.{side}"] for side in "LR"]
        moved = moved.copy()
        moved[[*template.head_points[bones], *template.tail_points[bones]], 1] -= step
        moved = embed_points(mesh, moved)
    return points


def legs_apart(mesh: Mesh, skeleton: Skeleton) -> bool:
    """True if a level cut at the lower of the two mid-shin heights has four loops, each round one leg's bones alone.

    A tail or a belly that hangs as low has loops of its own there, which don't count.
    """
    middles = {f"{shin}.{side}": _middle(skeleton, f"{shin}.{side}") for shin in SHINS for side in "LR"}
    height = float(min(middle[1] for middle in middles.values()))
    places = [_crossing(skeleton, shin, height) for shin in middles]
    loops = cut_loops(mesh.vertices, mesh.faces, height)
    owners = []
    for place in places:
        # Points of a loop come in no order: a place belongs to the loop that goes round it, seen from there.
        round_it = [i for i, loop in enumerate(loops) if _surrounds(loop[:, [0, 2]] - place)]
        owners.append(min(round_it, key=lambda i: float(np.ptp(loops[i], axis=0).max()), default=-1))
    return -1 not in owners and len(set(owners)) == len(places)


def _middle(skeleton: Skeleton, name: str) -> NDArray[np.floating]:
    """(3,) of a bone."""
    return (skeleton.heads + skeleton.tails)[skeleton.names.index(name)] / 2


def _crossing(skeleton: Skeleton, shin: str, height: float) -> NDArray[np.float64]:
    """(2,) x and z where a leg, from its shin down, passes a height."""
    base, side = shin.rsplit(".", 1)
    chain = [shin, f"{base.replace('shin', 'foot')}.{side}", f"{base.replace('shin', 'toe')}.{side}"]
    for name in chain:
        head, tail = skeleton.heads[skeleton.names.index(name)], skeleton.tails[skeleton.names.index(name)]
        if min(head[1], tail[1]) <= height <= max(head[1], tail[1]):
            share = (height - head[1]) / (tail[1] - head[1]) if tail[1] != head[1] else 0.0
            return np.asarray((head + share * (tail - head))[[0, 2]], np.float64)
    return np.asarray(_middle(skeleton, shin)[[0, 2]], np.float64)


def _surrounds(offsets: NDArray[np.float64]) -> bool:
    """True if (n, 2) offsets leave no half circle free: the origin lies in their midst."""
    angles = np.sort(np.arctan2(offsets[:, 1], offsets[:, 0]))
    return bool(np.diff(np.concatenate([angles, angles[:1] + 2 * np.pi])).max() < np.pi)
