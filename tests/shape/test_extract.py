"""Extraction: the right surface, exactly mirrored, the same coarse to fine as dense."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.shape.extract import estimate_lipschitz, extract, extract_dense
from backend.shape.tetrahedra import CASES, CORNERS, EDGES, TETRAHEDRA

from .shapes import capsule, quadruped

QUADRUPED_LIPSCHITZ = 1.2
SURFACE_TOLERANCE_CELLS = 0.35
"""How far a marched vertex may lie from the true surface, in cells: linear interpolation across a tip."""


def test_six_tetrahedra_fill_the_cube_and_are_positively_oriented() -> None:
    corners = CORNERS[TETRAHEDRA].astype(float)
    volumes = np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6
    assert np.allclose(volumes, 1 / 6)


def test_each_case_uses_exactly_the_edges_that_change_sign_and_faces_outwards() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    for case in range(16):
        inside = np.array([bool(case >> c & 1) for c in range(4)])
        crossing = {e for e, (a, b) in enumerate(EDGES) if inside[a] != inside[b]}
        used = CASES[case][CASES[case] >= 0]
        assert set(used) == crossing
        for triangle in used.reshape(-1, 3):
            middle = points[EDGES[triangle]].mean(1)
            normal = np.cross(middle[1] - middle[0], middle[2] - middle[0])
            outward = points[~inside].mean(0) - points[inside].mean(0)
            assert normal @ outward > 0


@pytest.mark.parametrize("cells", [32, 64, 72])
def test_coarse_to_fine_gives_the_triangles_of_the_dense_grid(cells: int) -> None:
    thin = 0.55 * 7 / cells  # legs about one cell across

    def sdf(points: Tensor) -> Tensor:
        return quadruped(points, leg_radius=thin)

    dense, sparse = extract_dense(sdf, cells), extract(sdf, cells, QUADRUPED_LIPSCHITZ)
    assert len(dense.faces) > 500
    assert np.array_equal(dense.faces, sparse.faces)
    assert np.allclose(dense.vertices, sparse.vertices, atol=1e-6)
    assert np.array_equal(dense.values > 0, sparse.values > 0)


def test_coarse_to_fine_sees_a_wire_far_from_everything() -> None:
    def sdf(points: Tensor) -> Tensor:
        body = 0.5 - points.norm(dim=1)
        wire = capsule(points, (2.0, -3.0, -3.0), (2.0, 3.0, 3.0), 0.09, 0.09)
        return torch.maximum(body, wire)

    dense, sparse = extract_dense(sdf, 64), extract(sdf, 64, 1.0)
    assert np.array_equal(dense.faces, sparse.faces)


def test_coarse_to_fine_asks_for_few_points() -> None:
    asked = 0

    def sdf(points: Tensor) -> Tensor:
        nonlocal asked
        asked += len(points)
        return quadruped(points)

    surface = extract(sdf, 128, QUADRUPED_LIPSCHITZ)
    assert asked < 0.05 * surface.values.size


def test_vertices_pair_exactly_and_the_plane_is_exactly_zero() -> None:
    surface = extract(quadruped, 64, QUADRUPED_LIPSCHITZ)
    flipped = surface.vertices * np.array([-1, 1, 1], dtype=np.float32)
    assert np.array_equal(surface.vertices[surface.mirror], flipped)
    assert np.array_equal(surface.mirror[surface.mirror], np.arange(len(surface.mirror)))
    own = surface.mirror == np.arange(len(surface.mirror))
    assert own.any() and (surface.vertices[own, 0] == 0).all() and (surface.vertices[~own, 0] != 0).all()
    mirrored_faces = surface.mirror[surface.faces][:, [0, 2, 1]]
    assert {tuple(sorted(f)) for f in surface.faces.tolist()} == {tuple(sorted(f)) for f in mirrored_faces.tolist()}


def test_the_surface_is_closed_faces_outwards_and_lies_on_the_zero_set() -> None:
    surface = extract(quadruped, 64, QUADRUPED_LIPSCHITZ)
    edges = np.concatenate([surface.faces[:, [0, 1]], surface.faces[:, [1, 2]], surface.faces[:, [2, 0]]])
    directed = {tuple(e) for e in edges.tolist()}
    assert len(directed) == len(edges) and all((b, a) in directed for a, b in directed)
    a, b, c = surface.vertices[surface.faces].astype(np.float64).transpose(1, 0, 2)
    assert np.einsum("ij,ij->", a, np.cross(b, c)) > 0
    off = quadruped(torch.from_numpy(surface.vertices)).abs().max()
    assert off < SURFACE_TOLERANCE_CELLS * surface.spacing


def test_a_shape_that_leaves_the_box_is_closed_at_the_box() -> None:
    surface = extract(lambda p: 4.0 - p.norm(dim=1), 32, 1.0)
    assert np.array_equal(surface.faces, extract_dense(lambda p: 4.0 - p.norm(dim=1), 32).faces)
    edges = np.concatenate([surface.faces[:, [0, 1]], surface.faces[:, [1, 2]], surface.faces[:, [2, 0]]])
    directed = {tuple(e) for e in edges.tolist()}
    assert all((b, a) in directed for a, b in directed)
    assert np.abs(surface.vertices).max() <= 3.5


def test_an_empty_field_gives_an_empty_mesh() -> None:
    surface = extract(lambda p: -1.0 - p.norm(dim=1), 32, 1.0)
    assert len(surface.faces) == 0 and len(surface.vertices) == 0


def test_bad_arguments_and_values_are_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        extract(quadruped, 33, 1.0)
    with pytest.raises(ValueError, match="positive"):
        extract(quadruped, 32, 0.0)
    with pytest.raises(ValueError, match="finite"):
        extract(lambda p: p[:, 0] * float("nan"), 32, 1.0)


def test_the_lipschitz_estimate_bounds_a_steep_field() -> None:
    assert estimate_lipschitz(lambda p: 3.0 * (1.0 - p.norm(dim=1))) >= 3.0
