"""Masks that somebody made of a clip's frames: a folder of pictures in, which picture is which frame's out.

As many pictures as frames: in natural order ("mask 9" before "mask 10"). Fewer or more: the last number in each name is the frame's in
the clip's file, counted from 0 where one is numbered 0, else from 1; a single picture without a number is the first frame's. Frames
without a picture are not known. A picture may be smaller or larger than the frame, of the same proportions; an empty one says that the
animal is out of sight.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from backend.errors import MenagerieError
from backend.media.photo import read_photo
from backend.observe.mask import keep_islands
from backend.types import Clip, Mask

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
ASPECT_TOLERANCE = 0.02
REMEDY = "Give one mask a frame, or names that end in the frame's number."


def natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts "a2" before "a10"."""
    words = re.split(r"(\d+)", path.stem)
    return [(1, int(word), "") if word.isdecimal() else (0, 0, word.lower()) for word in words], path.name


def assign_masks(folder: Path, clip: Clip) -> dict[int, Path]:
    """Frame (0 .. t - 1) -> its mask's picture. Raises `mask_unreadable` where there is none, or names don't say which frames they are."""
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file() and not path.name.startswith(".")]
    except OSError as fault:
        raise MenagerieError("mask_unreadable", f"The folder of masks {folder.name} can't be read.", REMEDY) from fault
    paths = sorted(found, key=natural_key)
    if not paths:
        raise MenagerieError("mask_unreadable", f"There are no masks in the folder {folder.name}.", REMEDY)
    if len(paths) == len(clip.numbers):
        return dict(enumerate(paths))
    numbers = [re.findall(r"\d+", path.stem) for path in paths]
    if len(paths) == 1 and not numbers[0]:
        return {0: paths[0]}
    if not all(numbers):
        name = paths[[not one for one in numbers].index(True)].name
        raise MenagerieError("mask_unreadable", f"The name of the mask {name} has no number, and there isn't one mask a frame.", REMEDY)
    of_file = [int(one[-1]) for one in numbers]
    first = 0 if 0 in of_file else 1
    place = {int(number): k for k, number in enumerate(clip.numbers)}
    result = {place[number - first]: path for number, path in zip(of_file, paths, strict=True) if number - first in place}
    if not result:
        raise MenagerieError("mask_unreadable", "None of the masks is numbered as a frame of the clip's chosen range.", REMEDY)
    return result


def read_given_mask(path: Path, width: int, height: int) -> Mask:
    """-> (height, width) in [0, 1]: the picture's alpha if it has one, else its brightness, less stray specks. Raises `mask_unreadable`."""
    try:
        picture = read_photo(path)
    except MenagerieError as refusal:
        raise MenagerieError("mask_unreadable", f"The mask {path.name} can't be read: {refusal.sentence}", REMEDY) from refusal
    cover = picture.alpha if picture.alpha is not None else np.ascontiguousarray(picture.rgb.max(-1))
    rows, columns = cover.shape
    if abs(columns * height / (rows * width) - 1) > ASPECT_TOLERANCE:
        raise MenagerieError("mask_unreadable", f"The mask {path.name} is {columns}x{rows}, the clip {width}x{height}.", REMEDY)
    if (rows, columns) != (height, width):
        cover = np.asarray(Picture.fromarray(cover).resize((width, height), Picture.Resampling.BILINEAR))
    if (cover > 127).any():
        cover = keep_islands(cover)
    return np.multiply(cover, np.float32(1 / 255), dtype=np.float32)
