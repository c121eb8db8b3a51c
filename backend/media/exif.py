"""What EXIF says of a photo's camera: which way is up, and how long the lens was.

Enters a decoded Pillow picture; leaves an orientation (1-8) and a focal hint. Every number is checked: EXIF is as
untrusted as the pixels. Tags by EXIF 2.32.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import PIL.Image

ORIENTATION, EXIF_BLOCK = 0x0112, 0x8769
FOCAL_MM, FOCAL_35MM, PIXELS_WIDE = 0x920A, 0xA405, 0xA002
PLANE_RESOLUTION, PLANE_UNIT = 0xA20E, 0xA210
DIAGONAL_35MM = math.hypot(36.0, 24.0)
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0}
_DAMAGE = (
    ValueError, TypeError, KeyError, IndexError, EOFError, SyntaxError, OSError, struct.error, ZeroDivisionError, OverflowError,
    AttributeError,
)  # fmt: skip


@dataclass(frozen=True)
class FocalHint:
    """mm_35: 35-mm equivalent; mm: true focal length; plane_px_per_mm, plane_width: the sensor's pixels. 0 where unknown."""

    mm_35: float = 0.0
    mm: float = 0.0
    plane_px_per_mm: float = 0.0
    plane_width: float = 0.0

    def to_pixels(self, width: int, height: int) -> float | None:
        """Focal length in pixels of a picture of that size (square pixels, any way up), or None.

        The 35-mm equivalent compares diagonals (CIPA DCG-001); else the sensor's pixel pitch, scaled where the picture
        was resized.
        """
        if self.mm_35 > 0:
            return self.mm_35 / DIAGONAL_35MM * math.hypot(width, height)
        if self.mm > 0 and self.plane_px_per_mm > 0:
            scale = max(width, height) / self.plane_width if self.plane_width > 0 else 1.0
            return self.mm * self.plane_px_per_mm * scale
        return None


@dataclass(frozen=True)
class Exif:
    """orientation: 1-8, 1 is upright; focal; damaged: the block could not be read."""

    orientation: int = 1
    focal: FocalHint = FocalHint()
    damaged: bool = False


def _number(value: Any) -> float:
    """A finite number, or 0."""
    if value is None:
        return 0.0
    try:
        number = float(value[0] if isinstance(value, tuple) else value)
    except _DAMAGE:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def read_exif(picture: PIL.Image.Image) -> Exif:
    """-> `Exif`; never raises for what the file holds."""
    try:
        block = picture.getexif()
        orientation = block.get(ORIENTATION, 1)
        inner = dict(block.get_ifd(EXIF_BLOCK))
    except _DAMAGE:
        return Exif(damaged=True)
    # libheif turns pictures itself, whatever their EXIF still says.
    turned = picture.format == "HEIF"
    if not isinstance(orientation, int) or not 1 <= orientation <= 8 or turned:
        orientation = 1
    unit = MM_PER_UNIT.get(int(_number(inner.get(PLANE_UNIT, 2))), 25.4)
    focal = FocalHint(
        mm_35=_number(inner.get(FOCAL_35MM)), mm=_number(inner.get(FOCAL_MM)),
        plane_px_per_mm=_number(inner.get(PLANE_RESOLUTION)) / unit, plane_width=_number(inner.get(PIXELS_WIDE)),
    )  # fmt: skip
    return Exif(orientation, focal)
