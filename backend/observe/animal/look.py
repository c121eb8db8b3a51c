"""One look of the animal decoder: a picture of any size in, the share of each pixel of a square that an animal covers out."""

from __future__ import annotations

import functools

import numpy as np
import torch

from backend.observe.animal.decoder import AnimalDecoder, load_decoder
from backend.observe.efficientnet import EfficientNetLite0, shared_encoder
from backend.observe.refine import shrink
from backend.types import ByteArray, Mask

SIZE = 320
"""Sides of the square; learnt at 256, and sharper at 320."""


@functools.lru_cache(maxsize=1)
def _networks() -> tuple[EfficientNetLite0, AnimalDecoder]:
    return shared_encoder(), load_decoder()


def look_for_animal(rgb: ByteArray) -> Mask:
    """(h, w, 3), squeezed into the square -> (160, 160) float32 in [0, 1]. Raises `weights_missing`, `weights_damaged`."""
    encoder, decoder = _networks()
    square = torch.from_numpy(np.array(shrink(rgb, SIZE, SIZE))).permute(2, 0, 1)[None].float() / 255  # (1, 3, 320, 320)
    with torch.inference_mode():
        seen = encoder(square)
        answer: Mask = torch.sigmoid(decoder(seen.stride8, seen.stride16, seen.stride32))[0].numpy()
    return answer
