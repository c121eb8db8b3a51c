"""Which way up a photo is: cameras write pixels as the sensor lies and a number in EXIF, which Blender ignores.

Enters: a JPEG's path. Leaves: EXIF orientation 1-8 and what turns the pixels upright (TIFF 6.0, tag 274). Of other turned
formats the backend writes an upright copy.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from mathutils import Matrix

MAX_BYTES = 1 << 18
ORIENTATION_TAG = 0x0112
UPRIGHT: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, -1), (-1, 0)),
    6: ((0, 1), (-1, 0)),
    7: ((0, 1), (1, 0)),
    8: ((0, -1), (1, 0)),
}
"""Orientation -> rows of the 2x2 matrix from the stored picture's x (right), y (up) to the upright one's."""


def turn_matrix(orientation: int) -> Matrix:
    """(4, 4) that turns the stored picture upright in its own plane."""
    (a, b), (c, d) = UPRIGHT.get(orientation, UPRIGHT[1])
    return Matrix(((a, b, 0, 0), (c, d, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)))


def turn_pixels(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(h, w, c), row 0 at the bottom, as the sensor lies -> the same upright."""
    turned = np.array(turn_matrix(orientation).to_2x2())
    if turned[0, 0] == 0:  # x and y change places
        pixels = pixels.transpose(1, 0, 2)
        turned = turned[:, ::-1]
    return np.ascontiguousarray(pixels[:: int(turned[1, 1]), :: int(turned[0, 0])])


def jpeg_orientation(path: Path) -> int:
    """EXIF orientation, 1 (upright) where the file is no JPEG or does not say."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except OSError:
        return 1
    if data[:2] != b"\xff\xd8":
        return 1
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (0xDA, 0xD9):
        (length,) = struct.unpack_from(">H", data, place + 2)
        if data[place + 1] == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            return tiff_orientation(data[place + 10 : place + 2 + length])
        place += 2 + length
    return 1


def tiff_orientation(data: bytes) -> int:
    """The orientation in a TIFF header's first directory, 1 where there is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return 1
    (place,) = struct.unpack_from(order + "I", data, 4)
    if place + 2 > len(data):
        return 1
    (count,) = struct.unpack_from(order + "H", data, place)
    for entry in range(place + 2, min(place + 2 + 12 * count, len(data) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag == ORIENTATION_TAG and kind == 3:
            (value,) = struct.unpack_from(order + "H", data, entry + 8)
            return value if value in UPRIGHT else 1
    return 1
