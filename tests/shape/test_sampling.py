"""Points spread over a mesh."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from backend.shape.sampling import sample_surface


def test_points_are_spread_by_area() -> None:
    box = trimesh.creation.box((1, 2, 10))  # sides 20 + 20, top and bottom 10 + 10, ends 2 + 2
    points = sample_surface(np.asarray(box.vertices), np.asarray(box.faces), np.random.default_rng(0), 6400)
    assert (np.abs(points) <= np.array([0.5, 1, 5]) + 1e-6).all()
    assert (np.abs(np.abs(points[:, 0]) - 0.5) < 1e-9).mean() == pytest.approx(40 / 64, abs=2e-3)
    assert (np.abs(np.abs(points[:, 2]) - 5) < 1e-9).mean() == pytest.approx(4 / 64, abs=2e-3)


def test_a_mesh_without_area_is_refused() -> None:
    with pytest.raises(ValueError, match="no area"):
        sample_surface(np.zeros((3, 3)), np.array([[0, 1, 2]]), np.random.default_rng(0), 10)
