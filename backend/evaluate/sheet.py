"""Contact sheets: rows of pictures with a caption each, to be looked at. Pictures are (h, w, 3) uint8, or (h, w) grey."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

CELL, LINE = 224, 16


def write_sheet(rows: list[tuple[str, list[NDArray[np.uint8]]]], path: Path, headings: Sequence[str] = ()) -> None:
    """One row a creature: caption above its pictures, each reduced to fit a square cell. headings: of the columns, on top."""
    reduced = [[Image.fromarray(picture) for picture in pictures] for _, pictures in rows]
    for images in reduced:
        for image in images:
            image.thumbnail((CELL, CELL))
    heights = [max(image.height for image in images) for images in reduced]
    columns = max((len(images) for images in reduced), default=1)
    sheet = Image.new("RGB", (CELL * columns, LINE * (bool(headings) + len(rows)) + sum(heights) or 1), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for c, heading in enumerate(headings):
        draw.text((c * CELL + 3, 2), heading, fill=(120, 0, 0))
    top = LINE * bool(headings)
    for (caption, _), images, height in zip(rows, reduced, heights, strict=True):
        draw.text((3, top + 2), caption, fill=(0, 0, 0))
        for c, image in enumerate(images):
            sheet.paste(image, (c * CELL + (CELL - image.width) // 2, top + LINE + (height - image.height) // 2))
        top += LINE + height
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
