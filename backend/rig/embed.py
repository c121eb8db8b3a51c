"""Puts rest points where bones belong: inside the mesh.

Enters: a closed rest mesh, symmetric in x, and rest points as a network guessed them. Leaves: points moved as little as
it takes: joints of legs and tail to near the middle of their limb, the spine anywhere under the skin, tips just under it,
toe tips onto the sole; every bone's whole length inside; mirrored and settled (`skeleton.settle_points`).

How deep a point lies is judged against the inscribed ball that touches the surface where the point is nearest to it
(shrinking ball, Ma et al. 2012), so thin legs and thick trunks are treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.rig.names import parse_name
from backend.rig.skeleton import BENT_JOINTS, body_length, half_to_points, points_to_half, settle_points
from backend.rig.template import load_quadruped
from backend.types import FloatArray, Mesh, Skeleton

Array = NDArray[np.float64]

ROUNDS = 8
BALL_STEPS = 12
SOLE = 0.008
"""How far above the sole a toe's tip ends, in body lengths."""
LEAST_DEPTH = 0.006
"""Of any point, in body lengths."""
DEPTH = {
    "pelvis": 0.3, "spine1": 0.2, "spine2": 0.2, "spine3": 0.2, "chest": 0.2, "withers": 0.2, "neck_mid": 0.5, "poll": 0.4,
    "muzzle": 0.05, "jaw_hinge": 0.3, "chin": 0.05, "tail0": 0.4, "tail1": 0.6, "tail2": 0.6, "tail3": 0.6, "tail4": 0.15,
    "ear_base": 0.3, "ear_tip": 0.1, "scapula": 0.25, "shoulder": 0.5, "elbow": 0.6, "wrist": 0.75, "front_knuckle": 0.7,
    "front_tip": 0.1, "hip": 0.5, "knee": 0.6, "hock": 0.7, "hind_knuckle": 0.7, "hind_tip": 0.1,
}  # fmt: skip
"""Least depth of each point under the skin, in radii of the inscribed ball there."""
SAMPLES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Where along a bone it is pushed inside, both ends at once."""
ASKED = np.linspace(0.02, 0.98, 9)
"""Where along a bone of a finished skeleton it is asked whether it lies inside."""
ALONG = np.linspace(0.02, 0.98, 17)
"""Where along a bone it is looked at last of all."""
TRIED = (0.005, 0.01, 0.02, 0.04, 0.08)
"""Steps that an end of a bone outside tries, in body lengths."""
SHORTER = (0.25, 0.5, 0.75)
"""How much shorter it tries to make the bone."""
TRIED_COST = 0.01
"""Of a step's length, against what the bones then stick out."""


@dataclass(frozen=True)
class Surface:
    """Points of a mesh's surface with outward unit normals (n, 3), a tree over those with x >= 0, and the points' longest extent;
    what `contains` asks of the mesh."""

    solid: Solid
    points: Array
    normals: Array
    tree: cKDTree
    size: float

    def depth(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """(m, 3) points with x >= 0 -> depth under the skin (m,), negative outside; the nearest surface point (m, 3), the
        inward normal (m, 3) and the radius (m,) of the ball that touches there."""
        gap, nearest = self.tree.query(points)
        inside = self.solid.contains(points)
        foot, inward = self.points[nearest], -self.normals[nearest]
        return np.where(inside, gap, -gap), foot, inward, self._balls(foot, inward)

    def signed_gap(self, points: Array) -> Array:
        """(m, 3) points -> distance to the skin (m,), negative outside."""
        gap = np.asarray(self.tree.query(points)[0])
        return np.where(self.solid.contains(points), gap, -gap)

    def _balls(self, foot: Array, inward: Array) -> Array:
        radius = np.full(len(foot), self.size / 2)
        shrinking = np.arange(len(foot))  # a ball that nothing enters stays as it is
        for _ in range(BALL_STEPS):
            own, along = radius[shrinking], inward[shrinking]
            gap, nearest = self.tree.query(foot[shrinking] + own[:, None] * along)
            offset = self.points[nearest] - foot[shrinking]
            height = (offset * along).sum(1)
            smaller = (gap < 0.999 * own) & (height > 1e-6 * self.size)
            if not smaller.any():
                break
            shrinking = shrinking[smaller]
            radius[shrinking] = (offset[smaller] ** 2).sum(1) / (2 * height[smaller])
        return radius


def surface_of(mesh: Mesh) -> Surface:
    """Vertices, middles of edges and of faces of the half x >= 0."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    corners = corners[(corners[..., 0] >= 0).any(1)]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    shares = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4], [1, 1, 0], [0, 1, 1], [1, 0, 1]], np.float64)
    shares /= shares.sum(1, keepdims=True)
    points = np.einsum("sk,fkc->fsc", shares, corners).reshape(-1, 3)
    size = float(np.ptp(points, axis=0).max())
    return Surface(solid_of(mesh), points, np.repeat(normals, len(shares), 0), cKDTree(points), size)


@dataclass(frozen=True)
class Solid:
    """A closed mesh's triangles (f, 3, 3), their bounds in y and z below (f, 2) and in x, y and z above (f, 3), and its size."""

    corners: Array
    low: Array
    high: Array
    size: float

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(n,) True inside: an odd number of faces lies between the point and +X infinity."""
        # Rays are moved aside by next to nothing, so that none runs along an edge.
        aside = 1e-7 * self.size * np.array([0.0, 0.6180339887, 0.4142135624])
        return np.asarray(_odd_crossings(self.corners, self.low, self.high, points.astype(np.float64) + aside))


def solid_of(mesh: Mesh) -> Solid:
    """A closed mesh, to be asked many times what lies inside."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    low, high = np.ascontiguousarray(corners[..., 1:].min(1)), corners.max(1)
    return Solid(corners, low, high, float(np.ptp(mesh.vertices, axis=0).max()))


def contains(mesh: Mesh, points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(n,) True inside a closed mesh."""
    return solid_of(mesh).contains(points)


def bones_outside(mesh: Mesh, skeleton: Skeleton) -> list[str]:
    """Names of deforming bones that leave the mesh somewhere between their ends."""
    deforming = np.flatnonzero(skeleton.deform)
    heads, tails = skeleton.heads[deforming, None], skeleton.tails[deforming, None]
    points = heads + (tails - heads) * ASKED[:, None]  # (b, n, 3)
    inside = contains(mesh, points.reshape(-1, 3)).reshape(len(deforming), len(ASKED))
    return [skeleton.names[bone] for bone, row in zip(deforming, inside, strict=True) if not row.all()]


def compile_kernels() -> None:
    """Has numba compile and cache this module's kernel: set-up's, not a job's."""
    _odd_crossings(np.zeros((1, 3, 3)), np.zeros((1, 2)), np.zeros((1, 3)), np.zeros((1, 3)))


@njit(cache=True, nogil=True)
def _odd_crossings(corners, low, high, points):  # type: ignore[no-untyped-def]
    inside = np.zeros(len(points), np.bool_)
    u = np.empty(3)
    for number in range(len(points)):
        x, y, z = points[number]
        odd = False
        for face in range(len(corners)):
            if high[face, 1] <= y or low[face, 0] >= y or high[face, 2] <= z or low[face, 1] >= z or high[face, 0] <= x:
                continue
            # Barycentric coordinates of the ray in the plane y, z: areas against each edge.
            for k in range(3):
                p, q = corners[face, (k + 1) % 3], corners[face, (k + 2) % 3]
                u[k] = (p[1] - y) * (q[2] - z) - (p[2] - z) * (q[1] - y)
            if (u[0] > 0 and u[1] > 0 and u[2] > 0) or (u[0] < 0 and u[1] < 0 and u[2] < 0):
                ahead = 0.0
                for k in range(3):
                    ahead += u[k] * (corners[face, k, 0] - x)
                if ahead / (u[0] + u[1] + u[2]) > 0:
                    odd = not odd
        inside[number] = odd
    return inside


def embed_points(mesh: Mesh, points: NDArray[np.floating]) -> FloatArray:
    """(42, 3) rest points in the mesh's frame and unit -> (42, 3) float32 inside it, mirrored and settled.

    Raises ValueError on points that are not (42, 3) and finite.
    """
    template = load_quadruped()
    if points.shape != (len(template.points), 3) or not np.isfinite(points).all():
        raise ValueError(f"rest points must be {len(template.points)} finite 3D points, not {points.shape}")
    surface = surface_of(mesh)
    half = len(template.centre_points) + len(template.paired_points)
    moved = _settle(np.asarray(points, np.float64))
    length = float(body_length(torch.from_numpy(moved)))
    wanted = np.array([DEPTH[parse_name(name).base] for name in template.points[:half]])
    bones = [(h, t) for h, t in zip(template.head_points, template.tail_points, strict=True) if 0 <= h < half and 0 <= t < half]
    for _ in range(ROUNDS):
        left = moved[:half].copy()
        _touch_ground(left, surface, length)
        _straighten(left, surface, bones, length)
        _sink(left, surface, wanted, length)
        left[: len(template.centre_points), 0] = 0
        _share_bends(left)
        settled = _settle(_whole(left))
        done = float(np.abs(settled - moved).max()) < 1e-4 * length
        moved = settled
        if done:
            break
    return np.ascontiguousarray(_bring_in(moved, surface, bones, length), np.float32)


def _bring_in(points: Array, surface: Surface, bones: list[tuple[int, int]], length: float) -> Array:
    """(42, 3) settled points -> the same with bones that still stick out moved inside, settled: each end in turn, then both at once, try
    places around."""
    for _ in range(ROUNDS):
        outside = [bone for bone in bones if _excess(points, [bone], surface, 0.0) > 0]
        if not outside:
            break
        before = points
        for bone in outside:
            for ends in ((bone[0],), (bone[1],), bone):
                touching = [other for other in bones if set(ends) & set(other)]
                best, least = points, _excess(points, touching, surface, length)
                shortening = points[list(bone)].sum(0) - 2 * points[list(ends)].mean(0)
                for offset in _offsets(points[list(ends)], shortening, length):
                    tried = points.copy()
                    tried[list(ends)] += offset
                    found = _excess(tried, touching, surface, length) + TRIED_COST * float(np.linalg.norm(offset))
                    if found < least:
                        best, least = tried, found
                points = best
        points = _settle(_whole(points))
        if np.array_equal(points, before):
            break
    return points


def _offsets(ends: Array, shortening: Array, length: float) -> Array:
    """(n, 3) steps to try around one or both ends (1 or 2, 3) of a bone, in the plane of symmetry for those on it.

    shortening (3,): from one end to the other, as a bone, a tail's, may be made shorter; 0 where both ends move.
    """
    grid = np.stack(np.meshgrid(*([(-1, 0, 1)] * 3), indexing="ij"), -1).reshape(-1, 3).astype(np.float64)
    grid = grid[(np.abs(grid).sum(1) > 0) & ((ends[:, 0] != 0).all() | (grid[:, 0] == 0))]
    grid /= np.linalg.norm(grid, axis=1, keepdims=True)
    return np.concatenate([share * length * grid for share in TRIED] + [np.outer(SHORTER, shortening)])


def _excess(points: Array, bones: list[tuple[int, int]], surface: Surface, length: float) -> float:
    """How far bones come nearer to the skin than half LEAST_DEPTH, at their worst, summed over the bones; what is outside weighs ten
    times. length 0: only that."""
    heads, tails = (points[list(ends)] for ends in zip(*bones, strict=True))
    along = heads[:, None] + (tails - heads)[:, None] * ALONG[:, None]  # (b, n, 3)
    gap = surface.signed_gap(along.reshape(-1, 3))
    lack = (0.5 * LEAST_DEPTH * length - gap).clip(0) + 9 * (-gap).clip(0)
    return float(lack.reshape(len(bones), -1).max(1).sum())


def _sink(left: Array, surface: Surface, wanted: Array, length: float) -> None:
    """Moves points that lie too shallow along the nearest ball's diameter, in place."""
    depth, foot, inward, radius = surface.depth(left)
    least = np.minimum(np.maximum(wanted * radius, LEAST_DEPTH * length), 0.9 * radius)
    shallow = depth < 0.98 * least
    left[shallow] = foot[shallow] + least[shallow, None] * inward[shallow]


def _straighten(left: Array, surface: Surface, bones: list[tuple[int, int]], length: float) -> None:
    """Moves both ends of bones whose middles stick out, so that the middles come in, in place."""
    for share in SAMPLES:
        heads, tails = (np.array(ends) for ends in zip(*bones, strict=True))
        middles = left[heads] * (1 - share) + left[tails] * share
        depth, foot, inward, radius = surface.depth(middles)
        least = np.minimum(LEAST_DEPTH * length, 0.5 * radius)
        shift = np.where((depth < least)[:, None], foot + least[:, None] * inward - middles, 0)
        weight = (1 - share) ** 2 + share**2
        np.add.at(left, heads, 0.7 * (1 - share) / weight * shift)
        np.add.at(left, tails, 0.7 * share / weight * shift)


def _touch_ground(left: Array, surface: Surface, length: float) -> None:
    """Lowers or lifts the toes' tips to just above the sole under them, in place."""
    index = load_quadruped().point_index
    for tip, knuckle in (("front_tip.L", "front_knuckle.L"), ("hind_tip.L", "hind_knuckle.L")):
        place = left[index[tip]]
        reach = max(0.5 * float(np.linalg.norm(place - left[index[knuckle]])), 0.02 * length)
        flat = np.linalg.norm(surface.points[:, [0, 2]] - place[[0, 2]], axis=1)
        under = surface.points[(flat < reach) & (surface.points[:, 1] < left[index[knuckle], 1])]
        if len(under):
            left[index[tip], 1] = under[:, 1].min() + SOLE * length


def _share_bends(left: Array) -> None:
    """Has the neighbours of a joint, in place, take half of what settling the leg's bends would move it: a plantigrade's wrist, pushed
    ahead of a leg that curves the other way, would leave it."""
    index = load_quadruped().point_index
    settled = _settle(_whole(left))
    for above, joint, below, _ in BENT_JOINTS:
        numbers = [index[f"{name}.L"] for name in (above, joint, below)]
        shift = (settled[numbers[1]] - left[numbers[1]]) / 2
        left[numbers[0]] -= shift
        left[numbers[1]] += shift
        left[numbers[2]] -= shift


def _whole(left: Array) -> Array:
    """(29, 3) centre and left points -> (42, 3)."""
    template = load_quadruped()
    middle = torch.from_numpy(left[: len(template.centre_points), 1:])
    return np.asarray(half_to_points(middle, torch.from_numpy(left[len(template.centre_points) :])).numpy())


def _settle(points: Array) -> Array:
    settled = settle_points(half_to_points(*points_to_half(torch.from_numpy(points)))[None])
    return np.asarray(settled[0].numpy())
