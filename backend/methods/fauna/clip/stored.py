"""Arrays that an interrupted clip goes on from: one .npz a piece of work, written whole or not at all, read without trust."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError)
"""What reading a damaged file raises, by where the damage lies (`RuntimeError`: what is no file of ours says that it is encrypted)."""


def store_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Whole or not at all."""
    temporary = path.with_suffix(".part")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)


def load_arrays(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]] | None:
    """What `store_arrays` wrote under these names; None where it is something else, damaged or not there."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names} if set(arrays.files) == set(names) else None
    except DAMAGED:
        return None
