"""The mask discriminator (3D-Fauna section 3.5): does a rendered silhouette look like a photographed one?

Fakes are the posed shapes of the batch from a random azimuth, reals the batch's masks; both see the shape code. Logistic loss, with R1
(the gradient penalty of Mescheder et al. 2018) on reals. The published code builds this network's optimiser on the parameters of
the base network, so that the discriminator never learns; here it has its own (`train.py`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.fauna.heads import look_rotation
from backend.methods.fauna.paper.config import PAPER_SIZES
from backend.methods.fauna.paper.draw import draw
from backend.methods.fauna.paper.model import PaperFauna
from backend.methods.fauna.paper.objective import Step
from backend.methods.fauna.paper.skinning import pose

FAKES = 6
"""Pictures drawn from random azimuths a step."""


class Discriminator(nn.Module):
    """Masks (B, 1, s, s) and a code (B, code_dim) -> logits (B,).

    Strided convolutions down to 4x4 and a last one. The code would be repeated over the picture as further input channels: a
    convolution of constants is one linear map, and so it is added after the first convolution.
    """

    def __init__(self, side: int, code_dim: int = PAPER_SIZES.code_dim, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 4, 2, 1)
        self.code = nn.Linear(code_dim, width, bias=False)
        steps: list[nn.Module] = []
        side //= 2
        while side > 4:
            steps += [nn.LeakyReLU(0.2), nn.Conv2d(width, width * 2, 4, 2, 1)]
            width, side = width * 2, side // 2
        self.rest = nn.Sequential(*steps, nn.LeakyReLU(0.2), nn.Conv2d(width, 1, side))

    def forward(self, masks: Tensor, code: Tensor) -> Tensor:
        first = self.first(masks) + self.code(functional.normalize(code, dim=-1))[..., None, None]
        return self.rest(first).flatten(1).mean(1)


def fake_masks(model: PaperFauna, step: Step, side: int, generator: torch.Generator) -> Tensor:
    """Masks (n, 1, s, s) of the batch's posed shapes seen from random azimuths at the prior's elevation, with gradients."""
    few = torch.arange(min(FAKES, len(step.seen.feature)))
    azimuth = torch.rand(len(few), generator=generator) * 2 * math.pi
    forward = torch.stack([azimuth.sin(), torch.zeros_like(azimuth), azimuth.cos()], -1)
    rotation = look_rotation(forward, torch.full_like(azimuth, model.view_head.prior))
    translation = step.seen.views.translation[few].detach()
    rest = step.mesh.vertices[None]
    if step.skeleton is not None and step.angles is not None:
        rest = pose(rest, step.skeleton, step.angles[few])
    points = rest @ rotation.transpose(1, 2) + translation[:, None]
    return draw(points, step.mesh.faces, None, model.focal, side)[0][:, None]


def generator_loss(discriminator: Discriminator, fakes: Tensor, code: Tensor) -> Tensor:
    """What the shape pays where the discriminator sees through it."""
    return functional.softplus(-discriminator(fakes, code.detach().expand(len(fakes), -1))).mean()


def discriminator_loss(discriminator: Discriminator, reals: Tensor, fakes: Tensor, code: Tensor, penalty: float) -> Tensor:
    """Logistic loss and R1; reals (B, 1, s, s), fakes (n, 1, s, s) without gradients."""
    reals = reals.detach().requires_grad_(True)
    own = code.detach()
    real = discriminator(reals, own.expand(len(reals), -1))
    fake = discriminator(fakes.detach(), own.expand(len(fakes), -1))
    (slope,) = torch.autograd.grad(real.sum(), reals, create_graph=True)
    r1 = slope.square().sum((1, 2, 3)).mean()
    return functional.softplus(-real).mean() + functional.softplus(fake).mean() + penalty / 2 * r1
