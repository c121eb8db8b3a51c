"""SAM 2's prompt encoder and mask decoder: clicks and an earlier answer in, masks with their expected quality out.

After Kirillov et al. 2023 (Segment Anything, arXiv 2304.02643) and Ravi et al. 2024 (SAM 2, arXiv 2408.00714). Clicks become
tokens (random Fourier features of their place and a learnt vector for their kind); a two-way transformer lets tokens and the
picture's map look at each other; four mask tokens become filters over the enlarged map. Mask 0 is meant for several clicks,
masks 1 to 3 (part, half, whole) for a single, ambiguous one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.observe.hiera import FINE, NARROW, SIDE, Embedding

NEGATIVE, POSITIVE = 0, 1
"""Kinds of points: a click beside the animal, one on it. 2 and 3 are the first and last corner of a box."""
KINDS = 4
HEADS = 8
MASKS = 4
FILTERS = 32
LOGIT_SIDE = 256
"""Pixels a side of the logits."""
LIMIT = 32.0
"""Logits are kept within plus and minus this, as when they come back as an earlier answer."""


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of a (B, C, H, W) map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        centred = x - x.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return scaled * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class Layers(nn.Module):
    """Linear layers with ReLU between. sizes: channels before the first, between, and behind the last."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(enter, leave) for enter, leave in zip(sizes, sizes[1:], strict=False))

    def forward(self, x: Tensor) -> Tensor:
        """(..., sizes[0]) -> (..., sizes[-1])."""
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class PromptEncoder(nn.Module):
    """Clicks and an earlier answer -> tokens and a map to add to the picture's."""

    def __init__(self) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.zeros(2, NARROW // 2))
        self.kinds = nn.Parameter(torch.zeros(KINDS, NARROW))
        self.not_a_point = nn.Parameter(torch.zeros(NARROW))
        self.no_mask = nn.Parameter(torch.zeros(NARROW))
        self.mask = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2), ChannelNorm(4), nn.GELU(), nn.Conv2d(4, 16, 2, 2), ChannelNorm(16), nn.GELU(), nn.Conv2d(16, NARROW, 1)
        )

    def places(self, shares: Tensor) -> Tensor:
        """(..., 2) x and y as shares of the picture's width and height -> (..., 256)."""
        turns = 2 * math.pi * ((2 * shares - 1) @ self.frequencies)
        return torch.cat((turns.sin(), turns.cos()), -1)

    def grid(self, side: int) -> Tensor:
        """Places of the middles of a side x side map: (256, side, side)."""
        middles = (torch.arange(side, device=self.kinds.device, dtype=self.kinds.dtype) + 0.5) / side
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        return self.places(torch.stack((x, y), -1)).permute(2, 0, 1)

    def points(self, at: Tensor, kinds: Tensor) -> Tensor:
        """at: (B, N, 2) x, y of pixels (their middles lie at +0.5) in the picture of `SIDE`; kinds: (B, N) -> (B, N + 1, 256).

        The last token stands for no further point, as in the published graph.
        """
        tokens = self.places((at + 0.5) / SIDE) + self.kinds[kinds]
        return torch.cat((tokens, self.not_a_point.expand(len(at), 1, -1)), 1)


class CrossAttention(nn.Module):
    """Multi-head attention in `inner` channels."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(NARROW, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, NARROW)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q: (B, N, 256); k, v: (B, M, 256) -> (B, N, 256)."""
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.q_proj(q), self.k_proj(k), self.v_proj(v)))
        mixed = functional.scaled_dot_product_attention(q, k, v)  # (B, heads, N, inner / heads)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class TwoWayBlock(nn.Module):
    """Tokens look at themselves and at the map, then the map looks at them."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = CrossAttention(NARROW)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(NARROW) for _ in range(4))
        self.cross_attn_token_to_image, self.cross_attn_image_to_token = (CrossAttention(NARROW // 2) for _ in range(2))
        self.mlp = Layers(NARROW, 8 * NARROW, NARROW)

    def forward(self, tokens: Tensor, keys: Tensor, first_tokens: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """tokens, first_tokens: (B, N, 256); keys, places: (B, M, 256) -> new tokens and keys."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + first_tokens
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        placed = keys + places
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + first_tokens, placed, keys))
        tokens = self.norm3(tokens + self.mlp(tokens))
        keys = self.norm4(keys + self.cross_attn_image_to_token(placed, tokens + first_tokens, tokens))
        return tokens, keys


class Transformer(nn.Module):
    """Two blocks, and a last look of the tokens at the map."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList((TwoWayBlock(True), TwoWayBlock(False)))
        self.final_attn_token_to_image = CrossAttention(NARROW // 2)
        self.norm_final_attn = nn.LayerNorm(NARROW)

    def forward(self, first_tokens: Tensor, keys: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """As `TwoWayBlock`."""
        tokens = first_tokens
        for layer in self.layers:
            tokens, keys = layer(tokens, keys, first_tokens, places)
        look = self.final_attn_token_to_image(tokens + first_tokens, keys + places, keys)
        return self.norm_final_attn(tokens + look), keys


class MaskDecoder(nn.Module):
    """Prompts and a picture's embedding -> four masks; see the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.prompt = PromptEncoder()
        # What is seen at all, quality, then the masks; the first one's answer is not part of the published graph.
        self.tokens = nn.Parameter(torch.zeros(2 + MASKS, NARROW))
        self.transformer = Transformer()
        self.enlarge8, self.norm8 = nn.ConvTranspose2d(NARROW, FINE[1], 2, 2), ChannelNorm(FINE[1])
        self.enlarge4 = nn.ConvTranspose2d(FINE[1], FINE[0], 2, 2)
        self.filters = nn.ModuleList(Layers(NARROW, NARROW, NARROW, FILTERS) for _ in range(MASKS))
        self.quality = Layers(NARROW, NARROW, NARROW, MASKS)

    def forward(self, embedding: Embedding, at: Tensor, kinds: Tensor, earlier: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """at: (B, N, 2) pixels in the picture of `SIDE`; kinds: (B, N), whole numbers; earlier: (B, 1, 256, 256) logits.

        -> logits (B, 4, 256, 256), positive on the animal, and the IoU that each mask is expected to reach (B, 4).
        """
        side = embedding.image.shape[-1]
        points = self.prompt.points(at, kinds)
        tokens = torch.cat((self.tokens.expand(len(points), -1, -1), points), 1)  # (B, 7 + N, 256)
        dense = self.prompt.no_mask.view(1, -1, 1, 1) if earlier is None else self.prompt.mask(earlier)
        keys = (embedding.image + dense).flatten(2).transpose(1, 2)  # (B, side^2, 256)
        places = self.prompt.grid(side).flatten(1).T[None]  # (1, side^2, 256)
        tokens, keys = self.transformer(tokens, keys, places)
        coarse = keys.transpose(1, 2).unflatten(2, (side, side))
        x = functional.gelu(self.norm8(self.enlarge8(coarse) + embedding.fine8))
        x = functional.gelu(self.enlarge4(x) + embedding.fine4)  # (B, 32, 4 * side, 4 * side)
        filters = torch.stack([layer(tokens[:, 2 + index]) for index, layer in enumerate(self.filters)], 1)  # (B, 4, 32)
        logits = torch.einsum("bmc,bchw->bmhw", filters, x)
        return logits.clamp(-LIMIT, LIMIT), torch.sigmoid(self.quality(tokens[:, 1]))
