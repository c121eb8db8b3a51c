"""The folder of a result: the names of its files, and how they come to stand there whole or not at all.

Everything is written into a hidden folder inside the output folder and moved when complete, `report.json` last; what was there before is
put back if a move fails. The next job takes away what a process that was killed has left. No torch here.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backend.service.machine import lock

ASSET, GLB, MASK, OVERLAY, REPORT = "asset.safetensors", "asset.glb", "mask.png", "overlay.png", "report.json"
PHOTO = "photo.jpg"
"""An upright sRGB copy, only of photos that Blender can't open or would show otherwise (HEIC, profiles, turned PNG); of a clip its first
frame."""
MOVIE = "overlay.mp4"
"""Of a clip: the creature over every frame."""
VIEWPOINT = "viewpoint-{}.png"
FURTHER_MASK, FURTHER_OVERLAY = "mask-{}.png", "overlay-{}.png"
"""Of further photos of the animal, counted from 2."""
NUMBERED = re.compile(r"(viewpoint|mask|overlay)-[0-9]{1,2}\.png")
UNFINISHED, LOCK = ".unfinished-", ".lock"
"""How the hidden folder's name begins, and the ending of the file beside it that its process holds locked."""


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A hidden folder whose files are moved into `out` when the block ends well, and removed when it does not."""
    with hidden_folder(out) as folder:
        yield folder
        move_all(folder, out)


@contextmanager
def hidden_folder(out: Path) -> Iterator[Path]:
    """A folder inside `out` for what isn't finished, gone when the block ends; `out` as well, where it was made for it and is empty."""
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    held, name = tempfile.mkstemp(LOCK, UNFINISHED, out)
    folder = Path(name).with_suffix("")
    try:
        lock(held)  # before the folder is made, so that a folder beside an unlocked file is nobody's
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)
        with suppress(OSError):  # another process may be trying the lock just now
            os.unlink(name)
        if made and not any(out.iterdir()):
            out.rmdir()


def remove_abandoned(results: Path) -> None:
    """Remove what killed processes left in the folders in `results`: the hidden folders whose file can be locked.

    The system lets a lock go when its process ends, on whatever machine: what is in use is never taken for abandoned.
    """
    for place in results.glob("*/"):
        with suppress(OSError):  # what lies beside our results is others', and may go while we look
            remove_unfinished(place)


def remove_unfinished(out: Path) -> None:
    """The same in one folder."""
    for folder in out.glob(f"{UNFINISHED}*/"):
        with suppress(OSError):  # this job can do without; the next one tries again
            held = folder.with_suffix(LOCK)
            with held.open("rb+") as stream:
                if not lock(stream.fileno()):
                    continue
                shutil.rmtree(folder)
            held.unlink()


def move_all(folder: Path, out: Path) -> None:
    """Move every file of `folder` into `out`, the report last; on failure put back what was there. Raises OSError."""
    names = sorted((path.name for path in folder.iterdir()), key=lambda name: (name == REPORT, name))
    for name in names:
        with (folder / name).open("rb+") as stream:
            os.fsync(stream.fileno())
    stale = [path.name for path in out.iterdir() if path.is_file() and _is_ours(path.name)]
    old = folder / "old"
    old.mkdir()
    kept: list[str] = []
    moved: list[str] = []
    try:
        # The old report goes first: from here on the folder is not a result until the new one stands.
        for name in sorted(stale, key=lambda name: (name != REPORT, name)):
            os.replace(out / name, old / name)
            kept.append(name)
        for name in names:
            os.replace(folder / name, out / name)
            moved.append(name)
    except OSError:
        for name in moved:
            (out / name).unlink(missing_ok=True)
        for name in reversed(kept):
            os.replace(old / name, out / name)
        raise


def _is_ours(name: str) -> bool:
    fixed = (ASSET, GLB, MASK, OVERLAY, MOVIE, PHOTO, REPORT)
    return name in fixed or NUMBERED.fullmatch(name) is not None


