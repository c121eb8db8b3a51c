"""Clean-up: an extracted surface -> the mesh that the asset keeps.

Enters: a `Surface` and the function it was extracted from. Leaves: a `types.Mesh` in the object frame, mirror set,
no UVs: one closed manifold component of genus 0, no duplicate vertex, nearly equilateral triangles sized by curvature,
exactly mirrored: the half x >= 0 is remeshed with its rim held on x = 0, then welded to its mirror image.

Stages: topology (`topology.make_ball`, only where it is wrong), remeshing (`remesh`) on the marched half
(`reference`), then one secant step along the normals onto the true zero set, which takes out what the grid's linear
interpolation had added. Where topology was mended the true zero set isn't followed: it would close the cut again.
Deterministic: no random choice, no threads.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.shape.checks import count_components, genus, is_closed, smallest_angles
from backend.shape.extract import SignedDistance, Surface, assemble, mirror_weld
from backend.shape.reference import build_reference, vertex_normals
from backend.shape.remesh import remesh
from backend.shape.topology import make_ball
from backend.types import FloatArray, IntArray, Mesh

ROUNDS = 6
"""Rounds of remeshing; triangles hardly change after."""

MENDED_CELLS = 3.0
"""Vertices within this many cells of a mended point keep the marched surface."""

STEP_CELLS = 0.3
"""Longest final step along the normal, in cells: linear interpolation is never off by more on a shape worth keeping."""


def clean(surface: Surface, sdf: SignedDistance, target_triangles: int = 8000) -> Mesh:
    """The surface's largest piece as a clean mesh of about `target_triangles` triangles (within some 15 %).

    surface: from `extract`; sdf: the same function, asked at some thousand points. Raises ValueError if there is nothing
    on the plane of symmetry.
    """
    surface, mended = mend(surface)
    half_vertices, half_faces = _half(surface)
    reference = build_reference(half_vertices, half_faces, surface.spacing, target_triangles / 2)
    vertices, faces = remesh(half_vertices, half_faces, reference, ROUNDS)
    vertices = _onto_zero_set(vertices, faces, surface, mended, sdf)
    welded, faces, mirror = mirror_weld(vertices, faces)
    return Mesh(welded, faces, mirror=mirror)


def mend(surface: Surface) -> tuple[Surface, NDArray[np.int64]]:
    """The surface as one closed piece of genus 0, and the (m, 3) indices of grid points where handles were mended.

    A surface that is that already comes back as it is. Raises ValueError if nothing is on the plane of symmetry.
    """
    count = len(surface.vertices)
    if count and count_components(count, surface.faces) == 1 and genus(count, surface.faces) == 0 and (surface.values[0] > 0).any():
        return surface, np.zeros((0, 3), dtype=np.int64)
    values, mended = make_ball(surface.values)
    cubes = np.argwhere(np.ones([n - 1 for n in values.shape], dtype=bool))
    return assemble(values, cubes, surface.half_extent), np.argwhere(mended)


def _half(surface: Surface) -> tuple[FloatArray, IntArray]:
    """The half x >= 0: a surface's first half of faces, and its vertices before the mirrored ones."""
    faces = surface.faces[: len(surface.faces) // 2]
    return surface.vertices[: int(faces.max()) + 1], faces


def _onto_zero_set(
    vertices: FloatArray, faces: IntArray, surface: Surface, mended: NDArray[np.int64], sdf: SignedDistance
) -> FloatArray:
    """One secant step of each vertex along its normal; not next to mended points, nor where it spoils a triangle."""
    normals = vertex_normals(vertices.astype(np.float64), faces).astype(np.float32)
    probe = np.float32(0.25 * surface.spacing)
    both = np.concatenate([vertices, vertices - probe * normals])
    with torch.inference_mode():
        here, deeper = sdf(torch.from_numpy(both)).reshape(2, -1).numpy()
    slope = (deeper - here) / probe
    limit = STEP_CELLS * surface.spacing
    step = np.where(slope > 0.1, here / np.maximum(slope, 0.1), 0.0)
    step[np.abs(step) > limit] = 0.0  # far from its zero: another sheet, or a mended place
    if len(mended):
        near = (mended * surface.spacing - np.array([0, surface.half_extent, surface.half_extent])).astype(np.float32)
        distance = np.min(np.linalg.norm(vertices[:, None] - near[None], axis=2), axis=1)
        step[distance < MENDED_CELLS * surface.spacing] = 0.0
    moved = (vertices + step[:, None] * normals).astype(np.float32)
    moved[vertices[:, 0] == 0, 0] = 0.0
    moved[vertices[:, 0] != 0, 0] = np.maximum(moved[vertices[:, 0] != 0, 0], np.float32(1e-5))
    return moved
