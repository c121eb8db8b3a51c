"""Thumbnails of files for panels, kept until the add-on is disabled; each file is read once."""

from __future__ import annotations

from pathlib import Path

import bpy
import bpy.utils.previews

_KEPT = 64
"""More than are shown at a time: what is dropped is on no screen any more, where Blender would look for it."""

_collection: bpy.utils.previews.ImagePreviewCollection | None = None
_used: list[str] = []
"""Keys of the collection, last used last."""


def icon(path: str, now: bool = False) -> int:
    """The icon number of a picture file, 0 if there is none (yet). now: read it before it is drawn, in a millisecond; else Blender
    reads it beside, and of a job's pictures the next one would come before the last is shown."""
    global _collection
    if _collection is None:
        _collection = bpy.utils.previews.new()
    try:
        stamp = Path(path).stat().st_mtime_ns
    except OSError:
        return 0
    key = f"{path}@{stamp}"
    if key in _used:
        _used.remove(key)
    else:
        if len(_used) >= _KEPT:
            del _collection[_used.pop(0)]
        preview = _collection.load(key, path, "IMAGE")
        if now:
            _ = preview.image_size[0]  # asking for the size reads the file
    _used.append(key)
    return int(_collection[key].icon_id)


def clear() -> None:
    """Free every thumbnail."""
    global _collection
    if _collection is not None:
        bpy.utils.previews.remove(_collection)
        _collection = None
    _used.clear()
