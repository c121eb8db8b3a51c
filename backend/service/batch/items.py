"""The photos of a batch and their result folders: which are finished, how a result arrives, where a failure is kept.

Enters a folder of photos, and of folders that hold photos of one animal each; leaves in the output folder one folder an animal, as
`reconstruct` writes it. A result arrives whole: it is moved there at once. One that stands already is kept, and what comes later is
dropped. The report says under `batch` what was asked, with the hashes of photos and masks: by that a later run knows what is finished.
A failure leaves `error.json` alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backend.errors import MenagerieError
from backend.methods.request import Quality
from backend.service.result_folder import REPORT, move_all

ERROR = "error.json"
"""In a result's folder: why there is none, in the wire's form, and what was asked."""

SUMMARY, SHEET = "batch.json", "overlays.jpg"
"""Beside the items' folders: see `summary.py`."""

ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif")
"""Of files that are taken for photos, in any case."""


@dataclass(frozen=True)
class Settings:
    """What all items of a batch share: arguments of `service.reconstruct.reconstruct`."""

    method: str = "fauna"
    quality: Quality = "fast"
    seed: int = 0


@dataclass(frozen=True)
class Item:
    """One animal. name: of its creature and its result's folder, unique in the batch; mask: a picture that covers the animal; others: its
    further photos, each with its mask or None."""

    name: str
    photo: Path
    mask: Path | None = None
    others: tuple[tuple[Path, Path | None], ...] = ()


def find_items(folder: Path, masks: Path | None = None) -> list[Item]:
    """The photos of a folder by name, and its folders with photos in them, each of them one animal: the first photo by name has the pose.

    masks: a folder of masks named as the photos are, in folders of the same names; a photo that has none there does without. An item is
    named for its photo, with the ending where several photos have one name, or for its folder. Raises `bad_request` where there is none.
    """
    for place in (folder, masks):
        if place is not None and not place.is_dir():
            raise MenagerieError("bad_request", f"There is no folder {place}.", "Check its path.")
    photos = photos_in(folder)
    # Names that differ by case only are one folder on some systems.
    shared = Counter(path.stem.casefold() for path in photos)
    covers = masks_in(masks)
    found = [Item(path.stem if shared[path.stem.casefold()] == 1 else path.name, path, covers.get(path.stem)) for path in photos]
    for place in sorted((path for path in folder.iterdir() if is_animal(path)), key=lambda path: (path.name.casefold(), path.name)):
        covers = masks_in(None if masks is None else masks / place.name)
        first, *others = [(path, covers.get(path.stem)) for path in photos_in(place)]
        found.append(Item(place.name, *first, tuple(others)))
    if not found:
        raise MenagerieError("bad_request", f"There are no photos in {folder}.", f"Their names end with {', '.join(ENDINGS)}.")
    return [replace(item, name=name) for item, name in zip(found, unique(item.name for item in found), strict=True)]


def photos_in(folder: Path) -> list[Path]:
    """By name, whatever its case."""
    return sorted((path for path in folder.iterdir() if is_photo(path)), key=lambda path: (path.stem.casefold(), path.name))


def masks_in(folder: Path | None) -> dict[str, Path]:
    """By their photos' names; none where there is no folder."""
    return {path.stem: path for path in photos_in(folder)} if folder is not None and folder.is_dir() else {}


def is_animal(folder: Path) -> bool:
    """Whether it is a folder of photos of one animal. Hidden folders are not, nor are results of an earlier batch."""
    hidden = folder.name.startswith(".")
    return not hidden and folder.is_dir() and not any((folder / file).exists() for file in (REPORT, SUMMARY)) and bool(photos_in(folder))


def is_photo(path: Path) -> bool:
    """By its name; hidden files are none."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def unique(names: Iterable[str]) -> list[str]:
    """The names as folders can bear them everywhere, numbered where one still comes twice whatever its case."""
    taken = {SUMMARY, SHEET}
    found = []
    for given in names:
        name = given.rstrip(" .") or "photo"  # Windows drops these from a folder's name
        fresh, number = name, 2
        while fresh.casefold() in taken:
            fresh, number = f"{name} {number}", number + 1
        taken.add(fresh.casefold())
        found.append(fresh)
    return found


def asked_of(item: Item, settings: Settings) -> dict[str, Any]:
    """What decides an item's result, JSON-able. Raises OSError where the photo can't be read."""
    asked = {**hashes_of(item.photo, item.mask), **asdict(settings)}
    return asked | {"others": [hashes_of(*other) for other in item.others]} if item.others else asked


def hashes_of(photo: Path, mask: Path | None) -> dict[str, str | None]:
    """Raises OSError where one can't be read."""
    return {"photo_sha256": hash_of(photo), "mask_sha256": None if mask is None else hash_of(mask)}


def hash_of(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def finished_report(folder: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The report of a result that stands in `folder`, whole and of what is asked; None where there is none."""
    report = read_json(folder / REPORT)
    if report.get("batch") != asked or not all((folder / file).is_file() for file in report.get("files", [REPORT])):
        return None
    return report


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def deliver(made: Path, item: Item, asked: dict[str, Any], folder: Path, again: bool = False) -> dict[str, Any] | None:
    """Move the result in the folder `made`, on the same disk, to `folder`. -> its report; None where a finished one stands there.

    Files that a person keeps in the folder stay; an older result gives way if it is of something else, or `again` says so. Raises OSError.
    """
    report = {**read_json(made / REPORT), "photo": str(item.photo), "out": str(folder), "batch": asked}
    for told, (photo, _) in zip(report.get("others", []), item.others, strict=False):  # a far worker has its own paths
        told["photo"] = str(photo)
    write_json(made / REPORT, report)
    if not folder.exists():
        with suppress(OSError):  # another batch may have been quicker just now
            os.rename(made, folder)
            return report
    if not again and finished_report(folder, asked) is not None:
        return None
    move_all(made, folder)
    (folder / ERROR).unlink(missing_ok=True)
    return report


def keep_failure(error: MenagerieError, item: Item, asked: dict[str, Any], folder: Path) -> None:
    """Write down in the item's folder why it failed. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ERROR, {"photo": str(item.photo), **error.to_wire(), "batch": asked})
