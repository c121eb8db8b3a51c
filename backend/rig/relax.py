"""Smooths skinning weights where test bends turn triangles over.

Enters: weights on the fold (left bones only, see `weights`), mesh, skeleton. Leaves: weights of the same kind. Every left leg
bone is turned by +-TEST about its hinge, then knee and elbow fold; the vertices of triangles that turn over, or nearly do, take
on part of their neighbours' mean, ring by ring, until none is left or ROUNDS are over.
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

ROUNDS = 25
TEST = math.radians(44.0)
"""A little over what must hold."""
FOLD = math.radians(95.0)
NEARLY = 0.03
"""A triangle counts as turned over where its projected area falls below this share of its area at rest."""
RINGS = 2
STRENGTH = 0.7


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
    turns = _test_bends(skeleton)
    for _ in range(ROUNDS):
        faces = mesh.faces[left & (dense[:, paired].sum(1) > 0)[mesh.faces].any(1)]
        used, local = np.unique(faces, return_inverse=True)
        local = local.reshape(faces.shape)
        normals = face_normals(rest[used], local)
        area = (normals * normals).sum(1)
        bad = np.zeros(len(faces), bool)
        for bend in turns:
            posed, blended = bend_vertices(rest[used], dense[used], bend)
            turned = np.einsum("fij,fj->fi", blended[local[:, 0]] + blended[local[:, 1]] + blended[local[:, 2]], normals) / 3
            bad |= (face_normals(posed, local) * turned).sum(1) < NEARLY * area
        if not bad.any():
            break
        touched = np.zeros(len(dense))
        touched[faces[bad]] = 1
        touched = np.maximum(touched, touched[twin])
        for ring in range(RINGS):
            touched = np.maximum(touched, (1 - 0.4 * (ring + 1)) * (links @ (touched > 0) > 0))
        amount = STRENGTH * touched[:, None]
        dense = (1 - amount) * dense + amount * (mean @ dense)
        dense[np.ix_(on_plane, paired)] = 0
        dense /= dense.sum(1, keepdims=True)
    return dense


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
