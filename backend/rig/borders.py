"""Where a limb ends: how much of each vertex belongs to it, smooth across its border with the trunk.

Enters: a rest mesh, its skeleton and every vertex's part (`territory`). Leaves: each limb's share of each vertex on the fold x >= 0.
The border of a part is diffused over the surface, (M + l^2 L) m = M p as in bone heat (Baran and Popovic 2007), with l of the limb's
own thickness, held at 0 on the plane of symmetry so that left and right never share a vertex.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from backend.rig.chain import ramp
from backend.rig.territory import Part, fold, inscribed_radius, part_bones
from backend.types import Mesh, Skeleton

Array = NDArray[np.float64]

FIRST_BONES = {Part.FRONT: 2, Part.HIND: 1, Part.TAIL: 1, Part.EAR: 1}
"""Bones of a part that lie in the trunk, or begin there."""
DIFFUSION = 0.8
"""Diffusion length at a part's border, in inscribed radii of its first bones, of the tail in those of all."""
BORDER_WIDTH = {Part.FRONT: 0.75, Part.HIND: 0.7, Part.TAIL: 0.8, Part.EAR: 0.5}
"""Half width of a part's border, in distances from its first joints."""


def laplacian(mesh: Mesh) -> tuple[csr_matrix, Array]:
    """Cotangent Laplacian (v, v), positive semidefinite and without negative weights, and vertex areas (v,)."""
    vertices, count = mesh.vertices.astype(np.float64), len(mesh.vertices)
    rows, columns, weights = [], [], []
    areas = np.zeros(count)
    for k in range(3):
        i, j, o = mesh.faces[:, k], mesh.faces[:, (k + 1) % 3], mesh.faces[:, (k + 2) % 3]
        a, b = vertices[i] - vertices[o], vertices[j] - vertices[o]
        double = np.linalg.norm(np.cross(a, b), axis=1).clip(1e-12)
        rows += [i, j]
        columns += [j, i]
        weights += [((a * b).sum(1) / double / 2).clip(0.02, 10.0)] * 2
        np.add.at(areas, o, double / 6)
    edges = coo_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), (count, count)).tocsr()
    return (diags(np.asarray(edges.sum(1)).ravel()) - edges).tocsr(), areas.clip(1e-12)


def part_shares(mesh: Mesh, skeleton: Skeleton, labels: NDArray[np.int64]) -> dict[Part, Array]:
    """(v,) of each limb on the fold: how much of a vertex belongs to it, from its label (v,); their sum is at most 1.

    The diffused label is 1 - exp(-s / l) / 2 at a distance s inside the border and exp(s / l) / 2 outside (Varadhan), so it
    gives back a smooth signed distance along the surface; a step of finite width over it ends where it should.
    """
    stiffness, areas = laplacian(mesh)
    vertices = fold(mesh.vertices)
    tree = cKDTree(vertices)
    on_plane = mesh.vertices[:, 0] == 0
    shares = {}
    for part, bones in part_bones(skeleton).items():
        first = bones[: FIRST_BONES[part]]
        thick = bones if part == Part.TAIL else first  # a tail begins in the rump, whose thickness isn't its own
        middles = (skeleton.heads[thick] + skeleton.tails[thick]).astype(np.float64) / 2
        radius = float(inscribed_radius(middles, tree).mean())
        length = DIFFUSION * radius
        system = (diags(areas) + length**2 * stiffness).tocsc()
        source = areas * (labels == part)
        if part != Part.TAIL:
            # The plane of symmetry is no limb's: a paired limb's share must be 0 there.
            source[on_plane] = 0
            system = system + diags(np.where(on_plane, 1e6 * areas.max(), 0))
        inside = splu(system.tocsc()).solve(source).clip(1e-12, 1 - 1e-12)
        distance = length * np.where(inside > 0.5, -np.log(2 * (1 - inside)), np.log(2 * inside))
        # A turn about a joint moves skin in proportion to its distance, and so must the border widen: by the distance of the
        # border itself, which lies nearer to the joint than what is well inside the limb.
        joints = skeleton.heads[first].astype(np.float64)
        reach = np.mean([np.linalg.norm(vertices - joint, axis=1) for joint in joints], 0) - distance.clip(0)
        width = np.clip(BORDER_WIDTH[part] * reach, 0.5 * radius, 3.0 * radius)
        shares[part] = ramp(distance / (2 * width) + 0.5) * (~on_plane | (part == Part.TAIL))
    total = np.maximum(np.sum(list(shares.values()), axis=0), 1.0)
    return {part: share / total for part, share in shares.items()}
