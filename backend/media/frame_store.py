"""Decoded frames in a folder: one PNG a frame, named by its number in the clip, and `clip.json`, which is written last and makes it whole.

Enter upright sRGB pictures ("RGB" or "RGBA"); leaves a `types.Clip` whose frames are read one at a time. What is read back comes from a
process that had an untrusted file in its hands: nothing of it is believed.
"""

from __future__ import annotations

import errno
import json
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from backend.errors import MenagerieError
from backend.types import Clip, Image

FRAME = "frame-{:07d}.png"
LISTING, PLAN, REFUSAL = "clip.json", "plan.json", "refusal.json"
NO_ROOM = 3
"""Exit status of a decoder that couldn't even write why."""
PNG_LEVEL = 1
LARGEST_LISTING = 4 << 20
"""Bytes."""
LONGEST_SIDE = 1280
"""Pixels of a kept frame's longer side: the networks see 256 of the animal, and a texture's detail comes from many frames."""
MOST_FRAMES = 3000
"""Kept of one clip: two minutes at 25 a second."""


def write_frame(folder: Path, number: int, picture: PIL.Image.Image) -> None:
    """Write a frame, whole or not at all. Raises `disk_full`, `not_writable`."""
    target = folder / FRAME.format(number)
    part = target.with_suffix(".part")
    try:
        picture.save(part, "PNG", compress_level=PNG_LEVEL)
        os.replace(part, target)
    except OSError as error:
        raise _no_room(error) from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small listing, whole or not at all. Raises `disk_full`, `not_writable`."""
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps(content), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> MenagerieError:
    if error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return MenagerieError("disk_full", "There is no space left for the clip's frames.")
    return MenagerieError("not_writable", f"The clip's frames can't be written: {error.strerror or error}.")


def read_json(path: Path) -> dict[str, Any] | None:
    """A listing; None where there is none that can be read."""
    try:
        if path.stat().st_size > LARGEST_LISTING:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def count_frames(folder: Path) -> int:
    """How many frames stand in the folder so far."""
    return sum(entry.name.endswith(".png") for entry in os.scandir(folder))


def newest_frame(folder: Path) -> Image | None:
    """The frame with the highest number so far, for a preview."""
    last = max((entry.name for entry in os.scandir(folder) if entry.name.endswith(".png")), default=None)
    return None if last is None else _read_picture(folder / last)


def clear(folder: Path) -> None:
    """Remove what an earlier decoding left, the listing first."""
    for name in (LISTING, PLAN, REFUSAL):
        (folder / name).unlink(missing_ok=True)
    for pattern in ("frame-*.png", "*.part"):
        for path in folder.glob(pattern):
            path.unlink()


def open_frames(folder: Path, request: dict[str, Any]) -> Clip | None:
    """The clip whose frames stand whole in the folder, decoded as `request` asks; None where there is none."""
    listing = read_json(folder / LISTING)
    if listing is None or listing.get("request") != request:
        return None
    try:
        return _clip_of(folder, listing)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _clip_of(folder: Path, listing: dict[str, Any]) -> Clip:
    """Raises KeyError, TypeError, ValueError or OverflowError where the listing is not as it should be."""
    width, height, fps = listing["width"], listing["height"], float(listing["fps"])
    times, numbers = np.array(listing["times"], np.float64), np.array(listing["numbers"], np.int32)
    if type(width) is not int or type(height) is not int or not 1 <= min(width, height) <= max(width, height) <= LONGEST_SIDE:
        raise ValueError("size")
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise ValueError("rate")
    if times.ndim != 1 or times.shape != numbers.shape or not 1 <= len(times) <= MOST_FRAMES:
        raise ValueError("frames")
    if not np.isfinite(times).all() or (np.diff(times) < 0).any() or (numbers < 0).any():
        raise ValueError("times")
    if not all((folder / FRAME.format(number)).is_file() for number in set(numbers.tolist())):
        raise ValueError("a frame is missing")
    warnings = tuple(str(sentence) for sentence in listing["warnings"])
    alpha, sha256 = bool(listing["has_alpha"]), str(listing["request"]["sha256"])
    return Clip(width, height, fps, times, numbers, partial(_read, folder, numbers, (width, height), alpha), alpha, sha256, warnings)


def _read(folder: Path, numbers: np.ndarray[Any, Any], size: tuple[int, int], has_alpha: bool, k: int) -> Image:
    """Frame k of the clip. Raises IndexError, OSError."""
    if not 0 <= k < len(numbers):
        raise IndexError(f"the clip has no frame {k}")
    image = _read_picture(folder / FRAME.format(int(numbers[k])))
    if (image.rgb.shape[1], image.rgb.shape[0]) != size:
        raise OSError(f"frame {k} of the clip has changed since it was decoded")
    if not has_alpha:
        return Image(image.rgb)
    return Image(image.rgb, np.full(image.rgb.shape[:2], 255, np.uint8) if image.alpha is None else image.alpha)


def _read_picture(path: Path) -> Image:
    with PIL.Image.open(path, formats=["PNG"]) as picture:
        pixels = np.array(picture)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise OSError(f"{path.name} is no frame")
    return Image(np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None)
