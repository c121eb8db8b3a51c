"""The bundled model's own surfaces: extraction skips nothing of them, and ears stand out of them."""

import numpy as np
import pytest
import torch

from backend.methods.fauna.networks import load_networks
from backend.methods.fauna.shape import CELLS, HANGING_EAR, LIPSCHITZ, canonical_ear, category_field, tail_sheath
from backend.rig.proportions import carry_bones
from backend.shape.extract import estimate_lipschitz, extract, extract_dense

SAMPLES = 100_000


def test_the_learnt_fields_are_no_steeper_than_extraction_takes_them_to_be() -> None:
    model = load_networks().model
    bank = model.netBase.memory_bank
    for code in (bank.mean(0), *bank[::20]):
        assert estimate_lipschitz(category_field(model, code), SAMPLES, margin=1.0) < LIPSCHITZ


def test_coarse_to_fine_finds_every_triangle_of_a_learnt_shape() -> None:
    model = load_networks().model
    field = category_field(model, model.netBase.memory_bank[3])
    found, dense = extract(field, CELLS, LIPSCHITZ, model.config.half_extent), extract_dense(field, CELLS, model.config.half_extent)
    assert len(dense.faces) > 10_000
    np.testing.assert_array_equal(found.faces, dense.faces)
    np.testing.assert_allclose(found.vertices, dense.vertices, atol=1e-5)


@pytest.mark.parametrize(("ear", "drawn"), [((0.15, 0.3, -0.1), 1.0), ((0.1, 0.02, 0.05), 1.0), ((0.2, -0.3, -0.1), HANGING_EAR / 0.374)])
def test_an_ear_stands_where_proportions_carry_it_to_its_tip(ear: tuple[float, float, float], drawn: float) -> None:
    model = load_networks().model
    template, rest, girth = model.template, model.canonical.clone(), torch.zeros(33, 2)
    base, tip = (template.point_index[name] for name in ("ear_base.L", "ear_tip.L"))
    for end in ("poll", "muzzle", "ear_base.L", "ear_base.R"):
        rest[template.point_index[end]] += torch.tensor([0.0, 0.2, 0.1])
    rest[template.point_index["muzzle"], 2] += 0.3
    rest[tip] = rest[base] + torch.tensor(ear)
    start, end = canonical_ear(model, rest, girth)
    carry = carry_bones(model.canonical, rest, torch.zeros(34, 2))[template.bone_index["ear.L"]]
    torch.testing.assert_close(carry[:3, :3] @ start + carry[:3, 3], rest[base], atol=1e-4, rtol=0)
    found = carry[:3, :3] @ end + carry[:3, 3]
    torch.testing.assert_close(found, rest[base] + drawn * torch.tensor(ear), atol=2e-3, rtol=0)
    inside = category_field(model, model.netBase.memory_bank.mean(0), torch.stack([start, end]))(torch.stack([start, end]))
    assert (inside > 0).all()


def test_nothing_hangs_from_the_tails_end_and_all_else_may_be_as_thick_as_it_is() -> None:
    model = load_networks().model
    points = model.canonical
    assert isinstance(points, torch.Tensor)
    tail = points[[model.template.point_index[f"tail{number}"] for number in range(5)]]
    below = torch.tensor([0.0, -1.0, 0.3]) * 0.15
    assert bool((tail_sheath(model, torch.stack([tail[4] + below, (tail[3] + tail[4]) / 2 + below])) < 0).all())
    assert bool((tail_sheath(model, torch.cat([tail, points])) > 0).all())
    rump = tail[1] + torch.tensor([0.0, -0.3, 0.1])
    assert bool((tail_sheath(model, rump[None]) > 0).all())
    for code in model.netBase.memory_bank[::20]:
        surface = extract(category_field(model, code), CELLS, LIPSCHITZ, model.config.half_extent)
        away = torch.cdist(torch.from_numpy(surface.vertices), tail[4][None])[:, 0]
        assert not bool(((away > 0.1) & (away < 0.15) & (torch.from_numpy(surface.vertices)[:, 1] < tail[4, 1])).any())
