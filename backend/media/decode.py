"""The throwaway process that decodes a clip: `python -m backend.media.decode`, a request on stdin.

Enters {path, folder, start, end, fps, stride, request}; leaves frames and `clip.json` in the folder (`frame_store`), or `refusal.json` with
a coded error. `plan.json` tells beforehand how many frames there will be. Started by `clip.read_clip` alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from backend.errors import MenagerieError
from backend.media import source as sources
from backend.media.frame_store import LISTING, NO_ROOM, PLAN, REFUSAL, write_frame, write_json
from backend.media.photo import DECODE_FAILURES
from backend.media.steady import choose_frames
from backend.media.throwaway import read_request, take_no_more_memory

MEMORY = 1536 << 20
"""Bytes over those of an idle process."""
CUT_FRAMES = 2
"""Frames that may lack at the end before the clip counts as cut off there."""


def decode(path: Path, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Write the wanted frames. -> the listing. Raises MenagerieError and, for files that are damaged, what libraries raise."""
    source = sources.open_source(path, settings["fps"])
    asked = None if path.is_dir() else settings["fps"]  # a folder's rate is what was asked for
    choice = choose_frames(
        source.times, source.length, start=settings["start"], end=settings["end"], fps=asked, stride=settings["stride"], named=source.rate
    )
    wanted = choice.numbers.tolist()
    write_json(folder / PLAN, {"frames": len(set(wanted))})
    writer = Writer(folder)
    for number, make in source.frames(wanted[0], wanted[-1]):
        while writer.count < len(wanted) and number >= wanted[writer.count]:
            writer.take(wanted[writer.count], number, make)
        writer.last = number, make
    warnings = [*source.warnings, *choice.warnings]
    if writer.count == 0:
        raise sources.refuse("clip_unreadable", path, "holds no frame that can be decoded")
    lost = len(wanted) - writer.count
    if lost > CUT_FRAMES:
        seconds = float(source.times[writer.numbers[-1]])
        warnings.append(f"The clip can't be decoded after {seconds:.1f} seconds; what comes before is used.")
    if writer.count < 2:
        raise MenagerieError("clip_too_short", f"The clip {path.name} has one frame only that can be decoded.")
    if writer.replaced:
        warnings.append(f"{writer.replaced} frames of the clip are damaged; their neighbours took their places.")
    return {
        "width": writer.size[0], "height": writer.size[1], "fps": choice.fps, "numbers": writer.numbers,
        "times": source.times[np.array(writer.numbers)].tolist(), "has_alpha": writer.has_alpha, "warnings": warnings,
    }  # fmt: skip


class Writer:
    """Writes frames as they come. numbers: those taken so far; replaced: how many stand for damaged ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.numbers: list[int] = []
        self.last: sources.Frame | None = None
        """The frame that came before, wanted or not."""
        self.size = (0, 0)
        self.has_alpha = False
        self.replaced = 0

    @property
    def count(self) -> int:
        """Of wanted frames done."""
        return len(self.numbers)

    def take(self, wanted: int, number: int, make: Any) -> None:
        """Take the frame, or the one before it where that is nearer to the one that is wanted."""
        if number != wanted:
            self.replaced += 1
            if self.last is not None and wanted - self.last[0] <= number - wanted:
                number, make = self.last
        if not self.numbers or self.numbers[-1] != number:
            self._write(number, make())
        self.numbers.append(number)

    def _write(self, number: int, picture: PIL.Image.Image) -> None:
        if picture.mode == "RGBA":
            low, _ = picture.getchannel("A").getextrema()
            if low == 255:
                picture = picture.convert("RGB")
            else:
                self.has_alpha = True
        if self.size == (0, 0):
            self.size = picture.size
        write_frame(self._folder, number, picture)


def main() -> int:
    """Answer the one request. -> exit status: 0 where the listing stands, 1 where the refusal does, `NO_ROOM` where there was none."""
    given = read_request()
    path, folder = Path(given["path"]), Path(given["folder"])
    PIL.Image.init()
    take_no_more_memory(MEMORY)
    try:
        try:
            listing = decode(path, folder, given)
        except MemoryError as error:
            raise sources.refuse("clip_too_large", path, "needs too much memory") from error
        except MenagerieError:
            raise
        except DECODE_FAILURES as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            raise sources.refuse("clip_unreadable", path, "is damaged") from error
        write_json(folder / LISTING, {**listing, "request": given["request"]})
    except MenagerieError as error:
        try:
            write_json(folder / REFUSAL, error.to_wire())
        except MenagerieError:
            return NO_ROOM
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
