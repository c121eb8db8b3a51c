"""The eight ways to lay a picture: what a movie's display matrix asks for, done to arrays.

Enters the matrix as ISO/IEC 14496-12 stores it (9 numbers of 32 bits: a b u, c d v, x y w; a point (p, q) of the stored frame, y down, is
shown at (a p + c q, b p + d q)); leaves an `Orientation`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from backend.types import ByteArray


@dataclass(frozen=True)
class Orientation:
    """swap: rows become columns, before the rest; mirror: left and right change sides; upside_down: top and bottom do."""

    swap: bool = False
    mirror: bool = False
    upside_down: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Of a picture once it lies right; its own inverse."""
        return (height, width) if self.swap else (width, height)

    def apply(self, pixels: ByteArray) -> ByteArray:
        """(h, w, c) as stored -> as shown."""
        if self.swap:
            pixels = pixels.swapaxes(0, 1)
        if self.upside_down:
            pixels = pixels[::-1]
        if self.mirror:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)


def orientation_of(matrix: bytes) -> Orientation:
    """Of a display matrix in the machine's byte order; upright where it is none. Turns by other than quarters go to the nearest."""
    if len(matrix) != 36:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)
