"""Contact sheets: rows of pictures with a caption each, to be looked at. Pictures are (h, w, 3) uint8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

CELL = 224


def write_sheet(rows: list[tuple[str, list[NDArray[np.uint8]]]], path: Path) -> None:
    """One row a creature: caption above its pictures, each fitted into a square cell."""
    width = CELL * max(len(pictures) for _, pictures in rows)
    sheet = Image.new("RGB", (width, (CELL + 16) * len(rows)), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for r, (caption, pictures) in enumerate(rows):
        top = r * (CELL + 16)
        draw.text((3, top + 2), caption, fill=(0, 0, 0))
        for c, picture in enumerate(pictures):
            image = Image.fromarray(picture)
            image.thumbnail((CELL, CELL))
            sheet.paste(image, (c * CELL + (CELL - image.width) // 2, top + 16 + (CELL - image.height) // 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
