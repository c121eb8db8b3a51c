"""Marching tetrahedra with gradients: the base shape's surface as a mesh whose vertices depend on the SDF network.

Enters a signed distance network (POSITIVE INSIDE, mirrored in x); leaves vertices and faces. A vertex on the grid edge from a to b lies
at a + (b - a) s_a / (s_a - s_b): the network is asked for all grid values without gradients, which fixes the triangles, and
once more with them for the ends of the crossed edges alone. Half of the box is computed, the other is its mirror image
(`backend.shape.tetrahedra` holds the grid's conventions).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.errors import MenagerieError
from backend.shape.tetrahedra import CASES, CORNERS, EDGE_FRACTION_MARGIN, EDGES, TETRAHEDRA, grid_spacing

REACH = (0.5, 0.75, 1.0)
"""Share of the box in x, y, z that can hold an animal: no animal is as wide as it is long."""


@dataclass(frozen=True)
class Mesh:
    """vertices (V, 3) with gradients, object frame; faces (F, 3) int32, counter-clockwise from outside; ends (n, 3): the grid points
    that bound the surface; values (n,): the network's values there."""

    vertices: Tensor
    faces: Tensor
    ends: Tensor
    values: Tensor


class Grid:
    """The half grid of `cells` cells an axis within +-half_extent, cut to REACH."""

    def __init__(self, cells: int, half_extent: float) -> None:
        self.spacing = grid_spacing(cells, half_extent)
        counts = [max(2, round(cells // 2 * share)) for share in REACH]
        self.shape = (counts[0] + 1, 2 * counts[1] + 1, 2 * counts[2] + 1)
        index = np.stack(np.meshgrid(*[np.arange(n) for n in self.shape], indexing="ij"), -1).reshape(-1, 3)
        points = index * self.spacing
        points[:, 1:] -= np.array(counts[1:]) * self.spacing
        self.points = torch.from_numpy(points.astype(np.float32))  # (n, 3)
        border = (index[:, 0] == self.shape[0] - 1) | ((index[:, 1:] == 0) | (index[:, 1:] == np.array(self.shape[1:]) - 1)).any(1)
        self.border = border
        stride = np.array([self.shape[1] * self.shape[2], self.shape[2], 1])
        cubes = np.stack(np.meshgrid(*[np.arange(n - 1) for n in self.shape], indexing="ij"), -1).reshape(-1, 3)
        self.cubes = (cubes @ stride)[:, None] + CORNERS @ stride  # (m, 8)

    def crossings(self, values: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Grid values (n,) -> the crossed edges (v, 2) as pairs of grid points, and faces (f, 3) over them."""
        inside = values > 0
        count = inside[self.cubes].sum(1)
        corners = self.cubes[(count > 0) & (count < 8)]
        tets = corners[:, TETRAHEDRA].reshape(-1, 4)  # (6 m, 4)
        case = inside[tets] @ np.array([1, 2, 4, 8])
        crossed = (case > 0) & (case < 15)
        tets, case = tets[crossed], case[crossed]
        numbers = CASES[case].reshape(-1, 3)  # (2 t, 3)
        owners = np.repeat(np.arange(len(tets)), 2)
        used = numbers[:, 0] >= 0
        numbers, owners = numbers[used], owners[used]
        ends = np.sort(tets[owners[:, None, None], EDGES[numbers]], -1).reshape(-1, 2)
        keys, faces = np.unique(ends[:, 0] * len(values) + ends[:, 1], return_inverse=True)
        return np.stack([keys // len(values), keys % len(values)], 1), faces.reshape(-1, 3)


def march(sdf: Callable[[Tensor], Tensor], grid: Grid, shift: tuple[float, float] = (0.0, 0.0)) -> Mesh:
    """The zero set of `sdf`: (n, 3) points -> (n,) values, positive inside, asked at x >= 0 alone.

    shift: of the grid in y and z, object units (not in x: the mirror plane is a plane of the grid).
    Raises `internal` where the field holds no surface or isn't finite.
    """
    points = grid.points + torch.tensor([0.0, *shift])
    with torch.no_grad():
        values = sdf(points).numpy().copy()
    if not np.isfinite(values).all():
        raise MenagerieError("internal", "The signed distance is not finite: training has diverged.")
    values[grid.border] = np.minimum(values[grid.border], -1e-4)
    edges, faces = grid.crossings(values)
    if not len(faces):
        raise MenagerieError("internal", "The base shape has vanished: training has diverged.")
    used, place = np.unique(edges, return_inverse=True)
    low, high = torch.from_numpy(place.reshape(-1, 2)).unbind(1)
    ends = points[torch.from_numpy(used)]
    at = sdf(ends)
    closed = torch.from_numpy(grid.border[used])
    at = torch.where(closed, at.clamp_max(-1e-4), at)
    share = at[low] / (at[low] - at[high])
    share = share.clamp(EDGE_FRACTION_MARGIN, 1 - EDGE_FRACTION_MARGIN)[:, None]
    half = ends[low] + (ends[high] - ends[low]) * share  # (v, 3)
    beside = (ends[low, 0] > 0) | (ends[high, 0] > 0)  # off the mirror plane
    twin = torch.arange(len(half))
    twin[beside] = len(half) + torch.arange(int(beside.sum()))
    vertices = torch.cat([half, half[beside] * half.new_tensor([-1.0, 1.0, 1.0])])
    own = torch.from_numpy(faces)
    whole = torch.cat([own, twin[own][:, [0, 2, 1]]]).to(torch.int32)
    return Mesh(vertices, whole, ends, at)
