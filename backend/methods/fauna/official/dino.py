"""DINO ViT-S/8 (Caron et al. 2021) as 3D-Fauna's frozen encoder: patch tokens, last-block keys and the class query.

Pictures (B, 3, 256, 256) in [0, 1] are scaled to [-1, 1] (no ImageNet statistics, as published). Parameter names are
DINO's own. The 28x28 position table is interpolated to the picture's grid as DINO does: bicubic, with 0.1 cells added to
the target size against rounding; at 28x28 it stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

DIM, HEADS, DEPTH, PATCH = 384, 6, 12, 8
TABLE = 28
"""Cells a side of the position table."""


class Attention(nn.Module):
    """Multi-head self-attention that also returns its keys, heads concatenated (B, tokens, 384)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.proj = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)  # (B, h, T, 64)
        out = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, DIM)
        return self.proj(out), k.transpose(1, 2).reshape(batch, tokens, DIM)


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(DIM, eps=1e-6), nn.LayerNorm(DIM, eps=1e-6)
        self.attn, self.mlp = Attention(), FeedForward()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        attended, keys = self.attn(self.norm1(x))
        x = x + attended
        return x + self.mlp(self.norm2(x)), keys


class PatchEmbed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, DIM, PATCH, PATCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)  # (B, patches, 384)


class DinoViT(nn.Module):
    """forward(images) -> tokens map, key map (B, 384, g, g) and the class token (B, 384), all of the last block."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos_embed = nn.Parameter(torch.zeros(1, TABLE * TABLE + 1, DIM))
        self.patch_embed = PatchEmbed()
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(DIM, eps=1e-6)

    def positions(self, grid: int) -> Tensor:
        """(1, 1 + grid * grid, 384)."""
        if grid == TABLE:
            return self.pos_embed
        table = self.pos_embed[:, 1:].reshape(1, TABLE, TABLE, DIM).permute(0, 3, 1, 2)
        scale = (grid + 0.1) / TABLE
        table = functional.interpolate(table, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], table.permute(0, 2, 3, 1).reshape(1, -1, DIM)], 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        patches = self.patch_embed(images * 2 - 1)
        grid = images.shape[-1] // PATCH
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1) + self.positions(grid)
        keys = x
        for block in self.blocks:
            x, keys = block(x)
        x = self.norm(x)
        tokens = x[:, 1:].transpose(1, 2).unflatten(2, (grid, grid))
        return tokens, keys[:, 1:].transpose(1, 2).unflatten(2, (grid, grid)), x[:, 0]
