"""The articulation transformer (3D-Fauna section 3.3): one token a bone -> Euler angles about the bone's axes.

Token = [feat_key | key map sampled at the bone's projected middle | harmonic encoding of positions]. Positions
(9 numbers, as published): the middle in the image, both ends in camera space, the bone's index. The bundled preset
adds 6: where the joint head saw the bone's two ends relative to their projections, and its confidences.
All positions are detached, as published. Parameter names are those of the published checkpoint.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.fauna.config import FaunaConfig
from backend.methods.fauna.fields import frequency_band, harmonic_encoding


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)  # (B, h, T, d)
        if q.dtype == torch.bfloat16:  # training: the fused one's way back takes ten times as long on a processor
            out = torch.softmax((q * (dim // self.heads) ** -0.5) @ k.transpose(2, 3), -1).to(v.dtype) @ v
        else:
            out = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, dim))


class FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn, self.mlp = Attention(dim, heads), FeedForward(dim, dim * 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Articulation(nn.Module):
    """Tokens of B x bones -> angles (B, bones, 3) in radians, each tanh(0.1 out) * limit."""

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.config = config
        self.positions = 9 + (6 if config.joint_head else 0)
        self.register_buffer("frequencies", frequency_band(config.shape_frequencies, 0.9 * math.pi), persistent=False)
        token = config.feature_dim + config.key_channels + self.positions * (1 + 2 * config.shape_frequencies)
        self.in_layer = nn.Sequential(nn.Linear(token, 256), nn.GELU(), nn.LayerNorm(256))
        self.blocks = nn.ModuleList(Block(256, 8) for _ in range(config.articulation_blocks))
        self.out_layer = nn.Sequential(nn.Linear(256, 3))

    def forward(
        self, feature: Tensor, key_map: Tensor, heads: Tensor, tails: Tensor, image_heads: Tensor, image_tails: Tensor, seen: Tensor | None
    ) -> Tensor:
        """feature (B, C); key_map (B, K, g, g); bone ends in the OpenGL camera frame (B, n, 3) and projected (B, n, 2)
        in [-1, 1], y down; seen (B, n, 6): joint head's head and tail positions minus the projections, confidences.
        """
        config, bones = self.config, heads.shape[1]
        middle = ((image_heads + image_tails) / 2).detach()
        local = functional.grid_sample(key_map, middle[:, :, None], align_corners=False)[..., 0].transpose(1, 2)  # (B, n, K)
        index = (torch.arange(bones, device=heads.device) + 0.5) / bones * 2 - 1
        index = index[None, :, None].expand(heads.shape[0], -1, 1).to(heads.dtype)
        shift = heads.new_tensor([0.0, 0.0, config.camera_distance])
        scale = 2 / (2 * config.half_extent)
        positions = [middle, (heads.detach() + shift) * scale, (tails.detach() + shift) * scale, index]
        if seen is not None:
            positions.append(seen.detach())
        assert isinstance(self.frequencies, Tensor)
        encoded = harmonic_encoding(torch.cat(positions, -1), self.frequencies)
        token = torch.cat([feature[:, None].expand(-1, bones, -1), local, encoded], -1) + index
        h = self.in_layer(token)
        for block in self.blocks:
            h = block(h)
        return torch.tanh(0.1 * self.out_layer(h)) * math.radians(config.angle_limit_degrees)
