"""What stands under the extension's user folder: which environment is in use, and which gives way after a crash.

    <folder>/environment/          in use, if its state.json says so
    <folder>/environment.old/      the one before, while a new one proves itself in its place
    <folder>/environment.lock      held by the set-up that is at work, in whichever Blender

No bpy here. A set-up moves the old environment aside before it proves the new one; where Blender ended in between, the old one
comes back at the next look, unless a set-up holds the lock.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from .errors import LinkError

STATE = "state.json"
BROKEN = "environment.broken-"
"""How the names begin of environments that gave way and are being removed."""


def python_of(environment: Path) -> Path:
    """The interpreter of an environment folder."""
    return environment / "python" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def read_state(folder: Path) -> dict[str, Any]:
    """What is set up under the extension's user folder; {} if nothing whole is. Brings an old environment back after a crash."""
    if old_is_better(folder):
        with suppress(LinkError, OSError), hold(folder):  # else a set-up is at work, and decides
            bring_back(folder)
    try:
        state = json.loads((folder / "environment" / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = isinstance(state, dict) and all(isinstance(state.get(key), str) for key in ("version", "unit", "requirements", "device"))
    return state if known else {}


def write_state(environment: Path, state: dict[str, Any]) -> None:
    """Say which unit is in use, whole or not at all."""
    partial = environment / f"{STATE}.new"
    partial.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, environment / STATE)


def location(folder: Path, version: str) -> tuple[Path, Path]:
    """-> interpreter and unit of the environment in use. Raises `LinkError` `backend_missing`, `backend_mismatch`."""
    state = read_state(folder)
    environment = folder / "environment"
    if not state or not python_of(environment).exists():
        raise LinkError("backend_missing", "The backend isn't set up yet.")
    if state["version"] != version:
        raise LinkError("backend_mismatch", f"The backend is version {state['version']}, the add-on {version}.")
    return python_of(environment), environment / "units" / state["unit"]


def old_is_better(folder: Path) -> bool:
    """A set-up ended between moving the old environment aside and the end of the new one's check."""
    return (folder / "environment.old" / STATE).is_file() and not (folder / "environment" / STATE).is_file()


def bring_back(folder: Path) -> None:
    """Put the old environment in the place of one that was never finished, if there are such; the caller holds the lock. What gives
    way is removed by a thread: Blender's main thread may be the one that looks. Raises OSError."""
    if not old_is_better(folder):
        return
    current, broken = folder / "environment", folder / f"{BROKEN}{time.time_ns()}"
    if current.exists():
        os.replace(current, broken)
    os.replace(folder / "environment.old", current)
    threading.Thread(target=shutil.rmtree, args=(broken, True), name="menagerie-remover", daemon=True).start()


def remove(folder: Path) -> None:
    """Remove every environment, the one in use last. Raises `LinkError` where a set-up is at work."""
    with hold(folder):
        for path in sorted(folder.glob("environment*"), reverse=True):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """The lock of the user folder; the system lets it go when its process ends. Raises `LinkError` where a set-up holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "environment.lock"
    stream = path.open("ab")
    try:
        if not lock(stream) or not is_file(path, stream):
            raise LinkError("protocol", "A set-up is at work already, perhaps in another Blender.", "Wait for it, or stop it there.")
        try:
            yield
        finally:
            if sys.platform != "win32":
                path.unlink(missing_ok=True)  # while it is held: no other's is taken away
    finally:
        stream.close()
        if sys.platform == "win32":
            with suppress(OSError):  # what is open can't be removed there, by us or from under another
                path.unlink(missing_ok=True)


def is_file(path: Path, stream: IO[bytes]) -> bool:
    """Whether the open file is still the one of this name: who held it may have removed it since it was opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except OSError:
        return False


def lock(stream: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False where it is locked already."""
    try:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
