"""SAM 2 filled with made-up numbers, the same on every machine: weights by name, a picture, prompts.

The published set is too large to test with. The published graphs filled with these very weights, run by onnxruntime in float32, gave
`sam2_golden.json`; so the modules are compared with the graphs, layer by layer in one go, wherever the tests run.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

from backend.observe.hiera import SIDE
from backend.observe.prompts import LOGIT_SIDE
from backend.observe.sam2 import Sam2

UNIT = 3**0.5
"""Numbers spread evenly within plus and minus this have variance 1."""
PROMPTS = {
    "one click": ([[500.0, 480.0]], [1], False),
    "two clicks on an earlier mask": ([[500.0, 480.0], [300.5, 200.25]], [1, 0], True),
    "a box": ([[100.0, 120.0], [800.0, 900.0]], [2, 3], False),
}
"""Pixels of the picture, kinds of points, whether there is an earlier mask."""


def spread(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of variance 1 that follow from the name."""
    numbers = np.random.default_rng(zlib.crc32(name.encode())).random(int(np.prod(shape)), np.float32)
    return (UNIT * (2 * numbers - 1)).reshape(shape)


def seeded_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Layers keep the variance of what enters; what normalises, adds or stands for something is of order 1."""
    numbers = spread(name, shape)
    if name.endswith(".bias"):
        return 0.1 * numbers
    if len(shape) == 1 and name.endswith(".weight"):
        return 1 + 0.1 * numbers
    if name.endswith(".weight"):
        enter = shape[0] if "enlarge" in name else int(np.prod(shape[1:]))
        return numbers / np.float32(enter**0.5)
    return numbers


def seeded_weights() -> dict[str, torch.Tensor]:
    """Name -> float32 tensor of `Sam2`."""
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in Sam2().state_dict().items()}
    return {name: torch.from_numpy(np.ascontiguousarray(seeded_weight(name, shape), np.float32)) for name, shape in shapes.items()}


def seeded_picture() -> torch.Tensor:
    """(1, 3, 1024, 1024) in [0, 1]: waves of several lengths, and a disc."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    waves = np.stack([np.sin(x / (9 + 20 * c) + y / (41 - 12 * c)) for c in range(3)])
    disc = ((x - 600) ** 2 + (y - 480) ** 2 < 220**2).astype(np.float32)
    return torch.from_numpy((0.35 + 0.25 * waves + 0.3 * disc).astype(np.float32))[None]


def seeded_mask() -> torch.Tensor:
    """(1, 1, 256, 256) logits of an earlier answer."""
    return torch.from_numpy(3 * spread("earlier mask", (1, 1, LOGIT_SIDE, LOGIT_SIDE)))
