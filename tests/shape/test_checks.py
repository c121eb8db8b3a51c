"""The measures of a mesh: each sees what it is there to see."""

from __future__ import annotations

import numpy as np
import pytest

from backend.shape.checks import (
    count_components,
    cut_loops,
    displacement_rms,
    genus,
    intersecting_faces,
    is_closed,
    is_mirrored,
    measure,
    smallest_angles,
    volume,
)
from backend.shape.extract import extract
from backend.types import FloatArray, IntArray

from .shapes import quadruped, torus

TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], dtype=np.int32)
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)


def joined(*meshes: tuple[FloatArray, IntArray]) -> tuple[FloatArray, IntArray]:
    """Several meshes side by side in one pair of arrays."""
    starts = np.cumsum([0] + [len(v) for v, _ in meshes[:-1]])
    faces = [f + start for (_, f), start in zip(meshes, starts, strict=True)]
    return np.concatenate([v for v, _ in meshes]), np.concatenate(faces).astype(np.int32)


def test_a_tetrahedron_is_closed_with_its_volume() -> None:
    stats = measure(CORNERS, TETRAHEDRON)
    assert (stats.components, stats.closed, stats.genus, stats.duplicate_vertices, stats.intersecting_faces) == (1, True, 0, 0, 0)
    assert stats.volume == pytest.approx(1 / 6)
    assert stats.good_angles == 1.0


def test_an_open_a_turned_and_a_pinched_mesh_are_not_closed() -> None:
    assert not is_closed(TETRAHEDRON[:3])
    turned = TETRAHEDRON.copy()
    turned[0] = turned[0, ::-1]
    assert not is_closed(turned)
    pinched = np.concatenate([TETRAHEDRON, np.where(TETRAHEDRON > 0, TETRAHEDRON + 3, 0)]).astype(np.int32)
    assert not is_closed(pinched)


def test_pieces_and_handles_are_counted() -> None:
    ring = extract(torus, 32, 1.0)
    assert genus(len(ring.vertices), ring.faces) == 1
    vertices, faces = joined((CORNERS, TETRAHEDRON), (ring.vertices, ring.faces), (CORNERS + 5, TETRAHEDRON))
    assert count_components(len(vertices), faces) == 3
    assert genus(len(vertices), faces) == 1


def test_duplicates_and_slivers_are_seen() -> None:
    vertices, faces = joined((CORNERS, TETRAHEDRON), (CORNERS, TETRAHEDRON))
    assert measure(vertices, faces).duplicate_vertices == 4
    flat = np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.01, 0], [0, 0, 0]], dtype=np.float32)
    angles = smallest_angles(flat, np.array([[0, 1, 2], [0, 1, 3]], dtype=np.int32))
    assert angles[0] == pytest.approx(np.degrees(np.arctan(0.02)), abs=1e-3)
    assert angles[1] == 0.0


def test_faces_that_cross_are_found_and_neighbours_are_not() -> None:
    through = CORNERS + np.array([0.2, 0.2, -0.5], dtype=np.float32)
    vertices, faces = joined((CORNERS, TETRAHEDRON), (through, TETRAHEDRON))
    found = intersecting_faces(vertices, faces)
    assert found[:4].any() and found[4:].any()
    surface = extract(quadruped, 48, 1.2)
    assert not intersecting_faces(surface.vertices, surface.faces).any()


def test_a_fold_across_a_shared_edge_is_found() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0.5, 0.8, 0]], dtype=np.float32)
    assert intersecting_faces(vertices, np.array([[0, 1, 2], [1, 0, 3]], dtype=np.int32)).all()


def test_the_crossing_test_agrees_with_brute_force() -> None:
    rng = np.random.default_rng(3)
    vertices = (rng.uniform(0, 2.0, (60, 1, 3)) + rng.normal(0, 0.3, (60, 3, 3))).reshape(-1, 3).astype(np.float32)
    faces = np.arange(180, dtype=np.int32).reshape(-1, 3)
    expected = np.zeros(60, dtype=bool)
    for i in range(60):
        for j in range(60):
            if i != j and _edge_through(vertices[faces[i]].astype(float), vertices[faces[j]].astype(float)):
                expected[[i, j]] = True
    assert 5 < expected.sum() < 60
    assert np.array_equal(intersecting_faces(vertices, faces), expected)


def _edge_through(triangle: np.ndarray, other: np.ndarray) -> bool:
    """An edge of `triangle` passes through `other`: solved as a linear system."""
    for c in range(3):
        p, q = triangle[c], triangle[(c + 1) % 3]
        t, u, v = np.linalg.solve(np.stack([q - p, other[0] - other[1], other[0] - other[2]], 1), other[0] - p)
        if 0 <= t <= 1 and u >= 0 and v >= 0 and u + v <= 1:
            return True
    return False


def test_a_standing_quadruped_has_four_loops_at_mid_shin_and_one_at_its_back() -> None:
    surface = extract(quadruped, 64, 1.2)
    loops = cut_loops(surface.vertices, surface.faces, -1.1)
    assert len(loops) == 4
    assert {(x > 0, z > 0) for x, _, z in (loop.mean(0) for loop in loops)} == {(a, b) for a in (False, True) for b in (False, True)}
    assert len(cut_loops(surface.vertices, surface.faces, 0.5)) == 1
    assert cut_loops(surface.vertices, surface.faces, 9.0) == []


def test_a_mirror_that_is_off_by_one_bit_is_seen() -> None:
    surface = extract(quadruped, 32, 1.2)
    assert is_mirrored(surface.vertices, surface.faces, surface.mirror)
    vertices = surface.vertices.copy()
    vertices[0, 1] = np.nextafter(vertices[0, 1], np.float32(9))
    vertices[-1, 1] = np.nextafter(vertices[-1, 1], np.float32(9))
    assert not is_mirrored(vertices, surface.faces, surface.mirror)


def test_volume_and_displacement() -> None:
    ball = extract(lambda p: 1.0 - p.norm(dim=1), 64, 1.0)
    assert volume(ball.vertices, ball.faces) == pytest.approx(4 / 3 * np.pi, rel=0.01)
    assert displacement_rms(CORNERS, CORNERS + np.float32(0.5)) == pytest.approx(0.5 * 3**0.5)
