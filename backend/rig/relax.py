"""Smooths skinning weights where test bends turn triangles over.

Enters: weights on the fold (left bones only, see `weights`), mesh, skeleton. Leaves: weights of the same kind. Every left leg
bone is turned by +-TEST about its hinge, then knee and elbow fold; the vertices of triangles that turn over, or nearly do, take
on part of their neighbours' mean, ring by ring, until none is left or ROUNDS are over; the best weights on the way are kept.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags

from backend.rig.checks import CROUCH_SIGNS, bend_transforms, bend_vertices, face_normals
from backend.rig.template import load_quadruped
from backend.rig.territory import adjacency
from backend.types import Mesh, Skeleton

Array = NDArray[np.float64]

ROUNDS = 40
TEST = math.radians(44.0)
"""A little over what must hold."""
FOLD = math.radians(91.0)
NEARLY = 0.03
"""A triangle counts as turned over where its projected area falls below this share of its area at rest."""
CHECKED = 8
"""Rounds after which all bends are looked at again."""
STRENGTH = 0.8
"""Share of the neighbours' mean that the vertices of such a triangle take on in one round."""
ROUNDS_A_RING = 4
"""The patch that is smoothed reaches two rings further, and one more after as many rounds."""


def relax(dense: Array, mesh: Mesh, skeleton: Skeleton) -> Array:
    """(v, b) weights on the fold -> the same, smoothed where needed; rows keep their sums, legs keep to themselves."""
    links = adjacency(mesh)
    mean = (diags(1 / np.asarray(links.sum(1)).ravel().clip(1)) @ links).tocsr()
    rest = mesh.vertices.astype(np.float64)
    rest[:, 0] = np.abs(rest[:, 0])
    twin = np.arange(len(dense)) if mesh.mirror is None else mesh.mirror
    template = load_quadruped()
    paired = np.array([not name.endswith(".R") and template.mirror_bones[template.bone_index[name]] != template.bone_index[name]
                       for name in skeleton.names])  # fmt: skip
    on_plane = mesh.vertices[:, 0] == 0
    left = (mesh.vertices[mesh.faces, 0] >= 0).all(1)
    bends = _test_bends(skeleton)
    pending = list(range(len(bends)))
    best, least = dense, math.inf
    for number in range(ROUNDS):
        faces = mesh.faces[left & (dense[:, paired].sum(1) > 0)[mesh.faces].any(1)]
        folded = _folded(rest, faces, dense, bends, pending)
        if len(pending) < len(bends) and (not folded or number % CHECKED == 0):
            pending = list(range(len(bends)))  # what was smoothed for one bend may have harmed another
            folded = _folded(rest, faces, dense, bends, pending)
        if not folded:
            return dense
        if len(pending) == len(bends) and (count := max(map(len, folded.values()))) < least:
            best, least = dense, count
        pending = sorted(folded)
        touched = np.zeros(len(dense), bool)
        touched[np.concatenate(list(folded.values())).ravel()] = True
        touched |= touched[twin]
        amount = STRENGTH * touched
        for ring in range(2 + number // ROUNDS_A_RING):
            touched = links @ touched > 0
            amount = np.maximum(amount, STRENGTH * 0.75 ** (ring + 1) * touched)
        dense = (1 - amount[:, None]) * dense + amount[:, None] * (mean @ dense)
        dense[np.ix_(on_plane, paired)] = 0
        dense /= dense.sum(1, keepdims=True)
    return best


def _folded(rest: Array, faces: NDArray[np.int32], dense: Array, bends: list[Array], which: list[int]) -> dict[int, NDArray[np.int32]]:
    """The bends among `which` that turn triangles over, and those triangles (n, 3)."""
    result = {}
    for number in which:
        # One bone turns, with all below it: what follows it wholly, or not at all, keeps its shape.
        turning = np.abs(bends[number] - np.eye(4)).max((1, 2)) > 1e-9
        share = dense[:, turning].sum(1)
        bent = faces[(share > 0)[faces].any(1) & (share < 1 - 1e-9)[faces].any(1)]
        used, local = np.unique(bent, return_inverse=True)
        local = local.reshape(bent.shape)
        normals = face_normals(rest[used], local)
        posed, blended = bend_vertices(rest[used], dense[used], bends[number])
        turned = np.einsum("fij,fj->fi", blended[local[:, 0]] + blended[local[:, 1]] + blended[local[:, 2]], normals) / 3
        bad = (face_normals(posed, local) * turned).sum(1) < NEARLY * (normals * normals).sum(1)
        if bad.any():
            result[number] = bent[bad]
    return result


def _test_bends(skeleton: Skeleton) -> list[Array]:
    """Transforms (b, 4, 4) of the tests, on the left legs."""
    template = load_quadruped()
    bends = []
    for leg in template.legs:
        if leg.side == "L":
            for number in (*(() if leg.girdle is None else (leg.girdle,)), *leg.bones):
                bends += [bend_transforms(skeleton, {template.bone_names[number]: angle}) for angle in (TEST, -TEST)]
    bends += [bend_transforms(skeleton, {f"{base}.L": sign * FOLD}) for base, sign in CROUCH_SIGNS.items()]
    return bends
