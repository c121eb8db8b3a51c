"""One click job: a photo, clicks and perhaps an earlier mask in, `mask.png` out; without clicks it only gets ready for them.

The mask is grey, of the photo's proportions, at most `observe.mask.WORKING_SIDE` pixels long, as a painted one; what takes a mask stretches
it to the photo. It is written whole or not at all. The photo is decoded once; later clicks only hash its file.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from backend.errors import MenagerieError
from backend.media.photo import read_photo
from backend.observe import sam2
from backend.observe.clicks import Click, Clicker
from backend.service.reconstruct import as_bytes, check_memory, read_mask, write_picture
from backend.service.result_folder import MASK
from backend.types import Cost, Progress, no_progress

SECONDS, MEMORY_MIB = 2.0, 700.0
"""To look at a photo with SAM 2, beside what the process has loaded before."""


def write_clicked(
    clicker: Clicker, photo: Path, out: Path, clicks: list[list[Any]], earlier: Path | None = None, progress: Progress = no_progress
) -> dict[str, Any]:
    """Answer the clicks on a photo -> `files` written into the folder `out`, made if absent, and `negative`: whether clicks beside the
    animal count.

    clicks: [x, y, positive], pixels of the upright photo, (0, 0) its upper left corner; earlier: a mask picture that they correct.
    Raises `MenagerieError`, `Cancelled`, and `OSError` or `MemoryError` as they come.
    """
    progress("photo", 0.0)
    if not clicker.knows(_hash(photo)):
        image = read_photo(photo)
        if sam2.is_installed():
            check_memory(Cost(SECONDS, MEMORY_MIB))
        clicker.look(image, progress)
    files = []
    if clicks:
        width, height = clicker.photo_size
        if not all(0 <= x <= width and 0 <= y <= height for x, y, _ in clicks):
            raise MenagerieError("bad_request", "A click lies outside the photo.", "Click on the photo.")
        places = tuple(Click(x / width, y / height, positive) for x, y, positive in clicks)
        start = None if earlier is None else read_mask(earlier, clicker.working_photo)
        mask = clicker.answer(places, start, progress)
        out.mkdir(parents=True, exist_ok=True)
        partial = out / f".{MASK}"
        write_picture(partial, as_bytes(mask))
        os.replace(partial, out / MASK)
        files.append(MASK)
    progress("done", 1.0)
    return {"out": str(out), "files": files, "negative": clicker.takes_negative}


def _hash(photo: Path) -> str:
    """Of the file's bytes, "" where it can't be read: `read_photo` says why."""
    try:
        if photo.is_file():
            with photo.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        pass
    return ""
