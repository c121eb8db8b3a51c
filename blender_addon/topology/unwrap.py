"""UVs like a hide: the two sides of the animal, cut along its middle and the inside of its legs, spine to spine.

Enters: the left half and its limbs. Leaves: which edges are seams, and each island of the left half laid flat, heads up; `layout`
puts them into the texture. What hangs on by a single bone, as ears do, is an island of its own: it would fold over what it stands on.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from .. import compat
from .fit import edges_of
from .halves import Half, alone
from .surface import Array, vertex_normals

INSIDE = 0.08
"""What a step of a seam costs on the side that faces the animal's middle; on the side seen by all it is 1 more."""


@dataclass(frozen=True)
class Limb:
    """tip: (3,) where it ends; apart: (q,) bool, its quads where it is to be an island of its own, else none."""

    tip: Array
    apart: Array


def find_seams(half: Half, limbs: Sequence[Limb]) -> set[tuple[int, int]]:
    """Edges (lower index first) from each tip down the side that is least seen to the middle or another seam, and round what is apart."""
    normals = vertex_normals(half.vertices, half.quads)
    neighbours = defaultdict(list)
    for first, second in edges_of(half.quads).tolist():
        length = float(np.linalg.norm(half.vertices[first] - half.vertices[second]))
        seen = float(normals[first, 0] + normals[second, 0] + 2) / 4  # 0 facing the middle, 1 facing out
        neighbours[first].append((second, length * (INSIDE + seen)))
        neighbours[second].append((first, length * (INSIDE + seen)))
    ends = set(half.open_edge.tolist())
    seams: set[tuple[int, int]] = set()
    for limb in limbs:
        rim = border(half.quads, limb.apart)
        seams |= rim
        ends |= {corner for pair in rim for corner in pair}
    for limb in limbs:
        start = int(np.linalg.norm(half.vertices - limb.tip, axis=1).argmin())
        path = cheapest_path(neighbours, start, ends)
        seams |= {(min(pair), max(pair)) for pair in zip(path, path[1:], strict=False)}
        ends |= set(path)
    return seams


def border(quads: Array, chosen: Array) -> set[tuple[int, int]]:
    """Edges that part the chosen quads, (q,) bool, from the others."""

    def sides(some: Array) -> set[tuple[int, int]]:
        pairs = np.sort(np.stack([some, np.roll(some, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
        return set(map(tuple, pairs.tolist()))

    return sides(quads[chosen]) & sides(quads[~chosen])


def find_islands(quads: Array, seams: set[tuple[int, int]]) -> Array:
    """(q,) for each quad the number of its island, the largest being 0."""
    pairs = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2), axis=1).tolist()
    island = np.arange(len(quads))
    first_of: dict[tuple[int, int], int] = {}
    joined = []
    for place, pair in enumerate(map(tuple, pairs)):
        if pair in seams:
            continue
        other = first_of.setdefault(pair, place // 4)
        joined.append((other, place // 4))
    links = np.array(joined)
    before = None
    while before is None or (before != island).any():  # the lowest number spreads, in leaps
        before = island.copy()
        np.minimum.at(island, links[:, 0], before[links[:, 1]])
        np.minimum.at(island, links[:, 1], before[links[:, 0]])
        island = island[island]
    numbers, island, count = np.unique(island, return_inverse=True, return_counts=True)
    rank = np.empty(len(numbers), np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(numbers))
    return rank[island.ravel()]


def cheapest_path(neighbours: dict[int, list[tuple[int, float]]], start: int, ends: set[int]) -> list[int]:
    """Dijkstra's way from `start` to the first of `ends`; [start] where there is none."""
    cost, before, heap = {start: 0.0}, {start: start}, [(0.0, start)]
    while heap:
        so_far, here = heapq.heappop(heap)
        if here in ends:
            path = [here]
            while path[-1] != start:
                path.append(before[path[-1]])
            return path
        if so_far > cost[here]:
            continue
        for there, step in neighbours[here]:
            if so_far + step < cost.get(there, np.inf):
                cost[there], before[there] = so_far + step, here
                heapq.heappush(heap, (so_far + step, there))
    return [start]


def unwrap_half(context: bpy.types.Context, half: Half, seams: set[tuple[int, int]]) -> Array:
    """(q, 4, 2) the left side's islands laid flat by Blender, in the measure of the vertices, each head up with its lower left corner
    at the origin."""
    with alone(context, half.vertices, half.quads) as thing:
        mesh = thing.data
        mesh.uv_layers.new(name="UVMap")
        for edge in mesh.edges:
            edge.use_seam = tuple(sorted(edge.vertices)) in seams
        bpy.ops.object.mode_set(mode="EDIT")
        with context.temp_override(edit_object=thing, mode="EDIT_MESH"):
            bpy.ops.mesh.select_all(action="SELECT")
            bpy.ops.uv.unwrap(method=compat.UNWRAP_METHOD, margin=0.0)
        bpy.ops.object.mode_set(mode="OBJECT")
        flat = np.empty(len(mesh.loops) * 2, np.float32)
        mesh.uv_layers[0].uv.foreach_get("vector", flat)
    uvs = flat.reshape(-1, 4, 2).astype(np.float64)
    islands, corners = find_islands(half.quads, seams), half.vertices[half.quads]
    for number in range(islands.max() + 1):
        chosen = islands == number
        uvs[chosen] = stand_up(uvs[chosen], corners[chosen])
    return uvs


def stand_up(uvs: Array, corners: Array) -> Array:
    """Turns and scales an island's UVs (q, 4, 2): what lies towards -Y in space, (q, 4, 3), comes up, areas are as in space, and the
    lower left corner is the origin."""
    flat, places = uvs.reshape(-1, 2), corners.reshape(-1, 3)
    slope = ((flat - flat.mean(axis=0)) * (places[:, 1] - places[:, 1].mean())[:, None]).sum(axis=0)
    up = -slope / max(float(np.linalg.norm(slope)), 1e-12)
    turned = (flat @ np.array([[up[1], up[0]], [-up[0], up[1]]])).reshape(uvs.shape)
    one, other = turned[:, 2] - turned[:, 0], turned[:, 3] - turned[:, 1]
    laid = np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()
    in_space = np.linalg.norm(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]), axis=1).sum()
    turned *= np.sqrt(in_space / max(float(laid), 1e-12))
    return turned - turned.reshape(-1, 2).min(axis=0)
