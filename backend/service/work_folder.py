"""The folder in which a long job keeps what it can go on from: found again by what the job is, gone when it has succeeded.

It stands hidden beside the result. A job that breaks off leaves it; the same job finds it the next time; what nobody came back for is taken
away after some days by the next job beside it. A lock keeps two processes out of one folder. No torch here.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from backend.errors import Cancelled
from backend.service.machine import lock

WORK, LOCK = ".work-", ".lock"
"""How the folder's name begins, and the ending of the file beside it that its process holds locked."""
KEPT_SECONDS = 3 * 24 * 3600.0
"""After this without a change it counts as abandoned."""


@contextmanager
def work_folder(beside: Path, identity: str, bulky: Sequence[str] = ()) -> Iterator[Path]:
    """A folder in `beside` for the job called `identity` (letters that any file system takes), with what an earlier try left in it.

    Removed when the block ends well, kept where it throws; of a cancelled job the folders `bulky` in it go, which are quickly made again.
    """
    beside.mkdir(parents=True, exist_ok=True)
    folder, held = _hold(beside, identity)
    try:
        folder.mkdir(exist_ok=True)
        os.utime(folder)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    except Cancelled:
        for name in bulky:
            shutil.rmtree(folder / name, ignore_errors=True)
        raise
    finally:
        if not any(path.is_file() for path in folder.rglob("*")):
            shutil.rmtree(folder, ignore_errors=True)  # nothing to go on from
        _let_go(folder, held)


def _hold(beside: Path, identity: str) -> tuple[Path, int]:
    """The job's folder, or a further one where another process works in it, and the descriptor of its lock."""
    for number in itertools.count():
        folder = beside / f"{WORK}{identity}{f'-{number}' if number else ''}"
        held = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT, 0o666)
        if lock(held) and _stands(_lock_of(folder), held):
            return folder, held
        os.close(held)
    raise AssertionError("counting ends nowhere")


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + LOCK)


def _stands(path: Path, held: int) -> bool:
    """Whether the lock's file is still the one that was opened: who held it before may have removed it just then."""
    try:
        return os.path.samestat(path.stat(), os.fstat(held))
    except OSError:
        return False


def _let_go(folder: Path, held: int) -> None:
    """Give the lock back; its file goes with the folder."""
    os.close(held)
    if not folder.exists():
        with suppress(OSError):  # another process may be trying the lock just now
            _lock_of(folder).unlink()


def remove_abandoned_work(beside: Path, older: float = KEPT_SECONDS) -> None:
    """Remove the work folders in `beside` that nobody works in and that have not changed for `older` seconds."""
    for folder in beside.glob(f"{WORK}*/"):
        with suppress(OSError):  # this job can do without; the next one tries again
            newest = max(entry.stat().st_mtime for entry in (folder, *folder.iterdir()))
            if time.time() - newest < older:
                continue
            held = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not lock(held):
                    continue
                shutil.rmtree(folder)
            finally:
                _let_go(folder, held)
