"""Welding and smooth subdivision of the game's coarse skinned meshes.

Enters a mesh with seams (vertices doubled where UVs part); leaves the same with every triangle cut in four and the
new vertices bulged out by Phong tessellation (Boubekeur and Alexa 2008): a midpoint moves toward its projections on
the tangent planes of its edge's ends. Seams stay closed, since both sides share welded positions and normals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.data.zero_ad import SkinnedMesh
from backend.types import FloatArray, IntArray

BULGE = 0.7
"""0: flat midpoints; 1: the full projection."""


def weld(vertices: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """Distinct places (w, 3) and for every vertex its place (v,); 1e-5 apart counts as one."""
    _, first, index = np.unique(np.round(vertices, 5), axis=0, return_index=True, return_inverse=True)
    return np.asarray(vertices[first], np.float32), index.ravel()


def smooth_normals(vertices: FloatArray, faces: IntArray, index: NDArray[np.int64]) -> FloatArray:
    """(v, 3) unit normals, angle-free area weights, the same on both sides of a seam (`index` as `weld` gives it)."""
    corner = vertices[faces]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    total = np.zeros((int(index.max()) + 1, 3))
    for k in range(3):
        np.add.at(total, index[faces[:, k]], face)
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return np.asarray(total[index], np.float32)


def subdivide(mesh: SkinnedMesh) -> SkinnedMesh:
    """One step: (v, f) -> (v + edges, 4 f). Skin weights of a new vertex are the mean of its ends', the 4 largest."""
    _, index = weld(mesh.vertices)
    normals = smooth_normals(mesh.vertices, mesh.faces, index)
    half = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), 1)
    edges, where = np.unique(half, axis=0, return_inverse=True)
    where = where.reshape(3, -1)  # (3, f)
    a, b = edges[:, 0], edges[:, 1]
    flat = (mesh.vertices[a] + mesh.vertices[b]) / 2
    lift = [((mesh.vertices[end] - flat) * normals[end]).sum(1, keepdims=True) * normals[end] for end in (a, b)]
    middle = flat + 0.5 * BULGE * (lift[0] + lift[1])  # the same from either side of a seam
    bones, weights = _mean_weights(mesh, a, b)
    count = len(mesh.vertices)
    m01, m12, m20 = (where[k] + count for k in range(3))
    v0, v1, v2 = mesh.faces.T
    faces = np.concatenate([np.stack(t, 1) for t in ((v0, m01, m20), (v1, m12, m01), (v2, m20, m12), (m01, m12, m20))])
    return replace(
        mesh,
        vertices=np.concatenate([mesh.vertices, middle]).astype(np.float32),
        normals=np.concatenate([normals, normals[a] + normals[b]]).astype(np.float32),
        uvs=np.concatenate([mesh.uvs, (mesh.uvs[a] + mesh.uvs[b]) / 2]).astype(np.float32),
        faces=faces.astype(np.int32),
        bones=np.concatenate([mesh.bones, bones]).astype(np.int32),
        weights=np.concatenate([mesh.weights, weights]).astype(np.float32),
    )


def _mean_weights(mesh: SkinnedMesh, a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[IntArray, FloatArray]:
    dense = np.zeros((len(a), len(mesh.bind)), np.float32)
    rows = np.arange(len(a))
    for end in (a, b):
        for slot in range(4):
            np.add.at(dense, (rows, mesh.bones[end, slot]), mesh.weights[end, slot] / 2)
    if dense.shape[1] < 4:
        dense = np.pad(dense, ((0, 0), (0, 4 - dense.shape[1])))
    keep = np.argsort(-dense, 1, kind="stable")[:, :4]
    weights = np.take_along_axis(dense, keep, 1)
    keep = np.where(weights > 0, keep, 0)
    return keep.astype(np.int32), np.asarray(weights / weights.sum(1, keepdims=True), np.float32)
