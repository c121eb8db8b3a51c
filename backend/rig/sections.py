"""Plane cuts of a closed mesh as loops of its own material: they can be followed into any pose.

A loop is (edges, shares): mesh edges (n, 2) in order and, for each, the share of the way along it where the plane cuts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.types import Mesh, Skeleton

Array = NDArray[np.float64]
Loop = tuple[NDArray[np.int64], NDArray[np.float64]]


def cut_loops(mesh: Mesh, point: Array, normal: Array) -> list[Loop]:
    """The closed loops in which a plane cuts a closed mesh: each as mesh edges (n, 2) in order and the cuts' shares (n,)."""
    height = (mesh.vertices.astype(np.float64) - point) @ normal
    height[height == 0] = 1e-12  # a plane through a vertex passes just beside it
    above = height > 0
    cut = mesh.faces[(above[mesh.faces].any(1)) & (~above[mesh.faces]).any(1)].astype(np.int64)
    follow: dict[tuple[int, int], tuple[int, int]] = {}
    for face in cut:
        # Of a cut triangle's two cut edges one goes up and one goes down, along its own direction.
        pairs = [(int(face[k]), int(face[(k + 1) % 3])) for k in range(3)]
        (up,) = [(a, b) for a, b in pairs if not above[a] and above[b]]
        (down,) = [(a, b) for a, b in pairs if above[a] and not above[b]]
        follow[(up[0], up[1])] = (down[1], down[0])
    loops = []
    while follow:
        start, step = follow.popitem()
        ring = [start]
        while step != start and step in follow:
            ring.append(step)
            step = follow.pop(step)
        edges = np.array(ring)
        low, high = height[edges[:, 0]], height[edges[:, 1]]
        loops.append((edges, low / (low - high)))
    return loops


def loop_points(vertices: Array, loop: Loop) -> Array:
    """(n, 3) where the loop lies on the (v, 3) vertices of any pose."""
    edges, shares = loop
    return np.asarray(vertices[edges[:, 0]] * (1 - shares[:, None]) + vertices[edges[:, 1]] * shares[:, None])


def loop_area(vertices: Array, loop: Loop) -> float:
    """Length of the loop's vector area: of a flat loop its area, of a twisted one less."""
    points = loop_points(vertices, loop)
    points = points - points.mean(0)
    return float(np.linalg.norm(np.cross(points, np.roll(points, -1, 0)).sum(0)) / 2)


def joint_plane(skeleton: Skeleton, bone: int) -> tuple[Array, Array]:
    """The plane that halves the joint at a bone's head: the joint (3,) and the unit normal (3,), along the bones."""
    above = int(skeleton.parents[bone])
    along = [skeleton.tails[b].astype(np.float64) - skeleton.heads[b] for b in (above, bone)]
    normal = sum(a / np.linalg.norm(a) for a in along)
    return skeleton.heads[bone].astype(np.float64), normal / np.linalg.norm(normal)


def joint_section(mesh: Mesh, skeleton: Skeleton, bone: int, own: NDArray[np.bool_]) -> Loop | None:
    """The loop round the joint at a bone's head, in the plane that halves the joint, as far as it runs over `own` vertices (v,).

    Where a leg joins the trunk the plane cuts both: the limb's own arc is kept and a chord closes it. None if less than
    three points are the limb's own.
    """
    joint, normal = joint_plane(skeleton, bone)
    best, loop = np.inf, None
    for edges, shares in cut_loops(mesh, joint, normal):
        kept = own[edges].all(1)
        if kept.sum() < 3:
            continue
        arc = (edges[kept], shares[kept])
        distance = float(np.linalg.norm(loop_points(mesh.vertices.astype(np.float64), arc) - joint, axis=1).min())
        if distance < best:
            best, loop = distance, arc
    return loop
