"""HDR colours, as phones record them by default, brought to a screen's sRGB: HLG and PQ in BT.2020 (ITU-R BT.2100).

Enter the numbers that the file holds, as 8 bits; leave 8-bit sRGB. The reference white, 203 cd/m2 (ITU-R BT.2408), comes near to white;
what is brighter is rolled off channel by channel, as on film. Done by a table of 65 steps an axis.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFilter

PQ, HLG = 16, 18
"""AVColorTransferCharacteristic."""
WHITE = 203.0
"""cd/m2."""
PEAK, GAMMA = 1000.0, 1.2
"""Of the screen that HLG is shown on: cd/m2, and the system's gamma at that."""
KNEE = 0.7
"""Share of the reference white up to which light stays as it is."""
STEPS = 65
BT2020_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
"""ITU-R BT.2087, linear light."""

Array = NDArray[np.float64]


def hlg_light(signal: Array) -> Array:
    """(..., 3) in 0..1 -> cd/m2 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.678, 0.0593])
    return np.asarray(PEAK * scene * np.maximum(luminance, 1e-9)[..., None] ** (GAMMA - 1))


def pq_light(signal: Array) -> Array:
    """(..., 3) in 0..1 -> cd/m2 (BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return np.asarray(10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


def to_screen(light: Array) -> Array:
    """(..., 3) cd/m2 in BT.2020 -> sRGB in 0..1."""
    linear = np.maximum(light @ BT2020_TO_BT709.T / WHITE, 0)
    above = np.maximum(linear - KNEE, 0) / (1 - KNEE)
    linear = np.minimum(linear, KNEE) + (1 - KNEE) * (1 - np.exp(-above))
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@cache
def screen_table(transfer: int) -> ImageFilter.Color3DLUT | None:
    """What turns RGB pictures of that transfer into sRGB ones (`picture.filter`); None where they are no HDR."""
    if transfer not in (PQ, HLG):
        return None
    axis = np.linspace(0, 1, STEPS)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")  # red runs fastest in Pillow's tables
    signal = np.stack([red, green, blue], -1)
    light = pq_light(signal) if transfer == PQ else hlg_light(signal)
    return ImageFilter.Color3DLUT(STEPS, to_screen(light).reshape(-1).tolist())
