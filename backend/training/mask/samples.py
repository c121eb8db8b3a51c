"""What the decoder learns from: stored squares with their covers, and what the frozen encoder sees in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.training.features import path_of, store_features
from backend.training.mask.pictures import read_pictures
from backend.types import ByteArray

USED = ("stride8", "stride16", "stride32")


@dataclass(frozen=True)
class Samples:
    """maps: fp16 (N, C, 256 / stride, 256 / stride) at strides 8, 16 and 32; covers: (N, 256, 256) uint8; data: what they follow from;
    photographed: as of `Pictures`."""

    maps: tuple[NDArray[np.float16], ...]
    covers: ByteArray
    data: str
    photographed: int


def read_samples(folder: Path) -> Samples:
    """Of a folder of `pictures`; what the encoder has not seen yet is stored first. Raises bad_request where there are no pictures."""
    pictures = read_pictures(folder)
    store_features(folder, pictures.colours, pictures.data)
    maps = tuple(np.load(path_of(folder, tap), mmap_mode="r") for tap in USED)
    return Samples(maps, pictures.covers, pictures.data, pictures.photographed)
