"""EfficientNet-Lite0, the bundled image encoder: pictures in, feature maps at three strides and one pooled vector out.

Architecture after Tan and Le 2019 (arXiv 1905.11946), "Lite" variant: ReLU6, no squeeze-and-excitation, fixed stem and
head. Stages b0..b6, each `repeats` inverted bottlenecks (1x1 expand, depthwise, 1x1 project, residual where shapes
agree). Stride-2 convolutions pad as TensorFlow's SAME does on even sizes: less before than behind. Input pictures are
in [0, 1]; inside, they are normalised as the Lite networks were trained: (255 x - 127) / 128. The classifier is dropped.
"""

from __future__ import annotations

import copy
import functools
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from backend.weights.load import open_weights

WEIGHTS = "efficientnet-lite0"
STRIDE = 32
STEM_CHANNELS = 32
POOLED_CHANNELS = 1280
STAGES = (
    # kernel, stride, expansion, channels, repeats
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
DEEP = 3
"""The first of the stages behind stride 8; whoever tunes the encoder tunes it from there."""


@dataclass(frozen=True)
class Features:
    """stride8: (B, 40, H/8, W/8) of b2; stride16: (B, 112, H/16, W/16) of b4; stride32: (B, 320, H/32, W/32) of b6;
    pooled: (B, 1280), the mean of the last convolution's map."""

    stride8: Tensor
    stride16: Tensor
    stride32: Tensor
    pooled: Tensor


class Convolution(nn.Module):
    """Convolution without bias, batch normalisation, and ReLU6 where `active`."""

    def __init__(self, enter: int, leave: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True) -> None:
        super().__init__()
        before, behind = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.pad = (before, behind, before, behind)
        self.conv = nn.Conv2d(enter, leave, kernel, stride, padding=before if before == behind else 0, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(leave, eps=1e-3, momentum=0.01)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """(B, enter, H, W) -> (B, leave, H/stride, W/stride)."""
        if self.pad[0] != self.pad[1]:
            x = functional.pad(x, self.pad)
        conv, norm = self.conv, self.norm
        if isinstance(norm, nn.BatchNorm2d) and norm.weight.requires_grad and not norm.training:
            # Tuned, with statistics that stand: one convolution, whose parameters follow from both, learns in half the time.
            assert norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            weight, bias = conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
            x = functional.conv2d(x, weight, bias, conv.stride, conv.padding, groups=conv.groups)
        else:
            x = norm(conv(x))
        return functional.relu6(x) if self.active else x


class Bottleneck(nn.Module):
    """Inverted bottleneck: expand (absent where the factor is 1), depthwise, project."""

    def __init__(self, enter: int, leave: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = enter * expansion
        self.expand = Convolution(enter, wide, 1) if expansion > 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = Convolution(wide, leave, 1, active=False)
        self.residual = stride == 1 and enter == leave

    def forward(self, x: Tensor) -> Tensor:
        """(B, enter, H, W) -> (B, leave, H/stride, W/stride)."""
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """The encoder; see the module's text. Stages are the attributes b0..b6."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM_CHANNELS, 3, 2)
        enter = STEM_CHANNELS
        for number, (kernel, stride, expansion, channels, repeats) in enumerate(STAGES):
            blocks = OrderedDict[str, nn.Module]()
            for index in range(repeats):
                blocks[str(index)] = Bottleneck(enter, channels, kernel, stride if index == 0 else 1, expansion)
                enter = channels
            self.add_module(f"b{number}", nn.Sequential(blocks))
        self.head = Convolution(enter, POOLED_CHANNELS, 1)

    def shallow(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W) sRGB in [0, 1], H and W multiples of 32 -> `Features.stride8`. Raises ValueError for other sizes."""
        if images.dim() != 4 or images.shape[1] != 3 or images.shape[2] % STRIDE or images.shape[3] % STRIDE:
            raise ValueError(f"images must be (B, 3, H, W) with H and W multiples of {STRIDE}, not {tuple(images.shape)}")
        x = self.stem((images * 255.0 - 127.0) / 128.0)  # (B, 32, H/2, W/2)
        for number in range(DEEP):
            x = self.get_submodule(f"b{number}")(x)
        return x

    def deep(self, stride8: Tensor) -> tuple[Tensor, Tensor]:
        """What follows from `Features.stride8` -> stride16, stride32 of the same."""
        taps = [stride8]
        for number in range(DEEP, len(STAGES)):
            taps.append(self.get_submodule(f"b{number}")(taps[-1]))
        return taps[2], taps[4]

    def forward(self, images: Tensor) -> Features:
        """images: as `shallow` takes them."""
        stride8 = self.shallow(images)
        stride16, stride32 = self.deep(stride8)
        return Features(stride8, stride16, stride32, self.head(stride32).mean((2, 3)))


def load_encoder(weights: dict[str, Tensor] | None = None) -> EfficientNetLite0:
    """-> the encoder in float32, eval mode. weights: what a tuned copy has of its own (`deep_stages`); the rest is the bundled one's.

    Raises `weights_missing`, `weights_damaged`.
    """
    encoder = EfficientNetLite0()
    fill(encoder, open_weights(WEIGHTS) | (weights or {}))
    return encoder.eval()


def deep_stages(encoder: EfficientNetLite0) -> nn.ModuleDict:
    """The stages behind stride 8, by their names: all that tuning moves."""
    return nn.ModuleDict({f"b{number}": encoder.get_submodule(f"b{number}") for number in range(DEEP, len(STAGES))})


@functools.cache
def shared_encoder() -> EfficientNetLite0:
    """The bundled encoder, loaded once a process for all who only look; whoever tunes one takes `load_encoder`'s."""
    return load_encoder().requires_grad_(False)


def fold_norms(encoder: EfficientNetLite0) -> EfficientNetLite0:
    """-> a copy that only looks: normalisation folded into the convolutions, channels last; in bfloat16 nearly twice as fast."""
    folded = copy.deepcopy(encoder).eval()
    for part in folded.modules():
        if isinstance(part, Convolution):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.norm = nn.Identity()  # type: ignore[assignment]
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def fill(network: nn.Module, stored: dict[str, Tensor]) -> None:
    """Give a network with batch normalisation its stored parameters and statistics, in float32."""
    # Counters of training steps are not stored: they play no part in eval mode.
    counters = {name: torch.zeros_like(value) for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    network.load_state_dict({name: value.float() for name, value in stored.items()} | counters)
