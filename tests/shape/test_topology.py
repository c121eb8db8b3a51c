"""Topology: whatever the field's signs, the marched surface ends as one closed piece of genus 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.shape.checks import measure
from backend.shape.cleanup import mend
from backend.shape.extract import Surface, assemble, close_at_box, extract
from backend.shape.topology import LINK_MASKS, make_ball

from .shapes import joined_feet, pierced_body, quadruped, torus


def assert_ball(surface: Surface) -> None:
    stats = measure(surface.vertices, surface.faces, surface.mirror)
    assert (stats.components, stats.closed, stats.genus, stats.duplicate_vertices, stats.mirrored) == (1, True, 0, 0, True)


def test_a_points_link_is_a_sphere_off_and_on_the_plane() -> None:
    for masks in LINK_MASKS:
        edges = sum(bin(int(m)).count("1") for m in masks) // 2
        assert edges == 36  # 14 points, 36 edges, 24 triangles: Euler's 2


def test_a_ball_stays_as_it_is() -> None:
    surface = extract(quadruped, 64, 1.2)
    mended, places = mend(surface)
    assert mended is surface and len(places) == 0
    values, changed = make_ball(surface.values)
    assert not changed.any() and np.array_equal(values > 0, surface.values > 0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_ring_is_opened_whichever_way_it_lies(axis: int) -> None:
    surface = extract(lambda p: torus(p.roll(axis, dims=1)), 48, 1.0)
    assert measure(surface.vertices, surface.faces).genus == 1
    assert_ball(mend(surface)[0])


def test_joined_feet_are_cut_and_a_pierced_body_is_filled() -> None:
    cut, places = mend(extract(joined_feet, 128, 1.2))
    assert_ball(cut)
    assert 0 < len(places) < 50 and (cut.values[tuple(places.T)] < 0).all()
    filled, places = mend(extract(pierced_body, 128, 1.2))
    assert_ball(filled)
    assert 0 < len(places) < 50 and (filled.values[tuple(places.T)] > 0).all()


def test_islands_go_and_cavities_are_filled() -> None:
    def sdf(points: Tensor) -> Tensor:
        island = 0.4 - (torch.cat([points[:, :1].abs(), points[:, 1:]], 1) - torch.tensor([2.0, 2.0, 2.0])).norm(dim=1)
        return torch.maximum(island, torch.minimum(quadruped(points), (points - torch.tensor([0.0, 0.35, 0.0])).norm(dim=1) - 0.25))

    surface = extract(sdf, 64, 1.2)
    assert measure(surface.vertices, surface.faces).components == 4
    mended = mend(surface)[0]
    assert_ball(mended)
    whole = extract(quadruped, 64, 1.2)
    assert np.array_equal(mended.values > 0, whole.values > 0)


@pytest.mark.parametrize("seed", range(8))
def test_random_signs_become_a_ball(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.3, 1.0, (7, 13, 13)).astype(np.float32)
    values[0, 6, 6] = 3.0
    close_at_box(values)
    values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1], values[-1] = -1, -1, -1, -1, -1
    ball, _ = make_ball(values)
    assert_ball(assemble(ball, np.argwhere(np.ones((6, 12, 12), dtype=bool)), 3.5))


def test_a_field_with_nothing_on_the_plane_is_refused() -> None:
    pair = extract(lambda p: 0.5 - (torch.cat([p[:, :1].abs(), p[:, 1:]], 1) - torch.tensor([2.0, 0.0, 0.0])).norm(dim=1), 32, 1.0)
    with pytest.raises(ValueError, match="plane of symmetry"):
        mend(pair)
    with pytest.raises(ValueError, match="plane of symmetry"):
        mend(extract(lambda p: -1.0 - p.norm(dim=1), 32, 1.0))
