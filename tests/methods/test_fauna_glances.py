"""A mirrored crop is seen as the mirrored animal, and several looks as one."""

import torch

from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.glances import FRAME, MIRROR, PHOTO, agree, before, perceive, unmirror
from backend.methods.fauna.model import Fauna
from backend.observe.efficientnet import shared_encoder

SAID = ("seen", "confidence", "lifted", "rest", "girth", "code")


def test_a_mirrored_crop_is_the_mirrored_animal() -> None:
    torch.manual_seed(0)
    model, encoder = Fauna(BUNDLED).eval(), shared_encoder()
    picture, cover = torch.rand(256, 256, 3), torch.rand(256, 256)
    with torch.no_grad():
        there = perceive(model, encoder, picture, cover, PHOTO)
        back = unmirror(perceive(model, encoder, picture.flip(1), cover.flip(1), PHOTO), model.template)
        alone = model.perceive(encoder(before(picture, cover, PHOTO[0])[None]))
    for name in SAID:
        torch.testing.assert_close(getattr(back, name), getattr(there, name), atol=1e-4, rtol=1e-3)
    for name, value in vars(there.viewpoints).items():
        torch.testing.assert_close(getattr(back.viewpoints, name), value, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(alone.seen, there.seen, atol=1e-3)  # which one look does not give


def test_looks_that_say_the_same_are_one() -> None:
    torch.manual_seed(1)
    model = Fauna(BUNDLED).eval()
    with torch.no_grad():
        seen = model.perceive(shared_encoder()(torch.rand(1, 3, 256, 256)))
        again = agree([seen, unmirror(unmirror(seen, model.template), model.template), seen])
    for name in SAID:
        torch.testing.assert_close(getattr(again, name), getattr(seen, name), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(again.viewpoints.rotation, seen.viewpoints.rotation, atol=1e-5, rtol=1e-4)
    turned = again.viewpoints.rotation[0, 0]
    assert float(torch.linalg.det(turned)) > 0.99 and float(torch.linalg.det(MIRROR)) == -1


def test_what_is_behind_the_animal_is_not_seen() -> None:
    torch.manual_seed(2)
    cover = (torch.rand(8, 8) > 0.5).float()
    animal, behind = torch.rand(8, 8, 3), torch.rand(8, 8, 3)
    for glance in (*PHOTO, *FRAME):
        there, other = (before(animal * cover[..., None] + back * (1 - cover[..., None]), cover, glance) for back in (behind, 1 - behind))
        torch.testing.assert_close(there, other)
        nothing = (cover.flip(1) if glance.mirrored else cover) == 0
        assert bool((there[:, nothing] == glance.background).all())
