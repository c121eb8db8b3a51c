"""Clean-up: an extracted surface -> the mesh that the asset keeps.

Enters: a `Surface` and the function it was extracted from. Leaves: a `types.Mesh` in the object frame, mirror set,
no UVs: one closed manifold component of genus 0, no duplicate vertex, nearly equilateral triangles sized by curvature,
exactly mirrored: the half x >= 0 is remeshed with its rim held on x = 0, then welded to its mirror image.

Stages: cracks (`close_cracks`, where asked for), topology (`topology.make_ball`, only where it is wrong), remeshing (`remesh`) on the
marched half (`reference`), then one secant step along the normals onto the true zero set, which takes out what the grid's linear
interpolation had added. Where topology was mended or cracks were filled the true zero set isn't followed: it would open them again.
Deterministic: no random choice, no threads.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.spatial import cKDTree
from torch import Tensor

from backend.shape.checks import count_components, genus, intersecting_faces, smallest_angles
from backend.shape.extract import SignedDistance, Surface, assemble, extract_dense, mirror_weld
from backend.shape.laplacian import edge_faces, neighbour_mean
from backend.shape.reference import build_reference, vertex_normals
from backend.shape.remesh import LEAST_X, remesh
from backend.shape.topology import make_ball
from backend.types import FloatArray, IntArray, Mesh

MENDED_CELLS = 3.0
"""Vertices within this many cells of a mended point keep the marched surface."""

STEP_CELLS = 0.4
"""Longest step along the normal, in cells: an ear thinner than a cell takes some to grow to its own size."""

SMALLEST_SLOPE = 0.1
"""Of the field along the normal, below which it says nothing about where its zero is."""

THICK_CELLS = 6.0
"""Radius, in cells, of what counts as thick: a trunk, not a leg."""

FAIRED_CELLS, FAIRINGS = 3.0, 30
"""Vertices within so many cells of a filled crack are smoothed so often."""

SHARED_STEPS = 2
"""Secant steps averaged with the neighbours': the mesh moves as one sheet; one step for each vertex alone follows."""


def clean(surface: Surface, sdf: SignedDistance, target_triangles: int = 8000, crack_cells: int = 0) -> Mesh:
    """The surface's largest piece as a clean mesh of about `target_triangles` triangles (within some 15 %).

    surface: from `extract`; sdf: the same function, asked at some thousand points; crack_cells: gaps narrower than twice as many grid
    cells are closed first. Raises ValueError if there is nothing on the plane of symmetry.
    """
    surface, closed = close_cracks(surface, crack_cells)
    surface, mended = mend(surface)
    mended = np.concatenate([closed, mended])
    half_vertices, half_faces = _half(surface)
    reference = build_reference(half_vertices, half_faces, surface.spacing, target_triangles / 2)
    vertices, faces = remesh(half_vertices, half_faces, reference, target_triangles / 2)
    vertices = _onto_zero_set(vertices, faces, surface, mended, sdf)
    vertices = _fair(vertices, faces, surface, closed)
    welded, faces, mirror = mirror_weld(vertices, faces)
    return Mesh(welded, faces, mirror=mirror)


def compile_kernels() -> None:
    """Has numba compile and cache all kernels of this room (half a minute the first time): set-up's, not a job's."""

    def ring(points: Tensor) -> Tensor:
        return 1.0 - torch.stack([points[:, 1:].norm(dim=1) - 2.0, points[:, 0]], 1).norm(dim=1)

    mesh = clean(extract_dense(ring, 16), ring, 400)
    intersecting_faces(mesh.vertices, mesh.faces)


def close_cracks(surface: Surface, cells: int) -> tuple[Surface, NDArray[np.int64]]:
    """The surface with narrow gaps in its thick parts filled, and the (m, 3) indices of filled points.

    A learnt field can have cracks and small hollows under a smooth flank, where shapes that it learnt disagree. The gaps are those of
    a morphological closing by a ball of `cells`, as far as a ball of THICK_CELLS finds room in the closed whole.
    """
    inside = surface.values > 0
    if not cells or not inside.any():
        return surface, np.zeros((0, 3), dtype=np.int64)
    margin = cells + 2
    low, high = (bound(np.argwhere(inside), axis=0) for bound in (np.min, np.max))
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin + 1, inside.shape)
    box = (slice(0, high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    part = inside[box]
    whole = np.concatenate([part[:0:-1], part])  # the plane of symmetry has two sides
    closed = distance_transform_edt(distance_transform_edt(~whole) <= cells) > cells
    core = distance_transform_edt(closed) > THICK_CELLS
    thick = distance_transform_edt(~core) <= THICK_CELLS
    filled = np.zeros_like(inside)
    filled[box] = (closed & thick & ~whole)[len(part) - 1 :]
    rim = inside & ~binary_erosion(inside)
    values = np.where(filled, np.median(surface.values[rim]), surface.values).astype(np.float32)
    return assemble(values, None, surface.half_extent), np.argwhere(filled)


def mend(surface: Surface) -> tuple[Surface, NDArray[np.int64]]:
    """The surface as one closed piece of genus 0, and the (m, 3) indices of grid points where handles were mended.

    A surface that is that already comes back as it is. Raises ValueError if nothing is on the plane of symmetry.
    """
    count = len(surface.vertices)
    if count and count_components(count, surface.faces) == 1 and genus(count, surface.faces) == 0 and (surface.values[0] > 0).any():
        return surface, np.zeros((0, 3), dtype=np.int64)
    values, mended = make_ball(surface.values)
    return assemble(values, None, surface.half_extent), np.argwhere(mended)


def _half(surface: Surface) -> tuple[FloatArray, IntArray]:
    """The half x >= 0: a surface's first half of faces, and its vertices before the mirrored ones."""
    faces = surface.faces[: len(surface.faces) // 2]
    return surface.vertices[: int(faces.max()) + 1], faces


def _onto_zero_set(
    vertices: FloatArray, faces: IntArray, surface: Surface, mended: NDArray[np.int64], sdf: SignedDistance
) -> FloatArray:
    """Secant steps of each vertex along its normal; not next to mended points, nor where a triangle would suffer."""
    free = np.ones(len(vertices), dtype=bool)
    if len(mended):
        places = mended * surface.spacing - np.array([0, surface.half_extent, surface.half_extent])
        distance = cKDTree(places).query(vertices)[0]
        free = distance > MENDED_CELLS * surface.spacing
    on_plane = vertices[:, 0] == 0
    probe, limit = np.float32(0.25 * surface.spacing), STEP_CELLS * surface.spacing
    degree = np.maximum(np.bincount(faces.ravel(), minlength=len(vertices)), 1)
    for done in range(SHARED_STEPS + 1):
        normals = vertex_normals(vertices.astype(np.float64), faces).astype(np.float32)
        points = np.concatenate([vertices, vertices - probe * normals])
        with torch.inference_mode():
            here, deeper = sdf(torch.from_numpy(points)).reshape(2, -1).numpy()
        slope = (deeper - here) / probe
        step = np.clip(here / np.maximum(slope, SMALLEST_SLOPE), -limit, limit)
        step[~free | (slope < SMALLEST_SLOPE)] = 0.0
        if done < SHARED_STEPS:
            around = np.bincount(faces.ravel(), np.repeat(step[faces].mean(1), 3), minlength=len(vertices)) / degree
            step = np.where(free, around, 0.0).astype(np.float32)
        before = vertices
        for _ in range(4):
            vertices = (before + step[:, None] * normals).astype(np.float32)
            vertices[:, 0] = np.where(on_plane, 0.0, np.maximum(vertices[:, 0], LEAST_X))
            step[faces[_spoilt(before, vertices, faces)]] = 0.0
        if _spoilt(before, vertices, faces).any():
            vertices = before
    return vertices


def _fair(vertices: FloatArray, faces: IntArray, surface: Surface, filled: NDArray[np.int64]) -> FloatArray:
    """The half's vertices with those near filled points (m, 3) drawn to their neighbours' mean: a plug is as smooth as what is around."""
    if not len(filled):
        return vertices
    places = filled * surface.spacing - np.array([0, surface.half_extent, surface.half_extent])
    distance = cKDTree(places).query(vertices)[0] / surface.spacing
    amount = 0.7 * np.clip(FAIRED_CELLS - distance, 0, 1)[:, None]
    on_plane = vertices[:, 0] == 0
    mean = neighbour_mean(edge_faces(Mesh(vertices, faces)))  # on the rim the mean of the half and its mirror image
    faired = vertices.astype(np.float64)
    for _ in range(FAIRINGS):
        faired += amount * (mean @ faired - faired)
        faired[:, 0] = np.where(on_plane, 0.0, np.maximum(faired[:, 0], LEAST_X))
    return faired.astype(np.float32)


def _spoilt(before: FloatArray, after: FloatArray, faces: IntArray) -> NDArray[np.bool_]:
    """(f,) faces that a step turned by more than 60 degrees or made slivers of."""
    areas = []
    for points in (before, after):
        a, b, c = points[faces].astype(np.float64).transpose(1, 0, 2)
        cross = np.cross(b - a, c - a)
        areas.append(cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-15))
    angle = smallest_angles(after, faces)
    return ((areas[0] * areas[1]).sum(1) < 0.5) | ((angle < 20.0) & (angle < smallest_angles(before, faces)))
