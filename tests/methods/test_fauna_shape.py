"""The bundled model's own surfaces: extraction skips nothing of them."""

import numpy as np

from backend.methods.fauna.networks import load_networks
from backend.methods.fauna.shape import CELLS, LIPSCHITZ, category_field
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
