"""Animated pictures through Pillow: GIF, WebP and PNG.

Enters a file; leaves a `source.Source`. Each frame stands as long as the file says; the shortest are taken as browsers take them. The
pictures are gone through twice, one at a time: for the times, then for the frames.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from backend.media.frame_store import LONGEST_SIDE
from backend.media.photo import DECODE_FAILURES, webp_canvas
from backend.media.source import MOST_LISTED, Frame, check_size, fitted, refuse, too_many

FORMATS = ("GIF", "WEBP", "PNG")
SHORTEST, OTHERWISE = 0.011, 0.1
"""Seconds: a frame that is to stand no longer than the first stands for the second, in every browser."""


class Animation:
    """A `source.Source`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rate: float | None = None
        self.warnings: list[str] = []
        lengths: list[float] = []
        with path.open("rb") as stream:
            for _, picture in self._run(stream):
                span = float(picture.info.get("duration", 0) or 0) / 1000
                lengths.append(span if span >= SHORTEST else OTHERWISE)
                if len(lengths) > MOST_LISTED:
                    raise too_many(path)
        if not lengths:
            raise refuse("clip_unreadable", path, "is damaged")
        ends = np.cumsum(np.array(lengths, np.float64))
        self.times: NDArray[np.float64] = np.concatenate([[0.0], ends[:-1]])
        self.length = float(ends[-1])
        if self._cut:
            self.warnings.append(f"The clip is cut off after {self.length:.1f} seconds; what comes before is used.")

    def _run(self, stream: BinaryIO) -> Iterator[tuple[int, PIL.Image.Image]]:
        """The frames, decoded one by one on the same picture. `_cut` tells then whether they end too early."""
        self._cut = False
        head = stream.read(32)
        stream.seek(0)
        if canvas := webp_canvas(head):
            check_size(self._path, *canvas)  # the decoder makes the canvas before its size could be asked
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of much that the person can't act on; size is checked here
            try:
                with PIL.Image.open(stream, formats=FORMATS) as picture:
                    check_size(self._path, *picture.size)
                    # A PNG may show another picture where animations are not known: it is no frame.
                    first = 1 if picture.info.get("default_image") else 0
                    for number in range(first, MOST_LISTED + 2):
                        try:
                            picture.seek(number)
                        except EOFError:
                            return
                        picture.load()
                        yield number - first, picture
            except (PIL.Image.DecompressionBombError, MemoryError) as error:
                raise refuse("clip_too_large", self._path, "needs too much memory") from error
            except DECODE_FAILURES:
                self._cut = True

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        with self._path.open("rb") as stream:
            for number, picture in self._run(stream):
                if number >= first - 1:
                    yield number, _converted(picture).copy
                if number >= last:
                    return


def _converted(picture: PIL.Image.Image) -> PIL.Image.Image:
    """A frame as it is kept."""
    clear = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    converted = picture.convert("RGBA" if clear else "RGB")
    size = fitted(*converted.size, LONGEST_SIDE)
    return converted if converted.size == size else converted.resize(size, PIL.Image.Resampling.BOX)
