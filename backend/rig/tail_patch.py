"""Which vertices are the tail's: those about its bones that hang together.

Enters: a rest mesh and the tail's bones. Leaves: a flag a vertex. Inscribed spheres, which tell the other parts apart (`territory`), fail
here: a tail is thin, its bones seldom run along its middle, and the plane of symmetry, which is trunk elsewhere, runs through all of it.
Cross-sections tell how far flesh reaches from the bones; where they run out into the rump, the tail's outer half tells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from backend.rig.sections import cut_loops, loop_points
from backend.shape.laplacian import adjacency
from backend.types import Mesh, Skeleton

Array = NDArray[np.float64]

RUMP = 0.25
"""Of the first bone: what still is rump."""
SECTIONS = 5
"""A bone's cross-sections."""
THICKEST = 2.0
"""Sections that reach farther, over the median in the tail's outer half, have run out into the rump: there the median counts."""
AROUND = 1.2
"""How far from the bones a vertex may be, in reaches: sections are cut at a few places only."""


def tail_patch(mesh: Mesh, skeleton: Skeleton, bones: list[int]) -> NDArray[np.bool_]:
    """(v,) whether a vertex belongs to the tail of these bones (from the base outward), one connected patch or nothing."""
    vertices = mesh.vertices.astype(np.float64)
    chain = np.concatenate([skeleton.heads[bones], skeleton.tails[bones[-1:]]]).astype(np.float64)
    places = (np.arange(SECTIONS * len(bones)) + 0.5) / SECTIONS
    reach = section_reach(mesh, chain, places)
    typical = np.median(reach[len(reach) // 2 :])
    reach = maximum_filter1d(np.where(reach > THICKEST * typical, typical, reach), 3, mode="nearest")
    place, gap = along(vertices, chain)
    beyond = place == len(bones)  # the end: flesh may reach beyond it, however thin it is
    allowed = AROUND * np.interp(place, places, reach)
    allowed[beyond] = np.maximum(allowed[beyond], np.linalg.norm(chain[-1] - chain[-2]))
    near = (place >= RUMP) & (gap <= allowed)
    mine = np.flatnonzero(near)
    if not len(mine):
        return near
    _, patch = connected_components(adjacency(mesh).tocsr()[mine][:, mine], directed=False)
    near[mine] = patch == np.bincount(patch, weights=~beyond[mine]).argmax()
    return near


def section_reach(mesh: Mesh, chain: Array, places: Array) -> Array:
    """(n,) largest distance from a chain's place (n, in bones) to the skin of the cross-section there."""
    vertices = mesh.vertices.astype(np.float64)
    tree = cKDTree(vertices)
    reach = []
    for place in places:
        bone = int(place)
        step = chain[bone + 1] - chain[bone]
        point = chain[bone] + (place - bone) * step
        normal = step / max(float(np.linalg.norm(step)), 1e-12)
        loops = [np.linalg.norm(loop_points(vertices, loop) - point, axis=1) for loop in cut_loops(mesh, point, normal)]
        nearest = min(loops, key=lambda gaps: float(gaps.min()), default=np.asarray(tree.query(point[None])[0]))
        reach.append(float(nearest.max()))
    return np.array(reach)


def along(vertices: Array, chain: Array) -> tuple[Array, Array]:
    """Vertices (v, 3), a chain's joints (j, 3) -> the nearest place on it (v,), in bones from 0 to j - 1, and how far it is (v,)."""
    heads, steps = chain[:-1], np.diff(chain, axis=0)
    offset = vertices[:, None] - heads
    share = ((offset * steps).sum(-1) / (steps * steps).sum(-1).clip(1e-12)).clip(0, 1)
    gaps = np.linalg.norm(offset - share[..., None] * steps, axis=-1)  # (v, j - 1)
    bone = gaps.argmin(1)
    rows = np.arange(len(vertices))
    return bone + share[rows, bone], gaps[rows, bone]
