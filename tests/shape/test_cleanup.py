"""Clean-up: what every kept mesh must be, on shapes that are easy, thin, broken and bumpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.shape import checks, remesh, topology
from backend.shape.checks import cut_loops, measure, smallest_angles
from backend.shape.cleanup import clean, close_cracks, compile_kernels
from backend.shape.extract import extract
from backend.types import Mesh

from .shapes import joined_feet, pierced_body, quadruped, smooth_union, torus

MAX_INTERSECTING_SHARE = 0.005
MIN_GOOD_ANGLES = 0.95
COUNT_TOLERANCE = 0.15
"""Of the wanted number of triangles."""

ZERO_TOLERANCE_CELLS = 0.05
"""How far a vertex may lie from the zero set, in cells."""


def bumpy(points: Tensor) -> Tensor:
    """The quadruped under waves of a tenth of its legs' width, as an untidy network might have it."""
    q = torch.cat([points[:, :1].abs(), points[:, 1:]], 1)
    waves = torch.tensor([[3.0, -7.0, 5.0], [8.0, 4.0, 3.0], [2.0, 9.0, -6.0], [-5.0, 2.0, 9.0]])
    return quadruped(points) + 0.015 * torch.sin(q @ waves.T + torch.arange(4)).sum(1)


def flat_ears(points: Tensor) -> Tensor:
    """The quadruped with a sheet across its neck that is thinner than a cell."""
    sheet = torch.stack([points[:, 0].abs() - 0.5, (points[:, 1] - 0.9).abs() - 0.4, points[:, 2].abs() - 0.02], 1).amax(1)
    return smooth_union(quadruped(points), -sheet, 0.03)


def ellipsoid(points: Tensor) -> Tensor:
    """The untrained network's shape: 0.15 * 7 - |(x, y, z / 2)|."""
    return 1.05 - (points * torch.tensor([1.0, 1.0, 0.5])).norm(dim=1)


def cleaned(sdf: Callable[[Tensor], Tensor], cells: int = 64, triangles: int = 8000) -> Mesh:
    return clean(extract(sdf, cells, 2.0), sdf, triangles)


@pytest.mark.parametrize("sdf", [quadruped, bumpy, flat_ears, joined_feet, pierced_body, ellipsoid, torus], ids=lambda f: f.__name__)
def test_every_mesh_is_one_closed_ball_mirrored_and_without_slivers(sdf: Callable[[Tensor], Tensor]) -> None:
    mesh = cleaned(sdf)
    stats = measure(mesh.vertices, mesh.faces, mesh.mirror)
    assert (stats.components, stats.closed, stats.genus, stats.duplicate_vertices, stats.mirrored) == (1, True, 0, 0, True)
    assert stats.good_angles >= MIN_GOOD_ANGLES
    assert stats.intersecting_share < MAX_INTERSECTING_SHARE
    assert abs(stats.triangles / 8000 - 1) < COUNT_TOLERANCE
    assert stats.volume > 0
    assert mesh.vertices.dtype == np.float32 and mesh.faces.dtype == np.int32


def cracked(points: Tensor) -> Tensor:
    """The quadruped with a crack into each flank and a hollow under it, as a network has them where shapes disagree."""
    q = torch.cat([points[:, :1].abs(), points[:, 1:]], 1)
    crack = torch.stack([0.3 - q[:, 0], (q[:, 1] - 0.35).abs() - 0.25, (q[:, 2] + 0.1).abs() - 0.04], 1).amax(1)
    hollow = (q - torch.tensor([0.3, 0.45, -0.1])).norm(dim=1) - 0.12
    return torch.minimum(quadruped(points), torch.minimum(crack, hollow))


def test_cracks_in_a_flank_are_closed_and_smoothed_and_legs_stay_apart() -> None:
    surface = extract(cracked, 128, 2.0)
    mesh, open_ = clean(surface, cracked, crack_cells=3), clean(surface, cracked)

    def deepest(found: Mesh) -> float:
        """Of the flank's vertices, inside the uncracked shape, in cells."""
        flank = (np.abs(found.vertices[:, 2] + 0.1) < 0.3) & (np.abs(found.vertices[:, 1] - 0.35) < 0.3)
        return float(quadruped(torch.from_numpy(found.vertices[flank])).max()) / surface.spacing

    assert deepest(open_) > 2.0 and deepest(mesh) < 1.5
    stats = measure(mesh.vertices, mesh.faces, mesh.mirror)
    assert (stats.components, stats.closed, stats.genus, stats.mirrored) == (1, True, 0, True)
    assert len(cut_loops(mesh.vertices, mesh.faces, -1.1)) == 4


def test_closing_cracks_leaves_a_whole_shape_as_it_is_but_for_its_creases() -> None:
    surface = extract(quadruped, 128, 1.2)
    closed, filled = close_cracks(surface, 3)
    assert len(filled) < 0.05 * (surface.values > 0).sum()
    again, none = close_cracks(surface, 0)
    assert again is surface and not len(none)
    legs = filled[:, 1] * surface.spacing - surface.half_extent < -0.6
    assert not legs.any()


@pytest.mark.parametrize("triangles", [5000, 10000])
def test_the_count_is_what_was_asked(triangles: int) -> None:
    mesh = cleaned(quadruped, 64, triangles)
    assert abs(len(mesh.faces) / triangles - 1) < COUNT_TOLERANCE


def test_thin_legs_and_ears_keep_their_shape() -> None:
    def sdf(points: Tensor) -> Tensor:
        return quadruped(points, leg_radius=0.05)

    surface = extract(sdf, 128, 1.2)
    mesh = clean(surface, sdf)
    assert np.abs(sdf(torch.from_numpy(mesh.vertices)).numpy()).max() < ZERO_TOLERANCE_CELLS * surface.spacing
    assert len(cut_loops(mesh.vertices, mesh.faces, -1.1)) == 4
    for bound in (np.min, np.max):  # ear tips, soles, muzzle and tail reach as far as they did
        assert np.abs(bound(mesh.vertices, 0) - bound(surface.vertices, 0)).max() < 0.5 * surface.spacing


def test_the_mesh_stays_within_a_fraction_of_a_cell_of_the_shape() -> None:
    surface = extract(quadruped, 128, 1.2)
    mesh = clean(surface, quadruped)
    centres = torch.from_numpy(mesh.vertices[mesh.faces].mean(1))
    off = np.abs(quadruped(centres).numpy())
    assert off.mean() < 0.1 * surface.spacing
    reference, stats = measure(surface.vertices, surface.faces), measure(mesh.vertices, mesh.faces)
    assert abs(stats.volume / reference.volume - 1) < 0.01


def test_triangles_are_smaller_where_the_shape_bends() -> None:
    mesh = cleaned(quadruped, 128)
    centre = mesh.vertices[mesh.faces].mean(1)
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    shin, flank = centre[:, 1] < -0.9, (np.abs(centre[:, 2]) < 0.3) & (np.abs(centre[:, 1] - 0.35) < 0.3)
    assert np.median(area[shin]) < 0.7 * np.median(area[flank])


def test_most_triangles_are_near_equilateral() -> None:
    mesh = cleaned(quadruped, 128)
    assert np.percentile(smallest_angles(mesh.vertices, mesh.faces), 5) > 35.0


def test_the_same_surface_gives_the_same_mesh_to_the_last_bit() -> None:
    first, second = cleaned(quadruped), cleaned(quadruped)
    assert np.array_equal(first.vertices, second.vertices) and np.array_equal(first.faces, second.faces)


def test_set_up_compiles_every_kernel() -> None:
    compile_kernels()
    for kernel in (topology._grow, topology._label, remesh._split_long, remesh._collapse_short, checks._crossing_faces):
        assert kernel.signatures


def test_a_surface_with_nothing_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match="plane of symmetry"):
        cleaned(lambda p: -1.0 - p.norm(dim=1))
