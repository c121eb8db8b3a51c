"""Photographs of places without animals, to stand behind cut-outs: those of scenes.json, read where they are, never copied.

Enters the .rcc file that holds them, or a folder in which it lies; leave decoded pictures by name. Two lists that share no picture:
`evaluation` and `training`.
"""

from __future__ import annotations

import io
import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image as PillowImage

from backend.data.qt_resources import QtResources
from backend.errors import MenagerieError
from backend.types import ByteArray

Part = Literal["evaluation", "training"]
MAX_PIXELS = 40_000_000


@cache
def listed() -> dict[str, Any]:
    """scenes.json."""
    return dict(json.loads((Path(__file__).parent / "scenes.json").read_text("utf-8")))


def read_scenes(source: Path, part: Part) -> dict[str, ByteArray]:
    """Every listed scene of a part, by name -> (h, w, 3) uint8.

    source: the file that scenes.json names, or a folder that holds it at any depth. Raises bad_request where the file, or a scene in it,
    isn't there or can't be decoded.
    """
    name = listed()["file"]
    path = source
    if source.is_dir():
        path = next(iter(sorted(source.rglob(name))), source / name)
    resources = QtResources(path)
    scenes = {}
    for scene in listed()[part]:
        full = f"{listed()['folder']}/{scene}"
        if full not in resources.names:
            raise MenagerieError("bad_request", f"{path.name} has no scene {scene}.")
        scenes[str(scene)] = decode_picture(resources.read(full), scene)
    return scenes


def decode_picture(data: bytes, name: str) -> ByteArray:
    """WebP, JPEG or PNG bytes -> (h, w, 3) uint8; name: for the sentence. Raises bad_request."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PillowImage.DecompressionBombWarning)
            with PillowImage.open(io.BytesIO(data), formats=["WEBP", "JPEG", "PNG"]) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ValueError("it is too large")
                return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as fault:
        raise MenagerieError("bad_request", f"The scene {name} cannot be decoded: {fault}.") from fault
