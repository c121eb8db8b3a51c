"""What a batch tells: `batch.json`, kept up to date, and `overlays.jpg`, a contact sheet of what came of each photo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageOps

from backend.errors import MenagerieError
from backend.media.photo import read_photo
from backend.service.batch.items import SHEET, SUMMARY, write_json
from backend.service.result_folder import OVERLAY

if TYPE_CHECKING:
    from backend.service.batch.run import Standing

COLUMNS, CELL, LINE, GAP = 4, 320, 18, 6
"""Of the sheet: pictures a row; pixels of a picture's longer side, of its caption, between cells."""
PAPER, INK, ALARM = (245, 245, 245), (30, 30, 30), (170, 20, 20)
FADED = 0.35
"""How much of a photo's contrast is left where nothing came of it."""


def write_summary(standings: Sequence[Standing], out: Path) -> None:
    """The table as JSON. Raises OSError."""
    states = Counter(standing.state for standing in standings)
    counts = {"photos": len(standings), **{state: states[state] for state in ("done", "failed", "waiting")}}
    write_json(out / SUMMARY, {**counts, "items": [row(standing) for standing in standings]})


def row(standing: Standing) -> dict[str, Any]:
    """One item of the table."""
    told: dict[str, Any] = {"name": standing.item.name, "photo": str(standing.item.photo), "state": standing.state}
    if standing.report is not None:
        told |= {key: standing.report.get(key) for key in ("seconds_total", "scores", "warnings")}
    if standing.error is not None:
        told["error"] = standing.error.to_wire()
    return told


def write_sheet(standings: Sequence[Standing], out: Path) -> None:
    """Every photo's overlay, in order; where there is none, the faded photo and the error's code. Raises OSError."""
    rows = -(-len(standings) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (CELL + GAP) + GAP, rows * (CELL + LINE + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, standing in enumerate(standings):
        left = GAP + number % COLUMNS * (CELL + GAP)
        top = GAP + number // COLUMNS * (CELL + LINE + GAP)
        picture = shown(standing, out)
        if picture is not None:
            sheet.paste(picture, (left + (CELL - picture.width) // 2, top + LINE + (CELL - picture.height) // 2))
        caption = standing.item.name if standing.error is None else f"{standing.item.name}: {standing.error.code}"
        draw.text((left, top + 3), caption, fill=INK if standing.error is None else ALARM)
    partial = out / f".{SHEET}.partial"
    sheet.save(partial, "JPEG", quality=88)
    partial.replace(out / SHEET)


def shown(standing: Standing, out: Path) -> Image.Image | None:
    """An item's picture, within the cell; None where even the photo can't be read."""
    if standing.state == "done":
        with Image.open(out / standing.item.name / OVERLAY) as overlay:
            return ImageOps.contain(overlay.convert("RGB"), (CELL, CELL))
    try:
        photo = Image.fromarray(read_photo(standing.item.photo).rgb)
    except MenagerieError:
        return None
    photo = ImageOps.contain(photo, (CELL, CELL))
    return Image.blend(Image.new("RGB", photo.size, PAPER), photo, FADED)
