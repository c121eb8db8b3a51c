"""A folder of photos, one a frame, in natural order (2 before 10).

Enters a folder; leaves a `source.Source`. What isn't a picture by its name is left aside; a picture that can't be read is left out, and
its neighbour takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image

from backend.errors import MenagerieError
from backend.media.frame_store import LONGEST_SIDE
from backend.media.photo import read_photo
from backend.media.source import MOST_LISTED, Frame, fitted, refuse, too_many

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic"}
RATE = 24.0
"""Frames a second, where none are asked for."""
ASPECT_TOLERANCE = 0.02
"""Share by which proportions of frames may differ."""


def list_frames(folder: Path) -> list[Path]:
    """The pictures of the folder in natural order."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file())
    return sorted(found, key=natural_key)


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Numbers in a name count as numbers."""
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [(0, int(part), "") if number % 2 else (1, 0, part) for number, part in enumerate(parts)]


class FrameFolder:
    """A `source.Source`."""

    def __init__(self, folder: Path, fps: float | None) -> None:
        self._folder = folder
        try:
            self._files = list_frames(folder)
        except OSError as error:
            raise refuse("clip_unreadable", folder, f"can't be read: {error.strerror or error}", "Choose another folder.") from error
        if not self._files:
            raise refuse("clip_unreadable", folder, "holds no pictures", "Choose a folder of frames.")
        if len(self._files) > MOST_LISTED:
            raise too_many(folder)
        self.rate: float | None = fps or RATE
        self.times = np.arange(len(self._files)) / self.rate
        self.length = len(self._files) / self.rate
        self.warnings: list[str] = []
        self._size: tuple[int, int] | None = None

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Raises `clip_unsupported` for frames of other proportions, and as `read_photo` where no picture can be read."""
        damage: MenagerieError | None = None
        for number in range(first, last + 1):
            try:
                image = read_photo(self._files[number])
            except MenagerieError as error:
                damage = damage or error
                continue
            height, width = image.rgb.shape[:2]
            if self._size is None:
                self._size = fitted(width, height, LONGEST_SIDE)
            if abs(width * self._size[1] / (height * self._size[0]) - 1) > ASPECT_TOLERANCE:
                name = self._files[number].name
                raise refuse("clip_unsupported", self._folder, f"has frames of different proportions: {name} is {width}x{height}",
                             "Keep the frames of one clip only in the folder.")  # fmt: skip
            pixels = image.rgb if image.alpha is None else np.dstack([image.rgb, image.alpha])
            picture = PIL.Image.fromarray(pixels)
            kept = picture if picture.size == self._size else picture.resize(self._size, PIL.Image.Resampling.BOX)
            yield number, kept.copy
        if damage is not None and self._size is None:
            raise damage
