"""Silhouettes: coverage, its gradient against finite differences and against geometry, and what must stay untouched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.render import cpu
from backend.render.antialias_kernels import find_neighbours
from tests.render.scenes import ball, clip_of

SILHOUETTE = 0.02
"""Relative error of area derivatives by finite differences: a coverage of discrete pairs is not quite smooth."""
AREA = 0.002
"""Relative error of the summed coverage against the true area of a disc."""


def mask_of(clip: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor:
    rast = cpu.rasterize(clip, faces, size)
    return cpu.antialias((rast[..., 3:] > 0).float(), rast, clip, faces)


def sphere(around: int, rings: int) -> tuple[Tensor, Tensor]:
    vertices, faces = ball(around, rings)
    return vertices / vertices.norm(dim=1, keepdim=True), faces


@pytest.mark.parametrize(("around", "rings"), [(24, 12), (128, 64)], ids=["triangles of many pixels", "triangles of a pixel"])
def test_gradient_of_coverage_equals_finite_differences(around: int, rings: int) -> None:
    vertices, faces = ball(around, rings)
    size = (128, 128)
    ramp = torch.linspace(0, 1, 128)[None, :, None, None] + torch.linspace(0, 2, 128)[None, None, :, None]
    offset = torch.tensor([0.013, 0.021, 0.0], requires_grad=True)
    scale = torch.tensor(1.0, requires_grad=True)

    def value(move: Tensor, factor: Tensor) -> Tensor:
        return (mask_of(clip_of(vertices * factor + move, size), faces, size).double() * ramp).sum()

    value(offset, scale).backward()
    assert offset.grad is not None and scale.grad is not None
    largest = float(scale.grad)
    step = 3e-3
    with torch.no_grad():
        for k in range(3):
            shift = torch.eye(3)[k] * step
            numeric = float(value(offset + shift, scale) - value(offset - shift, scale)) / (2 * step)
            assert numeric == pytest.approx(float(offset.grad[k]), rel=SILHOUETTE, abs=SILHOUETTE * largest)
        numeric = float(value(offset, scale + step) - value(offset, scale - step)) / (2 * step)
    assert numeric == pytest.approx(largest, rel=SILHOUETTE)


def test_coverage_and_its_derivative_are_those_of_a_disc() -> None:
    """A unit sphere at depth 3 is a disc of area pi f^2 r^2 / (9 - r^2), with triangles down to a pixel."""
    vertices, faces = sphere(128, 64)
    size = (160, 160)
    radius = torch.tensor(1.0, requires_grad=True)
    area = mask_of(clip_of(vertices * radius, size), faces, size).sum()
    area.backward()
    focal = 1.2 * 160
    assert float(area.detach()) == pytest.approx(np.pi * focal**2 / 8, rel=AREA)
    assert radius.grad is not None
    assert float(radius.grad) == pytest.approx(np.pi * focal**2 * 18 / 64, rel=SILHOUETTE)


def test_a_straight_edge_gets_its_exact_coverage() -> None:
    """A half-plane whose steep edge crosses at x = 10.3: pixel 10 is covered by 0.3."""
    edge = 10.3 / 32 * 2 - 1
    clip = torch.tensor([[[-3.0, -3.0, 0.0, 1.0], [edge, -3.0, 0.0, 1.0], [edge, 3.0, 0.0, 1.0], [-3.0, 3.0, 0.0, 1.0]]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    clip.requires_grad_(True)
    mask = mask_of(clip, faces, (32, 32))[0, ..., 0]
    assert torch.allclose(mask[:, 10], torch.full((32,), 0.3), atol=1e-5)
    assert bool((mask[:, :10] == 1).all()) and bool((mask[:, 11:] == 0).all())
    mask.sum().backward()
    assert clip.grad is not None  # both ends of the edge together move 32 rows by half the width
    assert float(clip.grad[0, 1:3, 0].sum()) == pytest.approx(32 * 16, rel=1e-4)


def test_edges_inside_a_smooth_surface_are_left_alone() -> None:
    vertices, faces = ball(24, 12)
    clip = clip_of(vertices, (64, 64))
    rast = cpu.rasterize(clip, faces, (64, 64))
    color = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    out = cpu.antialias(color, rast, clip, faces)
    drawn = rast[0, ..., 3] > 0
    inner = torch.nn.functional.avg_pool2d(drawn[None, None].float(), 5, 1, 2)[0, 0] > 0.999
    # this ball folds over itself nowhere, seen from here: only its outline changes
    assert torch.equal(out.detach()[0][inner], color.detach()[0][inner])
    assert bool((out.detach() != color.detach()).any())


def test_gradient_to_colours_equals_finite_differences() -> None:
    vertices, faces = ball(16, 8)
    clip = clip_of(vertices, (32, 32))
    rast = cpu.rasterize(clip, faces, (32, 32))
    generator = torch.Generator().manual_seed(3)
    color = torch.rand(1, 32, 32, 2, generator=generator).requires_grad_(True)
    weight, direction = torch.randn(2, 1, 32, 32, 2, generator=generator)
    (cpu.antialias(color, rast, clip, faces) * weight).sum().backward()
    with torch.no_grad():
        ends = [(cpu.antialias(color + s * direction, rast, clip, faces) * weight).double().sum() for s in (1.0, -1.0)]
    assert color.grad is not None
    assert float(ends[0] - ends[1]) / 2 == pytest.approx(float((color.grad * direction).sum()), rel=1e-3)


def test_a_near_part_that_hides_a_far_part_of_the_same_mesh_gets_an_edge_with_a_gradient() -> None:
    def quad(x0: float, x1: float, z: float) -> list[list[float]]:
        return [[x0, -1.0, z, 1.0], [x1, -1.0, z, 1.0], [x1, 1.0, z, 1.0], [x0, 1.0, z, 1.0]]

    clip = torch.tensor([quad(-2.0, 2.0, 0.5) + quad(-2.0, 0.02, 0.0)], requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]], dtype=torch.int32)
    rast = cpu.rasterize(clip, faces, (32, 32))
    color = (rast[..., 3:] > 2.5).float()
    cpu.antialias(color, rast, clip, faces).sum().backward()
    assert clip.grad is not None
    assert float(clip.grad[0, 5:7, 0].sum()) == pytest.approx(32 * 16, rel=1e-4)
    assert float(clip.grad[0, :4].abs().max()) == 0


def test_neighbours_are_mutual_and_borders_and_fins_have_none() -> None:
    _, faces = ball(10, 5)
    table = find_neighbours(faces.numpy(), int(faces.max()) + 1)
    assert (table >= 0).all()
    for f in range(len(faces)):
        for k in range(3):
            edge = set(faces[f].tolist()) - {int(faces[f, k])}
            assert edge <= set(faces[table[f, k]].tolist()) and f in table[table[f, k]]
    fins = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4], [1, 2, 5]], np.int32)  # edge 0-1 has three faces
    assert find_neighbours(fins, 6).tolist() == [[3, -1, -1], [-1, -1, -1], [-1, -1, -1], [-1, -1, 0]]
