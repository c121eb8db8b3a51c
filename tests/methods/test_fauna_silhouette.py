"""What of the mask isn't covered pulls at the limb that stood there, and a pixel's nearest bone is found."""

from __future__ import annotations

import torch

from backend.methods.fauna.fitting.silhouette import FAR, RENDER_SIZE, MaskTarget, limb_distance
from backend.rig.template import load_quadruped

TEMPLATE = load_quadruped()
HIND, FRONT = (TEMPLATE.bone_index[name] for name in ("foot.L", "front_foot.L"))


def standing() -> torch.Tensor:
    """(P, 2) everything far above the picture but two feet: the left hind one at the left, the left front one at the right."""
    points = torch.full((len(TEMPLATE.points), 2), -5.0)
    for name, x in (("hock.L", -0.5), ("hind_knuckle.L", -0.5), ("wrist.L", 0.5), ("front_knuckle.L", 0.5)):
        points[TEMPLATE.point_index[name]] = torch.tensor([x, 0.0 if name in ("hock.L", "wrist.L") else 0.8])
    return points


def pulled(start: torch.Tensor) -> torch.Tensor:
    """(2,) how hard a bare patch of mask at the hind foot pulls the hind foot's vertex, farther away, and the front's, which swung near."""
    mask = torch.zeros(RENDER_SIZE, RENDER_SIZE)
    row, column = int(0.7 * RENDER_SIZE), int(0.25 * RENDER_SIZE)
    mask[row : row + 6, column : column + 6] = 1
    target = MaskTarget(mask, 0, TEMPLATE, torch.tensor([HIND, FRONT]), start)
    image = torch.tensor([[-0.8, 0.4], [-0.3, 0.4]], requires_grad=True)
    _, _, uncovered = target.energy(image, torch.zeros_like(mask))
    uncovered.backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    return image.grad.norm(dim=1)


def test_a_bare_patch_pulls_the_foot_that_stood_there_not_the_one_that_came_near() -> None:
    hind, front = pulled(standing()).tolist()
    assert hind > 0.01
    assert front == 0


def test_where_two_limbs_stood_alike_the_nearest_vertex_is_pulled() -> None:
    start = standing()
    for hind, front in (("hock.L", "wrist.L"), ("hind_knuckle.L", "front_knuckle.L")):
        start[TEMPLATE.point_index[front]] = start[TEMPLATE.point_index[hind]] + 0.01
    hind, front = pulled(start).tolist()
    assert hind == 0
    assert front > 0.01


def test_a_pixel_s_distance_is_to_the_nearest_place_on_a_limb_s_bones() -> None:
    pixels = torch.tensor([[-0.5, 0.4], [-0.2, 0.4], [-0.5, 1.0]])
    gap = limb_distance(pixels, standing(), TEMPLATE, "hind leg.L")
    torch.testing.assert_close(gap, torch.tensor([0.0, 0.3, 0.2]))
    assert (limb_distance(pixels, standing(), TEMPLATE, "root") == FAR).all()
