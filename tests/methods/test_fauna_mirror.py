"""A mirrored picture is seen as the mirrored animal."""

import torch

from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.mirror import MIRROR, agree, perceive_twice, unmirror
from backend.methods.fauna.model import Fauna
from backend.observe.efficientnet import shared_encoder


def test_a_mirrored_picture_is_the_mirrored_animal() -> None:
    torch.manual_seed(0)
    model, encoder = Fauna(BUNDLED).eval(), shared_encoder()
    picture = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        there, mirrored = (perceive_twice(model, p, encoder) for p in (picture, picture.flip(3)))
        back = unmirror(mirrored, model.template)
        alone = model.perceive(encoder(picture))
    for name in ("seen", "confidence", "lifted", "rest", "girth", "code"):
        torch.testing.assert_close(getattr(back, name), getattr(there, name), atol=1e-4, rtol=1e-3)
    for name, value in vars(there.viewpoints).items():
        torch.testing.assert_close(getattr(back.viewpoints, name), value, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(alone.seen, there.seen, atol=1e-3)  # which one look does not give


def test_two_looks_that_say_the_same_are_one() -> None:
    torch.manual_seed(1)
    model = Fauna(BUNDLED).eval()
    with torch.no_grad():
        seen = model.perceive(shared_encoder()(torch.rand(1, 3, 256, 256)))
        twice = agree(seen, unmirror(unmirror(seen, model.template), model.template))
    for name in ("seen", "confidence", "lifted", "rest", "girth", "code"):
        torch.testing.assert_close(getattr(twice, name), getattr(seen, name), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(twice.viewpoints.rotation, seen.viewpoints.rotation, atol=1e-5, rtol=1e-4)
    turned = twice.viewpoints.rotation[0, 0]
    assert float(torch.linalg.det(turned)) > 0.99 and float(torch.linalg.det(MIRROR)) == -1
