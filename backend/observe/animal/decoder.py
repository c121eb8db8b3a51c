"""The animal decoder: from the bundled encoder's maps of a picture to where in it an animal is.

A feature pyramid (Lin et al. 2017, arXiv 1612.03144) over EfficientNet-Lite0's maps at strides 32, 16 and 8; the widest is joined by
the mean of its own (what the picture as a whole is of). Each cell of the finest map foretells its own 4 x 4 parts. The encoder stays as
it is bundled; only what stands here is learnt (`backend.training.mask`).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from backend.observe.efficientnet import STAGES, fill
from backend.weights.load import open_weights

WEIGHTS = "animal-mask"
ENTER = tuple(STAGES[stage][3] for stage in (2, 4, 6))
"""Channels of the encoder's maps at strides 8, 16 and 32."""
WIDE, MIDDLE = 96, 64
"""Channels at strides 32 and 16, and at 8."""
PATCH = 4
"""Parts of a cell's side."""
STRIDE = 8 // PATCH
"""Pixels between two logits."""


class Layer(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU: (B, enter, H, W) -> (B, leave, H, W)."""

    def __init__(self, enter: int, leave: int, kernel: int = 3) -> None:
        super().__init__(nn.Conv2d(enter, leave, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(leave), nn.ReLU(inplace=True))


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class AnimalDecoder(nn.Module):
    """The network; see the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.side32, self.side16, self.side8 = Layer(ENTER[2], WIDE, 1), Layer(ENTER[1], WIDE, 1), Layer(ENTER[0], MIDDLE, 1)
        self.whole = nn.Linear(ENTER[2], WIDE)
        self.join32, self.join16 = nn.Sequential(Layer(WIDE, WIDE), Layer(WIDE, WIDE)), Layer(WIDE, WIDE)
        self.down = nn.Conv2d(WIDE, MIDDLE, 1)
        self.join8 = nn.Sequential(Layer(MIDDLE, MIDDLE), Layer(MIDDLE, MIDDLE))
        self.last = nn.Conv2d(MIDDLE, PATCH * PATCH, 3, padding=1)

    def forward(self, stride8: Tensor, stride16: Tensor, stride32: Tensor) -> Tensor:
        """(B, 40, H/8, W/8), (B, 112, H/16, W/16), (B, 320, H/32, W/32) of `efficientnet.Features` -> logits (B, H/2, W/2)."""
        x = self.side32(stride32) + self.whole(stride32.mean((2, 3)))[..., None, None]
        x = self.join32(x)  # (B, 96, H/32, W/32)
        x = self.join16(_double(x) + self.side16(stride16))
        x = self.join8(_double(self.down(x)) + self.side8(stride8))  # (B, 64, H/8, W/8)
        return functional.pixel_shuffle(self.last(x), PATCH)[:, 0]


def load_decoder(weights: dict[str, Tensor] | None = None) -> AnimalDecoder:
    """-> the decoder in float32, eval mode. weights: another set of the same names, else the bundled one.

    Raises `weights_missing`, `weights_damaged`.
    """
    decoder = AnimalDecoder()
    fill(decoder, open_weights(WEIGHTS) if weights is None else weights)
    return decoder.eval()
