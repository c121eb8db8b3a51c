"""Hiera-tiny with its pyramid neck, the image encoder of SAM 2: a picture in, maps at three strides out.

After Ryali et al. 2023 (arXiv 2306.00989) and Ravi et al. 2024 (SAM 2, arXiv 2408.00714): 7x7 patches at stride 4, an absolute
position table, twelve transformer blocks in four stages, attention in windows but for three global blocks, and queries pooled
2x2 where a stage begins. The neck brings each stage to 256 channels and adds the last stage to the third; the two finest maps
are narrowed as the mask decoder reads them. Maps inside the trunk are (B, H, W, C).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 1024
"""Pixels a side of the picture that the network was trained on."""
WIDTH = 96
"""Channels of the first stage; each later one has twice as many, and twice the heads."""
BLOCKS = (1, 2, 7, 2)
WINDOWS = (8, 4, 14, 7)
"""Tokens a side of a stage's windows. The block that begins a stage still looks through the windows of the one before."""
GLOBAL = (5, 7, 9)
"""Blocks, counted through all stages, that attend to the whole picture."""
NARROW = 256
"""Channels of the neck."""
FINE = (32, 64)
"""Channels of the two finest maps as they leave."""
EPSILON = 1e-6
MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)

Between = Callable[[], None]


@dataclass(frozen=True)
class Embedding:
    """What the mask decoder needs of a picture. image: (B, 256, 64, 64) of the third stage; fine8: (B, 64, 128, 128) at stride 8;
    fine4: (B, 32, 256, 256) at stride 4."""

    image: Tensor
    fine8: Tensor
    fine4: Tensor


def split_windows(x: Tensor, side: int) -> Tensor:
    """(B, H, W, C), padded with zeros to whole windows -> (B * windows, side, side, C)."""
    batch, height, width, channels = x.shape
    x = functional.pad(x, (0, 0, 0, -width % side, 0, -height % side))
    rows, columns = x.shape[1] // side, x.shape[2] // side
    x = x.view(batch, rows, side, columns, side, channels).permute(0, 1, 3, 2, 4, 5)  # (B, rows, columns, side, side, C)
    return x.reshape(-1, side, side, channels)


def join_windows(x: Tensor, side: int, size: tuple[int, int]) -> Tensor:
    """The reverse of `split_windows`. size: (H, W) without the padding."""
    rows, columns = -(-size[0] // side), -(-size[1] // side)
    x = x.view(-1, rows, columns, side, side, x.shape[-1]).permute(0, 1, 3, 2, 4, 5)  # (B, rows, side, columns, side, C)
    x = x.reshape(x.shape[0], rows * side, columns * side, -1)
    return x[:, : size[0], : size[1]]


def pool(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, H/2, W/2, C), the largest of each 2x2."""
    return functional.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Attention among the tokens of one window; queries are pooled where `pooled`."""

    def __init__(self, enter: int, leave: int, heads: int, pooled: bool) -> None:
        super().__init__()
        self.heads, self.pooled = heads, pooled
        self.qkv = nn.Linear(enter, 3 * leave)
        self.proj = nn.Linear(leave, leave)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, enter) -> (B, H, W, leave), or half as high and wide."""
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.pooled:
            q = pool(q)
        mixed = functional.scaled_dot_product_attention(self._heads(q), self._heads(k), self._heads(v))  # (B, heads, H * W, leave / heads)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(q.shape))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        return x.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, H * W, C / heads)


class Perceptron(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList((nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)))

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) -> the same."""
        out: Tensor = self.layers[1](functional.gelu(self.layers[0](x)))
        return out


class Block(nn.Module):
    """A transformer block. side: of its windows, 0 for the whole picture; it halves the map where channels grow."""

    def __init__(self, enter: int, leave: int, heads: int, side: int) -> None:
        super().__init__()
        self.side, self.grows = side, enter != leave
        self.norm1 = nn.LayerNorm(enter, eps=EPSILON)
        self.attn = Attention(enter, leave, heads, self.grows)
        self.norm2 = nn.LayerNorm(leave, eps=EPSILON)
        self.mlp = Perceptron(leave)
        self.proj = nn.Linear(enter, leave) if self.grows else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, enter) -> (B, H, W, leave), or half as high and wide."""
        y = self.norm1(x)
        if self.proj is not None:
            x = pool(self.proj(y))
        y = self.attn(split_windows(y, self.side) if self.side else y)
        if self.side:
            y = join_windows(y, self.side // 2 if self.grows else self.side, (x.shape[1], x.shape[2]))
        x = x + y
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Trunk(nn.Module):
    """The four stages. tokens: side of the first map, for the position table; width: channels of the first stage."""

    def __init__(self, tokens: int = SIDE // 4, width: int = WIDTH) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, 7, 4, 3)
        self.pos_embed = nn.Parameter(torch.zeros(1, width, tokens, tokens))
        blocks = list[Block]()
        enter = width
        for stage, count in enumerate(BLOCKS):
            for index in range(count):
                begins = stage > 0 and index == 0
                side = 0 if len(blocks) in GLOBAL else WINDOWS[stage - begins]
                blocks.append(Block(enter, width << stage, 1 << stage, side))
                enter = width << stage
        self.blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor, between: Between = lambda: None) -> list[Tensor]:
        """(B, 3, S, S) normalised -> the four stages' maps, (B, width * 2^i, S / 2^(2+i), ...)."""
        x = (self.patch_embed(images) + self.pos_embed).permute(0, 2, 3, 1)  # (B, S/4, S/4, width)
        ends = {sum(BLOCKS[: stage + 1]) - 1 for stage in range(len(BLOCKS))}
        maps = []
        for index, block in enumerate(self.blocks):
            between()
            x = block(x)
            if index in ends:
                maps.append(x.permute(0, 3, 1, 2))
        return maps


class ImageEncoder(nn.Module):
    """Trunk, neck and what else is worked out once a picture; see the module's text. The neck counts from the coarsest stage."""

    def __init__(self, tokens: int = SIDE // 4, width: int = WIDTH) -> None:
        super().__init__()
        self.side = 4 * tokens
        self.trunk = Trunk(tokens, width)
        self.neck = nn.ModuleList(nn.Conv2d(width << stage, NARROW, 1) for stage in reversed(range(len(BLOCKS))))
        self.conv_s0, self.conv_s1 = (nn.Conv2d(NARROW, channels, 1) for channels in FINE)
        self.no_mem_embed = nn.Parameter(torch.zeros(NARROW))

    def forward(self, images: Tensor, between: Between = lambda: None) -> Embedding:
        """images: (B, 3, side, side) sRGB in [0, 1], squeezed to a square; between: called before each block, may raise to stop.

        Raises ValueError for other sizes.
        """
        if images.dim() != 4 or images.shape[1:] != (3, self.side, self.side):
            raise ValueError(f"images must be (B, 3, {self.side}, {self.side}), not {tuple(images.shape)}")
        normal = (images - images.new_tensor(MEAN).view(3, 1, 1)) / images.new_tensor(SPREAD).view(3, 1, 1)
        stages = self.trunk(normal, between)
        fine4, fine8, third, last = (layer(stage) for layer, stage in zip(reversed(self.neck), stages, strict=True))
        third = third + functional.interpolate(last, scale_factor=2.0, mode="nearest")
        # Of a single picture SAM 2 remembers no earlier ones: this says so.
        return Embedding(third + self.no_mem_embed.view(-1, 1, 1), self.conv_s1(fine8), self.conv_s0(fine4))
