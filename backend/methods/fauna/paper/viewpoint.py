"""Four viewpoint hypotheses a picture, their choice and the logits that regress their losses (3D-Fauna section 3.4).

OpenGL camera frame (x right, y up, looking along -z). Each hypothesis keeps its forward direction in one quadrant of x and z. A
photographer's camera looks down a little, at an angle that is given (the published head, whose up is always the camera's, can't see an
animal from above). What the four have in common, how far the direction leans from x to z, is one output with a small one of each
hypothesis added: in a short run a hypothesis that is seldom chosen would else stay where it began, lose every comparison for that, and
never be chosen (the published four are separate).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.fauna.config import FaunaConfig
from backend.methods.fauna.heads import QUADRANTS, ConvHead, look_rotation

OWN_SHARE = 0.3
"""Of a hypothesis' own output beside the common one."""
BALANCE = 0.01
"""Weight of a picture in what a hypothesis usually has with its species."""
OUTLINE_TERMS = ("1", "a", "a^2")
"""What that depends on: a, the logarithm of width over height of the animal's box."""
RIDGE = 1e-3
"""Added to the regression's diagonal: outlines of few pictures hardly differ."""
SINGLE_START = (0.5, 0.0, 0.5)
"""Where the one direction starts that is left without hypotheses."""


@dataclass(frozen=True)
class Views:
    """rotation (B, H, 3, 3) object to camera; translation (B, 3); logits (B, H), predictions of the hypotheses' losses."""

    rotation: Tensor
    translation: Tensor
    logits: Tensor


class ViewHead(nn.Module):
    """Key map -> 4 x (logit, forward), translation; one free direction where `single`.

    prior: the camera's elevation, degrees; species: how many there are.
    """

    def __init__(self, config: FaunaConfig, prior: float, single: bool, species: int) -> None:
        super().__init__()
        self.config, self.single = config, single
        self.prior = math.radians(prior)
        self.head = ConvHead(config.key_channels, config.head_channels, 21, config.grid, norm=True)
        terms = len(OUTLINE_TERMS)
        self.register_buffer("outlines", torch.eye(terms).repeat(species, 1, 1))
        self.register_buffer("usual", torch.zeros(species, terms, 1 if single else 4))

    def forward(self, key_map: Tensor, place: Tensor) -> Views:
        """key_map (B, C, g, g); place (B, 3): where the picture's box says that the animal stands."""
        config = self.config
        out = self.head(key_map)  # (B, 21)
        raw = out[:, :16].unflatten(1, (4, 4))
        if self.single:
            forward = raw[:, :1, 1:] + raw.new_tensor(SINGLE_START)
            forward = forward * forward.new_tensor([1.0, 0.0, 1.0])
        else:
            sign = raw.new_tensor(QUADRANTS)  # (4, 2)
            beta = math.log(2) / 0.5
            x = functional.softplus(out[:, 19:20] + OWN_SHARE * raw[..., 1], beta=beta) * sign[:, 0]
            z = functional.softplus(out[:, 20:21] + OWN_SHARE * raw[..., 3], beta=beta) * sign[:, 1]
            forward = torch.stack([x, torch.zeros_like(x), z], -1)  # (B, 4, 3)
        rotation = look_rotation(forward, forward.new_full(forward.shape[:2], self.prior))
        half = config.camera_distance * math.tan(math.radians(config.crop_fov_degrees / 2))
        offset = torch.tanh(out[:, 16:19]) * out.new_tensor(config.translation_range) * half
        translation = place + offset * (-place[:, 2:] / config.camera_distance)
        return Views(rotation, translation, raw[..., 0][:, : forward.shape[1]])

    def compare(self, losses: Tensor, species: Tensor, box: Tensor) -> Tensor:
        """Losses (B, H) of a batch's hypotheses -> less each picture's mean, and less what each hypothesis usually has beside the others.

        species (B,) numbers; box (B, 4) of the masks. What is usual is a running regression of each species on OUTLINE_TERMS.
        Photographs show as many animals that come as that go, of each kind, seen from the side as from an end. What the shape explains
        better at first would draw all of them to itself, and the other end would never learn what it looks like. Without a balance of
        each species' own all deer come and all bears go; without one of outlines, all that are seen from an end come and all
        that are seen from the side go: either makes more of a difference than which end is seen.
        """
        beside = losses - losses.mean(1, keepdim=True)
        extent = (box[:, 2:] - box[:, :2]).clamp_min(1e-3)
        ratio = (extent[:, 0] / extent[:, 1]).log()
        terms = torch.stack([torch.ones_like(ratio), ratio, ratio.square()], 1)  # (B, T)
        assert isinstance(self.usual, Tensor) and isinstance(self.outlines, Tensor)
        if self.training:
            for own in species.unique():
                shown = species == own
                among, found = terms[shown], beside[shown]
                weight = 1 - (1 - BALANCE) ** len(among)
                self.outlines[own].lerp_(among.T @ among / len(among), weight)
                self.usual[own].lerp_(among.T @ found / len(among), weight)
        slope = torch.linalg.solve(self.outlines + RIDGE * torch.eye(terms.shape[1]), self.usual)  # (species, T, H)
        return beside - (terms[:, None] @ slope[species])[:, 0]


def probabilities(logits: Tensor, sharpness: float, uniform: float) -> Tensor:
    """(B, H) softmax(-sharpness * logit), blended with the uniform distribution: the smallest predicted loss is the most probable."""
    return (1 - uniform) * torch.softmax(-sharpness * logits, -1) + uniform / logits.shape[1]


def choose(probability: Tensor, best: float, generator: torch.Generator) -> Tensor:
    """(B, H) probabilities -> (B,) the most probable hypothesis with probability `best`, else one drawn by the probabilities.

    The published code draws any and weights its loss by H p: the same expectation, but most of a batch then counts for nothing.
    """
    drawn = torch.multinomial(probability, 1, generator=generator)[:, 0]
    return torch.where(torch.rand(len(probability), generator=generator) < best, probability.argmax(-1), drawn)


def logit_loss(logits: Tensor, losses: Tensor) -> Tensor:
    """(B, H) logits regress the detached losses (B, H) of their hypotheses, both less their picture's mean; scalar.

    The published logits regress the loss itself, of the one hypothesis that was rendered. How well a picture can be explained at all varies
    far more than what one hypothesis has before another, and only that is asked of them.
    """
    losses = losses.detach()
    return ((logits - logits.mean(1, keepdim=True)) - (losses - losses.mean(1, keepdim=True))).square().mean()
