"""What colours tell: a creature that moves under its coat is drawn to where its picture has it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backend.methods.fauna.fitting.coat import Coat
from backend.methods.fauna.fitting.silhouette import picture
from tests.rig.animals import animal

SIZE, FOCAL = 96, 4.0
FROM_THE_SIDE = torch.tensor([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
PLACE = torch.tensor([0.0, 0.0, 12.0])


class Stripes(nn.Module):
    """Stripes along the body, half a unit wide, and nothing to learn but their strength."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor, feature: Tensor) -> Tensor:
        grey = 0.5 + self.strength * torch.sin(2 * torch.pi * x[..., 2:])
        return grey.expand(*x.shape[:-1], 9)


class Scene:
    """The made-up horse in stripes, and its coat fitted to a picture of it at PLACE."""

    def __init__(self) -> None:
        mesh, _ = animal("horse")
        self.rest, self.faces = torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.faces)
        light = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([0.6]), torch.tensor([0.4])
        instance: Any = SimpleNamespace(netTexture=Stripes(), netLight=lambda feature: light)
        perception: Any = SimpleNamespace(feat_out=torch.zeros(1, 4))
        model: Any = SimpleNamespace(netInstance=instance)
        blank, whole = torch.zeros(SIZE, SIZE, 3), torch.ones(SIZE, SIZE)
        painter = Coat(model, perception.feat_out, blank, whole, SIZE)
        camera = self.camera(PLACE)
        rast, cover = picture(camera, self.faces, FOCAL, SIZE)
        seen = painter.look(self.rest, camera, self.faces, rast)
        with torch.no_grad():
            albedo = painter.field(seen.points[None], painter.feature)[0, :, :3]
            blank[rast[0, ..., 3] > 0] = albedo * painter.shading(seen.normals)[:, None]
        self.photo, self.cover = blank, cover.detach()
        self.coat = Coat(model, perception.feat_out, self.photo, self.cover, SIZE)

    def camera(self, place: Tensor) -> Tensor:
        return self.rest @ FROM_THE_SIDE.T + place

    def residual(self, place: Tensor) -> Tensor:
        camera = self.camera(place)
        rast, _ = picture(camera, self.faces, FOCAL, SIZE)
        return self.coat.residual(self.coat.look(self.rest, camera, self.faces, rast))


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_colours_draw_a_creature_back_to_its_place(scene: Scene, side: float) -> None:
    assert float(scene.residual(PLACE).detach()) < 0.01
    place = (PLACE + torch.tensor([0.12 * side, 0.0, 0.0])).requires_grad_(True)
    error = scene.residual(place)
    assert float(error.detach()) > 0.05
    error.backward()
    assert place.grad is not None
    slope = place.grad.numpy()
    assert slope[0] * side > 0.2 and abs(slope[0]) > 3 * abs(slope[1])  # along the body, away from its place, and little else


def test_the_coat_finds_how_strong_the_stripes_are(scene: Scene) -> None:
    camera = scene.camera(PLACE)
    rast, _ = picture(camera, scene.faces, FOCAL, SIZE)
    seen = scene.coat.look(scene.rest, camera, scene.faces, rast)
    strength: Any = scene.coat.field.strength
    with torch.no_grad():
        strength.fill_(0.25)
    before = float(scene.coat.residual(seen).detach())
    for _ in range(60):
        scene.coat.fit(seen)
    assert float(strength) == pytest.approx(0.3, abs=0.02) and float(scene.coat.residual(seen).detach()) < 0.3 * before


def test_nothing_is_fitted_to_a_picture_that_shows_nothing(scene: Scene) -> None:
    camera = scene.camera(PLACE + torch.tensor([50.0, 0.0, 0.0]))
    rast, _ = picture(camera, scene.faces, FOCAL, SIZE)
    seen = scene.coat.look(scene.rest, camera, scene.faces, rast)
    field = [value.clone() for value in scene.coat.field.state_dict().values()]
    scene.coat.fit(seen)
    assert float(scene.coat.residual(seen)) == 0 and float(scene.coat.mean_shading(seen)) == 1
    for before, after in zip(field, scene.coat.field.state_dict().values(), strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy())
