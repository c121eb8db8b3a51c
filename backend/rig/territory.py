"""Which part of the body a vertex belongs to: trunk with neck and head, front leg, hind leg, tail, ear.

Enters: a rest mesh and its skeleton. Leaves: a label a vertex. Nearest bones mislead here (a belly is nearer to the thigh
than to the spine), so the parts are filled with inscribed spheres and a vertex goes to the part whose sphere it is nearest to:
every point inside the plane of symmetry is trunk, a leg's or an ear's spheres sit on its bones. A vertex on a limb's surface
touches the limb's spheres, whatever else is near, so legs that almost meet stay apart. The tail goes by its cross-sections
(`tail_patch`). Everything is folded to x >= 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from backend.rig.names import parse_name
from backend.rig.sections import cut_loops, loop_points
from backend.rig.tail_patch import tail_patch
from backend.rig.template import load_quadruped
from backend.shape.laplacian import adjacency
from backend.types import Mesh, Skeleton

Array = NDArray[np.float64]

SPHERES_A_BONE = 9
SAGITTAL_STEPS = 60
"""Grid points of the plane of symmetry along its longer side."""
OFF_PLANE = 1e-6
"""Where the plane of symmetry is cut, in units of the mesh's size: vertices lie exactly on x = 0."""
GROWTH = {"shoulder": 1.35, "front_thigh": 1.2, "thigh": 1.15}
"""Bones whose flesh is wider than it is thick: their spheres count as larger."""


class Part(IntEnum):
    """Parts of the folded body."""

    TRUNK = 0
    FRONT = 1
    HIND = 2
    TAIL = 3
    EAR = 4


def parts_of(mesh: Mesh, skeleton: Skeleton) -> NDArray[np.int64]:
    """(v,) `Part` of each vertex; every part but the trunk is one connected patch a side."""
    vertices = fold(mesh.vertices)
    tree = cKDTree(vertices)
    limbs = part_bones(skeleton)
    spheres = {part: _bone_spheres(skeleton, bones, tree) for part, bones in limbs.items() if part != Part.TAIL}
    spheres[Part.TRUNK] = _sagittal_spheres(mesh, tree)
    order = sorted(spheres)
    gaps = np.stack([_power_gap(vertices, *spheres[part]) for part in order], 1)
    labels = np.array(order)[gaps.argmin(1)]
    if Part.TAIL in limbs:
        labels[tail_patch(mesh, skeleton, limbs[Part.TAIL])] = Part.TAIL
    return _one_patch_each(mesh, labels, limbs.keys() - {Part.TAIL})


def fold(points: NDArray[np.floating]) -> Array:
    """(n, 3) -> the same with x >= 0."""
    folded = points.astype(np.float64)
    folded[:, 0] = np.abs(folded[:, 0])
    return folded


def part_bones(skeleton: Skeleton) -> dict[Part, list[int]]:
    """Left (or centre) bones of each limb, from the trunk outward."""
    template = load_quadruped()
    parts: dict[Part, list[int]] = {}
    for number, name in enumerate(skeleton.names):
        bone, side = template.bones[template.bone_index[name]], parse_name(name).side
        if bone.group == "front leg.L":
            parts.setdefault(Part.FRONT, []).append(number)
        elif bone.group == "hind leg.L":
            parts.setdefault(Part.HIND, []).append(number)
        elif bone.group == "tail":
            parts.setdefault(Part.TAIL, []).append(number)
        elif parse_name(name).base == "ear" and side == "L":
            parts.setdefault(Part.EAR, []).append(number)
    return parts


def inscribed_radius(points: Array, tree: cKDTree) -> Array:
    """(n,) distance from each point to the nearest vertex."""
    return np.asarray(tree.query(points)[0])


def _bone_spheres(skeleton: Skeleton, bones: list[int], tree: cKDTree) -> tuple[Array, Array]:
    """Centres (n, 3) along the bones and radii (n,)."""
    share = np.linspace(0, 1, SPHERES_A_BONE)[:, None]
    centres = np.concatenate([skeleton.heads[b] * (1 - share) + skeleton.tails[b] * share for b in bones]).astype(np.float64)
    growth = [GROWTH.get(parse_name(skeleton.names[b]).base, 1.0) for b in bones]
    return centres, inscribed_radius(centres, tree) * np.repeat(growth, SPHERES_A_BONE)


def _sagittal_spheres(mesh: Mesh, tree: cKDTree) -> tuple[Array, Array]:
    """Centres (n, 3) on a grid of the plane x = 0 inside the mesh, and radii (n,)."""
    size = float(np.ptp(mesh.vertices, axis=0).max())
    loops = cut_loops(mesh, np.array([OFF_PLANE * size, 0, 0]), np.array([1.0, 0, 0]))
    outlines = [loop_points(mesh.vertices.astype(np.float64), loop)[:, 1:] for loop in loops]
    low = np.min([outline.min(0) for outline in outlines], 0)
    high = np.max([outline.max(0) for outline in outlines], 0)
    step = float((high - low).max()) / SAGITTAL_STEPS
    y, z = (np.arange(a + step / 2, b, step) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(y, z, indexing="ij"), -1).reshape(-1, 2)
    inside = np.zeros(len(grid), bool)
    for outline in outlines:
        inside ^= _in_polygon(grid, outline)
    centres = np.column_stack([np.zeros(int(inside.sum())), grid[inside]])
    return centres, inscribed_radius(centres, tree)


def _in_polygon(points: Array, outline: Array) -> NDArray[np.bool_]:
    """(n,) even-odd test of (n, 2) points against a closed outline (m, 2)."""
    start, end = outline, np.roll(outline, -1, 0)
    spans = (start[None, :, 1] > points[:, None, 1]) != (end[None, :, 1] > points[:, None, 1])
    rise = np.where(end[:, 1] == start[:, 1], 1.0, end[:, 1] - start[:, 1])
    at = start[:, 0] + (points[:, None, 1] - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
    return np.asarray((spans & (points[:, None, 0] < at)).sum(1) % 2 == 1)


def _power_gap(vertices: Array, centres: Array, radii: Array) -> Array:
    """(v,) least distance to a sphere's surface, outside positive."""
    gaps = np.full(len(vertices), np.inf)
    for start in range(0, len(centres), 64):
        offsets = vertices[:, None] - centres[None, start : start + 64]
        gaps = np.minimum(gaps, (np.sqrt(np.einsum("vcd,vcd->vc", offsets, offsets)) - radii[start : start + 64]).min(1))
    return gaps


def _one_patch_each(mesh: Mesh, labels: NDArray[np.int64], limbs: Iterable[Part]) -> NDArray[np.int64]:
    """Keeps of every paired limb, a side, the largest connected patch; the rest goes to the trunk."""
    links = adjacency(mesh).tocoo()
    right = mesh.vertices[:, 0] < 0
    for part in limbs:
        for side in (right, ~right):
            mine = np.flatnonzero((labels == part) & side)
            if not len(mine):
                continue
            place = np.full(len(labels), -1)
            place[mine] = np.arange(len(mine))
            keep = (place[links.row] >= 0) & (place[links.col] >= 0)
            graph = coo_matrix((links.data[keep], (place[links.row[keep]], place[links.col[keep]])), (len(mine), len(mine)))
            _, patch = connected_components(graph, directed=False)
            labels[mine[patch != np.bincount(patch).argmax()]] = Part.TRUNK
    return labels
