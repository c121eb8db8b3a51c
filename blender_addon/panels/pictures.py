"""Thumbnails of files for panels, kept until the add-on is disabled; each file is read once."""

from __future__ import annotations

from pathlib import Path

import bpy
import bpy.utils.previews

_KEPT = 64

_collection: bpy.utils.previews.ImagePreviewCollection | None = None


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
    if key not in _collection:
        if len(_collection) >= _KEPT:
            _collection.clear()
        preview = _collection.load(key, path, "IMAGE")
        if now:
            _ = preview.image_size[0]  # asking for the size reads the file
    return int(_collection[key].icon_id)


def clear() -> None:
    """Free every thumbnail."""
    global _collection
    if _collection is not None:
        bpy.utils.previews.remove(_collection)
        _collection = None
