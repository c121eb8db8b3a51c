"""The bundled preset's encoder: taps of the frozen EfficientNet-Lite0 -> query, key map, one token a template point, image features.

The taps were learnt for photographs and stay as they are. A small transformer (Dosovitskiy et al. 2021) lets every coarse cell see the
whole animal, which is what tells front from back and one leg from its twin; with the cells go one token for each of the template's points
(Li et al., TokenPose, ICCV 2021), so that a point knows what is taken by another, and one for the whole. Two more blocks do so over the
key map's finer cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.fauna.articulation import Block
from backend.methods.fauna.config import FaunaConfig

TAPS = (40, 112, 320)
"""Channels of EfficientNet-Lite0's taps at strides 8, 16 and 32."""
FOLD = 2
"""Cells a side of one tap in a cell of the next coarser."""
WIDTH, HEADS = 256, 8
FINE_HEADS = 4


@dataclass(frozen=True)
class Taps:
    """What the frozen encoder gives, storable. strides 8, 16, 32: (B, 40, 32, 32), (B, 112, 16, 16), (B, 320, 8, 8)."""

    stride8: Tensor
    stride16: Tensor
    stride32: Tensor


def grid_encoding(side: int, channels: int) -> Tensor:
    """(side * side, channels) sines and cosines of a cell's row and column, `channels` / 4 of each (Vaswani et al. 2017)."""
    rates = torch.exp(torch.arange(channels // 4) * (-math.log(100.0) / (channels // 4)))
    phase = torch.arange(side)[:, None] * rates  # (side, channels / 4)
    wave = torch.cat([phase.sin(), phase.cos()], 1)
    return torch.cat([wave[:, None].expand(-1, side, -1), wave[None].expand(side, -1, -1)], -1).flatten(0, 1)


@dataclass(frozen=True)
class Tokens:
    """key_map (B, C, g, g): viewpoint, joints, deformation, articulation; points (B, P, C); whole (B, C)."""

    key_map: Tensor
    points: Tensor
    whole: Tensor


class TapEncoder(nn.Module):
    """Tokens and, read from that of the whole, the bank's query and the two image features (feat_out: texture, light; feat_key)."""

    def __init__(self, config: FaunaConfig, points: int) -> None:
        super().__init__()
        self.grid, self.points = config.grid, points
        coarse, fine = config.grid // FOLD, config.key_channels
        self.neck = nn.Linear(TAPS[1] * FOLD**2 + TAPS[2], WIDTH)
        self.register_buffer("places", grid_encoding(coarse, WIDTH), persistent=False)
        self.asked = nn.Parameter(torch.randn(points + 1, WIDTH) * 0.1)
        """The points' tokens and that of the whole, before they have seen anything."""
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS) for _ in range(config.neck_blocks))
        self.norm = nn.LayerNorm(WIDTH)
        self.wide = nn.Linear(WIDTH, fine)
        self.close = nn.Conv2d(TAPS[0] * FOLD**2 + TAPS[1], fine, 1)
        self.register_buffer("fine_places", grid_encoding(config.grid, fine), persistent=False)
        self.fine_blocks = nn.ModuleList(Block(fine, FINE_HEADS) for _ in range(config.fine_blocks))
        self.fine_norm = nn.LayerNorm(fine)
        self.query = nn.Linear(fine, config.query_dim)
        self.final_layer_patch_out = nn.Linear(fine, config.feature_dim)
        self.final_layer_patch_key = nn.Linear(fine, config.feature_dim)

    def forward(self, taps: Taps) -> Tokens:
        cells = torch.cat([functional.pixel_unshuffle(taps.stride16, FOLD), taps.stride32], 1)  # (B, 768, 8, 8)
        assert isinstance(self.places, Tensor) and isinstance(self.fine_places, Tensor)
        side, asked = cells.shape[2:], self.points + 1
        h = self.neck(cells.flatten(2).transpose(1, 2)) + self.places  # (B, 64, WIDTH)
        h = torch.cat([self.asked.expand(len(h), -1, -1).to(h.dtype), h], 1)
        for block in self.blocks:
            h = block(h)
        h = self.wide(self.norm(h))  # (B, P + 1 + 64, C)
        wide = functional.interpolate(
            h[:, asked:].transpose(1, 2).unflatten(2, side), size=(self.grid, self.grid), mode="bilinear", align_corners=False
        )
        close = self.close(torch.cat([functional.pixel_unshuffle(taps.stride8, FOLD), taps.stride16], 1))
        fine = functional.gelu(wide + close).flatten(2).transpose(1, 2) + self.fine_places
        h = torch.cat([h[:, :asked], fine.to(h.dtype)], 1)
        for block in self.fine_blocks:
            h = block(h)
        h = self.fine_norm(h)
        key_map = h[:, asked:].transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return Tokens(key_map, h[:, : self.points], h[:, self.points])
