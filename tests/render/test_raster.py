"""Rasterize and interpolate on the CPU: values against brute force, gradients against finite differences, hostile input."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from backend.render import cpu, renderer_for
from backend.render.camera import camera_projection, projection, transform_points
from backend.types import Camera
from tests.render.scenes import FAR, NEAR, ball, brute_force, clip_of

BARYCENTRIC = 2e-5
"""float32 barycentrics against float64 ones."""
DIFFERENCE = 2e-3
"""Relative error of float32 central differences."""


def test_ids_and_barycentrics_equal_brute_force() -> None:
    vertices, faces = ball(16, 8)
    clip = clip_of(vertices, (48, 56))
    rast = cpu.rasterize(clip, faces, (48, 56))[0].numpy()
    ids, weights, gap = brute_force(clip[0].numpy(), faces.numpy(), (48, 56))
    ours = rast[..., 3].astype(int) - 1
    clear = gap > 1e-6
    assert (ours >= 0).mean() > 0.3
    assert (ours[clear] == ids[clear]).all()
    inside = clear & (ids >= 0)
    assert np.abs(rast[inside][:, :2] - weights[inside][:, :2]).max() < BARYCENTRIC


def test_triangles_that_reach_behind_the_camera_are_cut_and_not_mirrored() -> None:
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(90, 3, generator=generator) * 2  # the camera stands in the middle of them
    faces = torch.arange(90, dtype=torch.int32).reshape(30, 3)
    clip = transform_points(points, projection(40.0, 40, 40, NEAR, FAR))[None]
    rast = cpu.rasterize(clip, faces, (40, 40))[0].numpy()
    ids, weights, _ = brute_force(clip[0].numpy(), faces.numpy(), (40, 40))
    ours = rast[..., 3].astype(int) - 1
    assert (ours == ids).mean() > 0.999
    same = (ours == ids) & (ids >= 0)
    assert np.abs(rast[same][:, :2] - weights[same][:, :2]).max() < BARYCENTRIC
    depth = (points[faces.long()][ids[same]] * torch.from_numpy(weights[same]).float()[..., None]).sum(1)[:, 2]
    assert float(depth.min()) >= NEAR * 0.999


def test_interpolation_is_perspective_correct() -> None:
    """A floor that recedes: the interpolated position projects onto its own pixel and lies on the plane."""
    corners = torch.tensor([[-5.0, 1.0, 1.0], [5.0, 1.0, 1.0], [5.0, 1.0, 30.0], [-5.0, 1.0, 30.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    matrix = projection(60.0, 64, 64, NEAR, FAR)
    rast = cpu.rasterize(transform_points(corners, matrix)[None], faces, (64, 64))
    place = cpu.interpolate(corners[None], rast, faces)[0]
    drawn = rast[0, ..., 3] > 0
    assert float(drawn.float().mean()) > 0.2
    y, x = torch.nonzero(drawn, as_tuple=True)
    points = place[drawn]
    assert float((points[:, 0] / points[:, 2] * 60 + 32 - x - 0.5).abs().max()) < 1e-3
    assert float((points[:, 1] / points[:, 2] * 60 + 32 - y - 0.5).abs().max()) < 1e-3
    depth = (rast[0, ..., 2][drawn].double() - float(matrix[2, 2])).reciprocal() * float(matrix[2, 3])
    assert torch.allclose(depth.float(), points[:, 2], rtol=1e-4)


def test_row_zero_is_the_top_row_and_y_points_down() -> None:
    points = torch.tensor([[-0.2, -0.5, 2.0], [0.2, -0.5, 2.0], [0.0, -0.3, 2.0]])  # above the axis in OpenCV's frame
    rast = cpu.rasterize(
        transform_points(points, projection(32.0, 32, 32, NEAR, FAR))[None], torch.tensor([[0, 1, 2]], dtype=torch.int32), (32, 32)
    )
    rows = torch.nonzero(rast[0, ..., 3].sum(1))[:, 0]
    assert int(rows.min()) == 8 and int(rows.max()) <= 12


def test_neighbouring_triangles_leave_no_hole_and_no_pixel_twice() -> None:
    """A fan of slivers over the whole picture: every pixel is drawn; with u, v inside the triangle."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    rim = np.stack([3 * np.cos(angle), 3 * np.sin(angle), np.zeros(400), np.ones(400)], -1)
    clip = torch.from_numpy(np.concatenate([rim, [[0.013, 0.017, 0, 1]]]).astype(np.float32))[None]
    k = np.arange(400)
    faces = torch.from_numpy(np.stack([k, (k + 1) % 400, np.full(400, 400)], -1).astype(np.int32))
    rast = cpu.rasterize(clip, faces, (128, 128))
    assert bool((rast[..., 3] > 0).all())
    assert float(rast[..., :2].min()) >= 0 and float(rast[..., :2].sum(-1).max()) <= 1 + 1e-6


def test_gradient_of_interpolated_attributes_equals_finite_differences() -> None:
    vertices, faces = ball(8, 4)
    size = (24, 24)
    generator = torch.Generator().manual_seed(0)
    attr = torch.randn(1, len(vertices), 3, generator=generator)
    clip = clip_of(vertices, size)
    base = cpu.rasterize(clip, faces, size)
    weight = torch.randn(1, *size, 3, generator=generator)

    def value(at: torch.Tensor) -> torch.Tensor:
        rast = cpu.rasterize(at, faces, size)
        fixed = rast[..., 3:] == base[..., 3:]  # interiors: pixels that keep their triangle
        return (cpu.interpolate(attr, rast, faces) * weight * fixed).double().sum()

    clip.requires_grad_(True)
    attr.requires_grad_(True)
    value(clip).backward()
    assert clip.grad is not None and attr.grad is not None
    step = 1e-3
    for v, c in [(3, 0), (10, 1), (17, 3), (20, 0), (25, 1), (30, 3)]:
        with torch.no_grad():
            shift = torch.zeros_like(clip)
            shift[0, v, c] = step
            kept = cpu.rasterize(clip + shift, faces, size)[..., 3:] == cpu.rasterize(clip - shift, faces, size)[..., 3:]
            keep = (kept & (cpu.rasterize(clip + shift, faces, size)[..., 3:] == base[..., 3:])).float()
            numeric = sum(
                sign * float((cpu.interpolate(attr, cpu.rasterize(clip + sign * shift, faces, size), faces) * weight * keep).double().sum())
                for sign in (1, -1)
            ) / (2 * step)
        clip.grad = None
        (cpu.interpolate(attr.detach(), cpu.rasterize(clip, faces, size), faces) * weight * keep).sum().backward()
        assert abs(numeric - float(clip.grad[0, v, c])) <= DIFFERENCE * max(1.0, abs(numeric))
    assert torch.allclose(attr.grad.sum((0, 1)), (weight * (base[..., 3:] > 0)).sum((0, 1, 2)), atol=1e-3)


def test_gradient_of_barycentrics_passes_gradcheck_by_direction() -> None:
    """One large slanted triangle and random directions: no pixel changes hands."""
    clip = torch.tensor([[[-3.0, -3.0, 0.1, 1.5], [6.0, -3.5, 0.2, 2.5], [-2.0, 8.0, 0.3, 2.0]]])
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(1, 16, 16, 2, generator=generator)
    clip.requires_grad_(True)
    (cpu.rasterize(clip, faces, (16, 16))[..., :2] * weight).sum().backward()
    assert clip.grad is not None and float(clip.grad[..., 2].abs().max()) == 0
    for _ in range(5):
        direction = torch.randn(clip.shape, generator=generator)
        with torch.no_grad():
            ends = [(cpu.rasterize(clip + s * 1e-3 * direction, faces, (16, 16))[..., :2] * weight).double().sum() for s in (1, -1)]
        assert float((ends[0] - ends[1]) / 2e-3) == pytest.approx(float((clip.grad * direction).sum()), rel=DIFFERENCE, abs=1e-2)


def test_a_batch_is_its_pictures_and_shared_attributes_sum_their_gradients() -> None:
    vertices, faces = ball(12, 6)
    clip = torch.cat([clip_of(vertices, (32, 32), d) for d in (2.5, 3.0, 4.0)])
    whole = cpu.rasterize(clip, faces, (32, 32))
    for b in range(3):
        assert torch.equal(whole[b : b + 1], cpu.rasterize(clip[b : b + 1], faces, (32, 32)))
    shared = vertices[None].clone().requires_grad_(True)
    own = vertices[None].repeat(3, 1, 1).requires_grad_(True)
    for attr in (shared, own):
        (cpu.interpolate(attr, whole, faces) ** 2).sum().backward()
    assert shared.grad is not None and own.grad is not None
    assert torch.allclose(shared.grad[0], own.grad.sum(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("pictures", "size"), [(2, (96, 96)), (1, (600, 500))], ids=["split by picture", "split by rows"])
def test_results_are_equal_bit_for_bit_whatever_the_number_of_threads(pictures: int, size: tuple[int, int]) -> None:
    vertices, faces = ball(40, 20)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            clip = torch.cat([clip_of(vertices, size), clip_of(vertices, size, 3.5)])[:pictures].requires_grad_(True)
            rast = cpu.rasterize(clip, faces, size)
            attr = vertices[None].clone().requires_grad_(True)
            color = cpu.antialias(cpu.interpolate(attr, rast, faces), rast, clip, faces)
            (color * torch.sin(color.detach() * 9)).sum().backward()
            assert clip.grad is not None and attr.grad is not None
            results.append((rast.detach(), color.detach(), clip.grad, attr.grad))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 3e38])
@pytest.mark.parametrize("channel", [0, 1, 2, 3])
def test_vertices_that_are_not_finite_take_only_their_own_triangles_away(bad: float, channel: int) -> None:
    vertices, faces = ball(12, 6)
    clip = clip_of(vertices, (32, 32))
    whole = cpu.rasterize(clip, faces, (32, 32))
    broken = clip.clone()
    broken[0, 20, channel] = bad
    broken.requires_grad_(True)
    rast = cpu.rasterize(broken, faces, (32, 32))
    color = cpu.antialias((rast[..., 3:] > 0).float(), rast, broken, faces)
    (color.sum() + cpu.interpolate(vertices[None], rast, faces).sum()).backward()
    assert bool(torch.isfinite(rast).all()) and bool(torch.isfinite(color).all())
    assert broken.grad is not None and bool(torch.isfinite(broken.grad).all())
    if not np.isfinite(bad):
        touched = torch.nonzero((faces == 20).any(1))[:, 0] + 1
        assert not bool(torch.isin(rast[..., 3], touched.float()).any())
        others = (whole[..., 3] > 0) & ~torch.isin(whole[..., 3], touched.float())
        assert torch.equal(rast[..., 3][others], whole[..., 3][others])


def test_degenerate_triangles_and_meshes_behind_the_camera_draw_nothing() -> None:
    points = torch.tensor([[0.0, 0.0, 2.0], [0.5, 0.5, 2.0], [1.0, 1.0, 2.0], [0.0, 0.0, 2.0]])
    faces = torch.tensor([[0, 1, 2], [0, 0, 1], [0, 3, 1], [2, 2, 2]], dtype=torch.int32)
    matrix = projection(32.0, 32, 32, NEAR, FAR)
    assert float(cpu.rasterize(transform_points(points, matrix)[None], faces, (32, 32)).abs().max()) == 0
    vertices, closed = ball(8, 4)
    behind = transform_points(vertices - torch.tensor([0.0, 0.0, 3.0]), matrix)[None].requires_grad_(True)
    rast = cpu.rasterize(behind, closed, (32, 32))
    cpu.antialias((rast[..., 3:] > 0).float(), rast, behind, closed).sum().backward()
    assert float(rast.detach().abs().max()) == 0 and behind.grad is not None and float(behind.grad.abs().max()) == 0


def test_an_empty_mesh_draws_an_empty_picture() -> None:
    rast = cpu.rasterize(torch.zeros(1, 0, 4), torch.zeros(0, 3, dtype=torch.int32), (8, 9))
    assert rast.shape == (1, 8, 9, 4) and float(rast.abs().max()) == 0


@pytest.mark.parametrize(
    ("clip", "faces", "size"),
    [
        (torch.zeros(3, 4), torch.zeros(1, 3, dtype=torch.int32), (8, 8)),
        (torch.zeros(1, 3, 4), torch.zeros(1, 3, dtype=torch.int64), (8, 8)),
        (torch.zeros(1, 3, 4), torch.full((1, 3), 3, dtype=torch.int32), (8, 8)),
        (torch.zeros(1, 3, 4), torch.full((1, 3), -1, dtype=torch.int32), (8, 8)),
        (torch.zeros(1, 3, 4), torch.zeros(1, 3, dtype=torch.int32), (0, 8)),
    ],
)
def test_wrong_input_is_refused(clip: torch.Tensor, faces: torch.Tensor, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        cpu.rasterize(clip, faces, size)


def test_texture_reads_texel_centres_and_carries_gradients() -> None:
    tex = torch.arange(24, dtype=torch.float32).reshape(1, 4, 3, 2).requires_grad_(True)
    i, j = torch.meshgrid(torch.arange(4), torch.arange(3), indexing="ij")
    uv = torch.stack([(j + 0.5) / 3, (i + 0.5) / 4], -1)[None]
    out = cpu.texture(tex, uv)
    assert torch.allclose(out, tex, atol=1e-5)
    out.sum().backward()
    assert tex.grad is not None and torch.allclose(tex.grad, torch.ones_like(tex), atol=1e-5)
    assert torch.allclose(cpu.texture(tex, torch.full((1, 1, 1, 2), -3.0))[0, 0, 0], tex[0, 0, 0])


def test_projection_agrees_with_the_camera_of_types() -> None:
    turn = np.eye(4, dtype=np.float32)
    turn[:3, 3] = [0.1, -0.2, 4.0]
    camera = Camera(width=300, height=200, focal_px=250.0, object_to_camera=turn)
    point = torch.tensor([[0.3, 0.4, 0.5]])
    clip = transform_points(point, camera_projection(camera, NEAR, FAR, (100, 150)))[0]
    seen = point[0] + torch.tensor([0.1, -0.2, 4.0])
    assert float((clip[0] / clip[3] + 1) / 2 * 300) == pytest.approx(250 * float(seen[0] / seen[2]) + 150, abs=1e-3)
    assert float((clip[1] / clip[3] + 1) / 2 * 200) == pytest.approx(250 * float(seen[1] / seen[2]) + 100, abs=1e-3)
    with pytest.raises(ValueError):
        camera_projection(camera, NEAR, FAR, (100, 100))
    with pytest.raises(ValueError):
        projection(100.0, 10, 10, 1.0, 0.5)


def test_the_renderer_is_chosen_by_device() -> None:
    assert renderer_for("cpu") is cpu
    with pytest.raises(ValueError):
        renderer_for("meta")


def test_nvdiffrast_is_not_imported_before_it_is_used() -> None:
    from backend.render import nvdiff

    assert callable(nvdiff.rasterize) and "nvdiffrast" not in sys.modules
    empty = torch.zeros(0, 3, dtype=torch.int32)
    assert nvdiff.rasterize(torch.zeros(1, 0, 4), empty, (4, 5)).shape == (1, 4, 5, 4)
