"""The bundled preset's encoder: taps of the frozen EfficientNet-Lite0 -> query, token map, key map, image features.

The taps were learnt for photographs and stay as they are; a small transformer over the 8x8 coarse cells (Dosovitskiy et al. 2021) lets
every cell see the whole animal, which is what tells front from back and one leg from its twin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.fauna.articulation import Block
from backend.methods.fauna.config import FaunaConfig
from backend.methods.fauna.heads import ConvHead

TAPS = (40, 112, 320)
"""Channels of EfficientNet-Lite0's taps at strides 8, 16 and 32."""
FOLD = 2
"""Cells a side of one tap in a cell of the next coarser."""
WIDTH, HEADS = 256, 8


@dataclass(frozen=True)
class Taps:
    """What the frozen encoder gives, storable. strides 8, 16, 32: (B, 40, 32, 32), (B, 112, 16, 16), (B, 320, 8, 8); pooled (B, 1280)."""

    stride8: Tensor
    stride16: Tensor
    stride32: Tensor
    pooled: Tensor


def grid_encoding(side: int, channels: int) -> Tensor:
    """(side * side, channels) sines and cosines of a cell's row and column, `channels` / 4 of each (Vaswani et al. 2017)."""
    rates = torch.exp(torch.arange(channels // 4) * (-math.log(100.0) / (channels // 4)))
    phase = torch.arange(side)[:, None] * rates  # (side, channels / 4)
    wave = torch.cat([phase.sin(), phase.cos()], 1)
    return torch.cat([wave[:, None].expand(-1, side, -1), wave[None].expand(side, -1, -1)], -1).flatten(0, 1)


class TapEncoder(nn.Module):
    """Query, key map and the two image features from the taps.

    The key map (viewpoint, joints, deformation, articulation) is what the transformer makes of the coarse cells, laid over the finer taps;
    the token feature (texture, light) is the mean of its cells.
    """

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.grid = config.grid
        coarse = config.grid // FOLD
        self.neck = nn.Linear(TAPS[1] * FOLD**2 + TAPS[2], WIDTH)
        self.register_buffer("places", grid_encoding(coarse, WIDTH), persistent=False)
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS) for _ in range(config.neck_blocks))
        self.norm = nn.LayerNorm(WIDTH)
        self.whole = nn.Conv2d(WIDTH, config.key_channels, 1)
        self.close = nn.Conv2d(TAPS[0] * FOLD**2 + TAPS[1], config.key_channels, 1)
        self.final_layer_patch_out = nn.Linear(WIDTH, config.feature_dim)
        self.final_layer_patch_key = ConvHead(config.key_channels, config.head_channels, config.feature_dim, config.grid, norm=True)
        self.register_buffer("query_mean", torch.zeros(config.query_dim))

    def forward(self, taps: Taps) -> tuple[Tensor, Tensor, Tensor]:
        """-> query (B, Q), key map (B, C, 16, 16), feat_out (B, feature_dim)."""
        cells = torch.cat([functional.pixel_unshuffle(taps.stride16, FOLD), taps.stride32], 1)  # (B, 768, 8, 8)
        assert isinstance(self.places, Tensor) and isinstance(self.query_mean, Tensor)
        h = self.neck(cells.flatten(2).transpose(1, 2)) + self.places  # (B, 64, WIDTH)
        for block in self.blocks:
            h = block(h)
        h = self.norm(h)
        whole = self.whole(h.transpose(1, 2).unflatten(2, cells.shape[2:]))
        wide = functional.interpolate(whole, size=(self.grid, self.grid), mode="bilinear", align_corners=False)
        close = self.close(torch.cat([functional.pixel_unshuffle(taps.stride8, FOLD), taps.stride16], 1))
        return taps.pooled - self.query_mean, functional.gelu(wide + close), self.final_layer_patch_out(h.mean(1))
