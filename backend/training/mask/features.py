"""What the frozen encoder sees in the stored squares, computed once: the samples that the decoder learns from.

Enters a folder of `pictures`; leaves fp16 maps beside them, on disk, 180 kB a picture. The encoder runs in bfloat16.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from backend.observe.animal.decoder import ENTER
from backend.observe.efficientnet import fold_norms, load_encoder
from backend.training.mask.pictures import SIDE, read_pictures
from backend.types import ByteArray

BATCH = 16
STRIDES = (8, 16, 32)
FEATURES, DONE = "features_stride{}.npy", "features.json"


@dataclass(frozen=True)
class Samples:
    """maps: fp16 (N, C, 256 / stride, 256 / stride) at strides 8, 16 and 32; covers: (N, 256, 256) uint8; data: what they follow from."""

    maps: tuple[NDArray[np.float16], ...]
    covers: ByteArray
    data: str


def store_features(folder: Path) -> None:
    """Encode the pictures in `folder` that are not yet, on from where it stopped. Raises bad_request where there are no pictures."""
    pictures = read_pictures(folder)
    count = len(pictures.colours)
    start = 0
    if (folder / DONE).exists():
        note = json.loads((folder / DONE).read_text("utf-8"))
        start = int(note["done"]) if note["data"] == pictures.data else 0
    if start >= count:
        return
    encoder = fold_norms(load_encoder())
    maps = [
        np.lib.format.open_memmap(
            folder / FEATURES.format(stride), "r+" if start else "w+", np.float16, (count, channels, SIDE // stride, SIDE // stride)
        )
        for stride, channels in zip(STRIDES, ENTER, strict=True)
    ]
    for first in range(start, count, BATCH):
        images = torch.from_numpy(np.array(pictures.colours[first : first + BATCH])).permute(0, 3, 1, 2).float() / 255  # (B, 3, 256, 256)
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            seen = encoder(images.contiguous(memory_format=torch.channels_last))
        for stored, values in zip(maps, (seen.stride8, seen.stride16, seen.stride32), strict=True):
            stored[first : first + BATCH] = values.half().numpy()
        partial = folder / f"{DONE}.partial"
        partial.write_text(json.dumps({"data": pictures.data, "done": min(first + BATCH, count)}), "utf-8")
        partial.replace(folder / DONE)


def read_samples(folder: Path) -> Samples:
    """What `store_features` made."""
    pictures = read_pictures(folder)
    maps = tuple(np.load(folder / FEATURES.format(stride), mmap_mode="r") for stride in STRIDES)
    return Samples(maps, pictures.covers, pictures.data)
