"""Weights and inputs for the official preset's parity test, from names and shapes alone, and how its outputs are sampled.

The golden numbers came from the authors' own modules, filled and fed by these functions (see `test_fauna_official_parity.py`).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SEED = 20240105
SAMPLES = 24
"""Numbers kept of an output, evenly spaced over its flattened values."""

Float = NDArray[np.float32]


def uniform(name: str, *shape: int, low: float = -1.0, high: float = 1.0) -> Float:
    """The named array of float32 numbers, uniform in [low, high)."""
    numbers = np.random.default_rng([SEED, zlib.crc32(name.encode())]).random(shape, np.float32)
    return numbers * np.float32(high - low) + np.float32(low)


def weight(name: str, shape: tuple[int, ...]) -> Float:
    """The named tensor of a network: He's bounds for matrices and kernels, norms near 1, biases near 0, ranges near [0, 1]."""
    numbers = uniform(name, *shape)
    if name.endswith("min_max"):
        return numbers * np.float32(0.4) + np.array([0, 1], np.float32)
    if len(shape) == 1:
        return numbers * np.float32(0.2) + np.float32(not name.endswith("bias"))
    return numbers * np.float32(np.sqrt(6 / np.prod(shape[1:])))


def mesh() -> Float:
    """(860, 3) vertices of an animal in the world box, facing +z, about 4.6 long; no two values tie."""
    parts = [
        uniform("body", 400, 3) * [0.4, 0.3, 1.0], uniform("head", 120, 3) * [0.2, 0.3, 0.4] + [0, 0.5, 1.4],
        uniform("tail", 20, 3) * [0.03, 0.05, 0.3] + [0, 0.15, -1.3],
    ]  # fmt: skip
    for leg, (x, z) in enumerate(((0.3, 0.8), (0.3, -0.75), (-0.3, -0.8), (-0.3, 0.75))):
        parts.append(uniform(f"leg{leg}", 80, 3) * [0.1, 0.5, 0.1] + [x, -0.8, z])
    return (np.concatenate(parts) * 1.35 + [0.01, 0.05, -0.1]).astype(np.float32)


def inputs() -> dict[str, Float]:
    """Everything that goes into the modules besides weights."""
    normals = uniform("normals", 3, 1, 40, 3)
    return {
        "image": uniform("image", 1, 3, 256, 256, low=0, high=1),
        "mesh": mesh(),
        "points": uniform("points", 40, 3, low=-3.5, high=3.5),
        "queries": uniform("queries", 3, 384),
        "code": uniform("code", 128, low=-2, high=2),
        "features": uniform("features", 3, 256, low=-2, high=2),
        "keys": uniform("keys", 3, 384, 32, 32, low=-2, high=2),
        "albedo": uniform("albedo", 3, 1, 40, 3, low=0, high=1),
        "normals": normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        "angles": uniform("angles", 2, 20, 3),
        "poses": uniform("poses", 3, 19, low=-2, high=2),
    }


def digest(arrays: Iterable[Float]) -> str:
    """16 hex digits of the arrays' bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array, "<f4").tobytes())
    return found.hexdigest()[:16]


def layout_digest(shapes: dict[str, tuple[int, ...]]) -> str:
    """16 hex digits of a state dict's names and shapes."""
    return hashlib.sha256("\n".join(f"{name} {list(shape)}" for name, shape in sorted(shapes.items())).encode()).hexdigest()[:16]


def sample(values: NDArray[np.generic]) -> list[float]:
    """[root mean square, then SAMPLES values] of an output."""
    flat = np.asarray(values, np.float64).ravel()
    picked = flat if len(flat) <= SAMPLES else flat[np.arange(SAMPLES) * (len(flat) - 1) // (SAMPLES - 1)]
    return [float(f"{value:.7g}") for value in (np.sqrt((flat**2).mean()), *picked)]
