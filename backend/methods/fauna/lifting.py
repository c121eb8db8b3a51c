"""Lifts the points seen in the picture into space (after Martinez et al., ICCV 2017): which of two legs is nearer, which way a trunk leans.

One token a point: where it was seen, how surely, where the category has it at rest, and what the key map shows there; a transformer lets
every point see the others. What it has seen also says how this animal's rest shape differs from the category's: a long neck is long in
every pose. It learns from pictures, and from far more skeletons than there are pictures, projected with no picture at all
(`skeletons`): then the picture's part of the token is one learnt vector.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.fauna.articulation import Block
from backend.methods.fauna.config import FaunaConfig
from backend.methods.fauna.encoder import Tokens
from backend.methods.fauna.fields import frequency_band, harmonic_encoding

WIDTH, HEADS, FREQUENCIES = 192, 6, 6


class Lifting(nn.Module):
    """Seen points -> the posed points about their mean, camera axes as in `model` (OpenGL), and the rest's way from the category's."""

    def __init__(self, config: FaunaConfig, points: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequency_band(FREQUENCIES, 0.5 * math.pi), persistent=False)
        self.seen = nn.Linear(2 * (1 + 2 * FREQUENCIES) + 1, WIDTH)
        self.category = nn.Linear(3, WIDTH)
        self.shown = nn.Linear(config.key_channels, WIDTH)
        self.asked = nn.Linear(config.key_channels, WIDTH)
        self.whole = nn.Linear(config.key_channels, WIDTH)
        self.unseen = nn.Parameter(torch.zeros(WIDTH))
        self.point = nn.Parameter(torch.randn(points, WIDTH) * 0.1)
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS) for _ in range(config.lifting_blocks))
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3))
        change = nn.Linear(WIDTH, 3)
        nn.init.zeros_(change.weight)  # it begins with the category's
        nn.init.zeros_(change.bias)
        self.change = nn.Sequential(nn.LayerNorm(WIDTH), change)

    def forward(
        self, seen: Tensor, confidence: Tensor, category: Tensor, tokens: Tokens | None, shown: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """seen (B, P, 2) in [-1, 1], y down; confidence (B, P); category (B, P, 3) rest points; tokens: None without a picture; shown
        (B,): 0 where the picture is not to be used -> posed (B, P, 3), change of the rest points (B, P, 3), as yet not mirrored."""
        assert isinstance(self.frequencies, Tensor)
        h = self.seen(torch.cat([harmonic_encoding(seen, self.frequencies), confidence[..., None]], -1)) + self.point
        h = h + self.category(category)
        if tokens is None:
            h = h + self.unseen
        else:
            key_map = tokens.key_map
            local = functional.grid_sample(key_map, seen[:, :, None].to(key_map.dtype), align_corners=False)[..., 0].transpose(1, 2)
            picture = self.shown(local) + self.asked(tokens.points) + self.whole(tokens.whole)[:, None]
            h = h + (picture if shown is None else torch.where(shown[:, None, None] > 0, picture, self.unseen.to(picture.dtype)))
        for block in self.blocks:
            h = block(h)
        points = self.out(h)
        return points - points.mean(1, keepdim=True), self.change(h)
