"""What frames come from: a movie, an animated picture, a folder of photos. The kind is told by the first bytes, never by the name.

`open_source` looks a file up and gives a `Source`: the times of all its frames, and the frames that are wanted, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from backend.errors import MenagerieError

LARGEST_FILE = 4 << 30
"""Bytes."""
LARGEST_FRAME = 36_000_000
"""Pixels, as stored: 8K."""
SMALLEST_SIDE = 16
MOST_LISTED = 500_000
"""Frames of a file whose times are looked at: two hours at 60 a second."""

Frame = tuple[int, Callable[[], PIL.Image.Image]]
"""A frame's number and what makes its picture: upright, square pixels, sRGB ("RGB" or "RGBA"), at most `frame_store.LONGEST_SIDE` long."""


class Source(Protocol):
    """times: (n,) seconds of the frames from the first, rising; length: seconds in all; rate: frames a second if the file names them;
    warnings: sentences, complete once the frames were taken."""

    times: NDArray[np.float64]
    length: float
    rate: float | None
    warnings: list[str]

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """The frames that can be decoded, in order, from `first` or before it up to `last`."""
        ...


def refuse(code: str, path: Path, reason: str, remedy: str | None = None) -> MenagerieError:
    """The error for a clip that is not taken."""
    return MenagerieError(code, f"The clip {path.name} {reason}.", remedy)


def too_many(path: Path) -> MenagerieError:
    """The error for more frames than are looked at."""
    return refuse("clip_too_long", path, f"has more than {MOST_LISTED} frames", "Cut the stretch that you want out of it.")


def check_size(path: Path, width: int, height: int) -> None:
    """Raises `clip_too_large`, or `clip_unsupported` for a speck."""
    if width * height > LARGEST_FRAME:
        limit = LARGEST_FRAME // 1_000_000
        raise refuse("clip_too_large", path, f"has frames of {width} x {height} pixels; the limit is {limit} megapixels")
    if min(width, height) < SMALLEST_SIDE:
        raise refuse("clip_unsupported", path, f"has frames of only {width} x {height} pixels")


def fitted(width: float, height: float, longest: int) -> tuple[int, int]:
    """The size of a picture that is made at most `longest` pixels long."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def open_source(path: Path, fps: float | None) -> Source:
    """What the frames of a file or folder come from. fps: of a folder, which has no rate of its own. Raises MenagerieError."""
    # Each kind brings the library that decodes it, and no other.
    if path.is_dir():
        from backend.media.frame_folder import FrameFolder

        return FrameFolder(path, fps)
    try:
        with path.open("rb") as stream:
            head = stream.read(32)
    except FileNotFoundError:
        raise refuse("clip_unreadable", path, "does not exist", "Choose the clip again.") from None
    except OSError as error:
        remedy = "Allow your user to read the file, or copy it into a folder of your own and choose the copy."
        raise refuse("clip_unreadable", path, f"can't be read: {error.strerror or error}", remedy) from error
    if not head:
        raise refuse("clip_unreadable", path, "is empty")
    if head[:4] == b"GIF8" or head[:8] == b"\x89PNG\r\n\x1a\n" or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        from backend.media.animation import Animation

        return Animation(path)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        from backend.media.movie import Movie

        return Movie(path, "mov")
    if head[:4] == b"\x1aE\xdf\xa3":
        from backend.media.movie import Movie

        return Movie(path, "matroska")
    raise refuse("clip_unsupported", path, "is not in a format that can be read")
