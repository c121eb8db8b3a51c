"""A triangle mesh that can be asked for its nearest points: what the quads are fitted to, and take weights and colours from.

Enters: vertices (v, 3) and faces (f, 3 or 4) of any mesh; a quad counts as its two triangles. Leaves: for any points the nearest
triangle, the place on it as barycentric weights, the distance. numpy, and Blender's own tree of bounding volumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mathutils.bvhtree import BVHTree
from numpy.typing import NDArray

Array = NDArray[Any]

REACH = 2.0
"""How far a wall that faces the right way is looked for, in mean edges."""


@dataclass(frozen=True)
class Nearest:
    """Of n points. triangles: (n,) indices; weights: (n, 3) barycentric, >= 0, rows sum to 1; places: (n, 3) on the surface."""

    triangles: Array
    weights: Array
    places: Array

    def only(self, chosen: Array) -> Nearest:
        """Those of a mask (n,) bool."""
        return Nearest(self.triangles[chosen], self.weights[chosen], self.places[chosen])


class Surface:
    """vertices: (v, 3); faces: (f, 3) or (f, 4). triangles: (t, 3), of quads the two halves of face k at 2k and 2k + 1."""

    def __init__(self, vertices: Array, faces: Array) -> None:
        self.vertices = np.asarray(vertices, np.float64)
        self.triangles = split_quads(faces) if faces.shape[1] == 4 else np.asarray(faces)
        self._tree = BVHTree.FromPolygons(self.vertices.tolist(), self.triangles.tolist())
        corners = self.vertices[self.triangles]
        self._reach = REACH * float(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).mean())

    def nearest(self, points: Array, facing: Array | None = None) -> Nearest:
        """points: (n, 3). -> where the surface comes nearest to each; with facing, (n, 3), where it comes nearest and faces that way:
        in a crease, as under a jaw, the other wall may be the nearer one. (Where none near by does, the nearest all the same.)"""
        find = self._tree.find_nearest
        indices = np.fromiter((find(point)[2] for point in points.tolist()), np.int64, len(points))
        if facing is not None:
            normals = self.normals()
            for one in np.flatnonzero((normals[indices] * facing).sum(axis=1) < 0).tolist():
                near = self._tree.find_nearest_range(points[one].tolist(), self._reach)
                agreeing = [(distance, index) for _, _, index, distance in near if normals[index] @ facing[one] > 0]
                if agreeing:
                    indices[one] = min(agreeing)[1]
        corners = self.vertices[self.triangles[indices]]  # (n, 3, 3)
        weights = nearest_weights(points, corners)
        return Nearest(indices, weights, (weights[:, :, None] * corners).sum(axis=1))

    def normals(self) -> Array:
        """(t, 3) of the triangles, as long as twice their area."""
        corners = self.vertices[self.triangles]
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def vertex_normals(vertices: Array, quads: Array) -> Array:
    """(v, 3) unit, by the diagonals of the quads about each vertex."""
    corners = vertices[quads]
    of_face = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    total = np.zeros_like(vertices)
    for corner in range(4):
        np.add.at(total, quads[:, corner], of_face)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def split_quads(quads: Array) -> Array:
    """(q, 4) -> (2q, 3)."""
    return np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)


def nearest_weights(points: Array, corners: Array) -> Array:
    """points (n, 3), corners (n, 3, 3) of one triangle each -> (n, 3) barycentric weights of its nearest point.

    The foot of the perpendicular where it falls inside, else the nearest of the feet on the three edges.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    best = np.stack([1 - v - w, v, w], axis=1)
    outside = np.flatnonzero(best.min(axis=1) < 0)
    if len(outside):
        best[outside] = nearest_on_edges(points[outside], corners[outside])
    return best


def nearest_on_edges(points: Array, corners: Array) -> Array:
    """As `nearest_weights`, of the triangles' outlines."""
    rows, best, least = np.arange(len(points)), np.zeros((len(points), 3)), np.full(len(points), np.inf)
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, edge = corners[:, first], corners[:, second] - corners[:, first]
        share = ((points - start) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-30)
        share = np.clip(share, 0, 1)
        distance = ((points - start - share[:, None] * edge) ** 2).sum(1)
        nearer = distance < least
        weights = np.zeros((len(points), 3))
        weights[rows, first], weights[rows, second] = 1 - share, share
        best[nearer], least[nearer] = weights[nearer], distance[nearer]
    return best
