"""A mesh whose legs were pushed through each other and pinched comes out clean, mirrored, and elsewhere unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.shape.checks import measure
from backend.shape.untangle import untangle
from tests.rig.animals import animal


def test_crossing_faces_go_and_the_rest_stays() -> None:
    mesh, _ = animal("horse")
    vertices = mesh.vertices.copy()
    low = vertices[:, 1] < np.quantile(vertices[:, 1], 0.12)
    vertices[low, 2] += 0.08 * np.sin(90 * vertices[low, 1]).astype(np.float32)  # a crumpled foot
    assert mesh.mirror is not None
    crumpled = replace(mesh, vertices=vertices)
    before = measure(crumpled.vertices, crumpled.faces, mesh.mirror)
    assert before.intersecting_share > 0.005
    found = untangle(crumpled)
    after = measure(found.vertices, found.faces, found.mirror)
    assert after.intersecting_share < 0.005 and after.good_angles > 0.95
    assert after.mirrored and after.closed and after.genus == 0 and after.duplicate_vertices == 0
    high = mesh.vertices[:, 1] > np.quantile(mesh.vertices[:, 1], 0.4)
    assert np.abs(found.vertices - crumpled.vertices)[high].max() < 1e-5


def test_vertices_that_crossed_the_plane_of_symmetry_come_back() -> None:
    mesh, _ = animal("horse")
    assert mesh.mirror is not None
    vertices = mesh.vertices.copy()
    inner = (vertices[:, 1] < -0.5) & (vertices[:, 0] > 0)
    vertices[inner, 0] -= 0.1
    vertices[mesh.mirror[inner]] = vertices[inner] * np.array([-1, 1, 1], np.float32)
    found = untangle(replace(mesh, vertices=vertices))
    shape = measure(found.vertices, found.faces, found.mirror)
    assert shape.mirrored and shape.intersecting_share < 0.005


def test_a_mesh_without_twins_is_refused() -> None:
    mesh, _ = animal("horse")
    with pytest.raises(ValueError):
        untangle(replace(mesh, mirror=None))
