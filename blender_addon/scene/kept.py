"""What a creature needs of its job's folder later on, packed onto its armature: the mask it was made with and the thumbnails of its
viewpoints. Job folders are cleaned up, and .blend files travel to other machines; with this inside nothing of it is lost.

Enters: a job's folder. Leaves: paths of files, in that folder while it stands, else written out again for this session.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import bpy

KEPT = "menagerie_kept"
"""Custom property of a placed armature: name of a file -> its bytes."""
MASK = "mask.png"
"""The mask of the whole photo, as the backend writes it beside every asset."""


def pack(rig: bpy.types.Object, folder: Path, names: Iterable[str]) -> None:
    """Put these files of a job's folder onto the armature, in place of those of an earlier fit; what isn't there is left out."""
    found = {}
    for name in names:
        with suppress(OSError):
            found[name] = (folder / name).read_bytes()
    rig[KEPT] = found


def find(rig: bpy.types.Object | None, folder: Path, name: str) -> Path | None:
    """The file in the job's folder, else a copy of the packed one in Blender's folder for this session; None if there is neither."""
    if (folder / name).is_file():
        return folder / name
    packed = rig.get(KEPT) if rig is not None else None
    data = packed.get(name) if hasattr(packed, "get") else None
    if not isinstance(data, bytes):
        return None
    # Named by what it holds: two creatures' masks never take each other's place.
    path = Path(bpy.app.tempdir or tempfile.gettempdir()) / f"menagerie-{hashlib.sha256(data).hexdigest()[:16]}-{name}"
    if not path.is_file():
        partial = path.with_suffix(".partial")
        try:
            partial.write_bytes(data)
            os.replace(partial, path)
        except OSError:
            return None
    return path
