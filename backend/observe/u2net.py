"""U2-Netp, the bundled salient-object network: a 320x320 picture in, the share of each pixel that is the subject out.

Architecture after Qin et al. 2020 (arXiv 2005.09007), small version: six encoder and five decoder stages, each a small
U-net of its own ("RSU") whose input is added to its output; six side maps, fused by a 1x1 convolution. The stored
convolutions have their batch normalisation folded in, so each carries a bias. Modules are declared in the order in
which they run: `weights/convert.py` matches the source's graph to them by that order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.weights.load import open_weights

WEIGHTS = "u2netp"
SIZE = 320
WIDE, NARROW = 64, 16
MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)


def _convolution(enter: int, leave: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(enter, leave, 3, padding=dilation, dilation=dilation)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _halve(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 2, 2, ceil_mode=True)


class ResidualU(nn.Module):
    """RSU-`height`: convolutions at `height` - 1 scales and a dilated one at the bottom, then back up with skips."""

    def __init__(self, height: int, enter: int) -> None:
        super().__init__()
        self.enter = _convolution(enter, WIDE)
        self.down = nn.ModuleList(_convolution(WIDE if index == 0 else NARROW, NARROW) for index in range(height - 1))
        self.bottom = _convolution(NARROW, NARROW, dilation=2)
        self.up = nn.ModuleList(_convolution(2 * NARROW, NARROW if index < height - 2 else WIDE) for index in range(height - 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, enter, H, W) -> (B, 64, H, W)."""
        start = functional.relu(self.enter(x))
        y, kept = start, []
        for index, layer in enumerate(self.down):
            y = functional.relu(layer(y if index == 0 else _halve(y)))
            kept.append(y)
        y = functional.relu(self.bottom(y))
        for layer, skip in zip(self.up, reversed(kept), strict=True):
            y = functional.relu(layer(torch.cat((_resize(y, skip), skip), 1)))
        return y + start


class DilatedU(nn.Module):
    """RSU-4F: the same shape at one scale, by dilation 1, 2, 4 and 8 instead of pooling."""

    def __init__(self, enter: int) -> None:
        super().__init__()
        self.enter = _convolution(enter, WIDE)
        self.down = nn.ModuleList(_convolution(WIDE if rate == 1 else NARROW, NARROW, rate) for rate in (1, 2, 4))
        self.bottom = _convolution(NARROW, NARROW, dilation=8)
        self.up = nn.ModuleList(_convolution(2 * NARROW, WIDE if rate == 1 else NARROW, rate) for rate in (4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, enter, H, W) -> (B, 64, H, W)."""
        start = functional.relu(self.enter(x))
        y, kept = start, []
        for layer in self.down:
            y = functional.relu(layer(y))
            kept.append(y)
        y = functional.relu(self.bottom(y))
        for layer, skip in zip(self.up, reversed(kept), strict=True):
            y = functional.relu(layer(torch.cat((y, skip), 1)))
        return y + start


class U2Netp(nn.Module):
    """The network; see the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.ModuleList(
            (ResidualU(7, 3), ResidualU(6, WIDE), ResidualU(5, WIDE), ResidualU(4, WIDE), DilatedU(WIDE), DilatedU(WIDE))
        )
        self.decode = nn.ModuleList(
            (DilatedU(2 * WIDE), ResidualU(4, 2 * WIDE), ResidualU(5, 2 * WIDE), ResidualU(6, 2 * WIDE), ResidualU(7, 2 * WIDE))
        )
        self.side = nn.ModuleList(_convolution(WIDE, 1) for _ in range(6))
        self.fuse = nn.Conv2d(6, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, 320, 320) sRGB in [0, 1] -> (B, 320, 320) in [0, 1].

        As in the paper's own program each picture is divided by its brightest value before normalisation.
        """
        if images.dim() != 4 or images.shape[1:] != (3, SIZE, SIZE):
            raise ValueError(f"images must be (B, 3, {SIZE}, {SIZE}), not {tuple(images.shape)}")
        bright = images / images.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
        x = (bright - images.new_tensor(MEAN).view(3, 1, 1)) / images.new_tensor(SPREAD).view(3, 1, 1)
        kept: list[Tensor] = []
        for index, stage in enumerate(self.encode):
            x = stage(x if index == 0 else _halve(x))
            kept.append(x)
        outputs = [x]
        for stage, skip in zip(self.decode, reversed(kept[:-1]), strict=True):
            x = stage(torch.cat((_resize(x, skip), skip), 1))
            outputs.append(x)
        maps = [_resize(layer(y), outputs[-1]) for layer, y in zip(self.side, reversed(outputs), strict=True)]
        return torch.sigmoid(self.fuse(torch.cat(maps, 1)))[:, 0]  # (B, 320, 320)


def load_u2netp(weights: dict[str, Tensor] | None = None) -> U2Netp:
    """-> the network in float32, eval mode. Raises `weights_missing`, `weights_damaged`."""
    network = U2Netp()
    stored = open_weights(WEIGHTS) if weights is None else weights
    network.load_state_dict({name: value.float() for name, value in stored.items()})
    return network.eval()
