"""The list of a batch's photos, kept in the user folder: what waits, what is finished, what failed. No bpy here.

    <folder>/<number>/list.json     the list, written whole at each change
    <folder>/<number>/list.lock     held by the Blender that the list belongs to
    <folder>/<number>/0001/ ..      the results, one folder a photo

A Blender that starts takes over the newest list that no other holds: after a crash that is the one it had. What a list says of itself
is checked against the folders: a result that stands is finished, and nothing is ever done twice.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from .standing import lock

LIST, LOCK = "list.json", "list.lock"
RESULT = ("asset.safetensors", "report.json")
"""The files without which a folder holds no result; the backend moves the report there last."""
FURTHER = "photos"
"""Setting of an animal's further photos: each {"photo": path} with or without its "mask"."""
STATES = ("waiting", "running", "finished", "failed")


@dataclass
class Entry:
    """One animal: one photo, or several, the further ones in the settings. out: folder of its result; settings: of the wire's
    `reconstruct`; spot: where in the scene its creature goes; error: in the wire's form, why it failed; tries: how often begun since it
    was added or retried."""

    photo: str
    name: str
    out: str
    settings: dict[str, Any]
    spot: tuple[float, float, float] = (0.0, 0.0, 0.0)
    state: str = "waiting"
    error: dict[str, str] | None = None
    tries: int = 0

    @property
    def sources(self) -> list[dict[str, str]]:
        """All of its photos as `FURTHER` has them, the one first whose pose the creature has."""
        mask = {"mask": self.settings["mask"]} if "mask" in self.settings else {}
        return [{"photo": self.photo, **mask}, *self.settings.get(FURTHER, ())]

    @property
    def result_stands(self) -> bool:
        """Its folder holds a whole result."""
        return all(os.path.isfile(os.path.join(self.out, file)) for file in RESULT)


@dataclass
class BatchList:
    """One list. folder: its own; title: of the collection that its creatures go into; entries: in the row's order; added: how many ever."""

    folder: Path
    stream: IO[bytes]
    title: str = "Batch"
    entries: list[Entry] = field(default_factory=list)
    added: int = 0

    def add(self, photo: Path, settings: dict[str, Any], spot: tuple[float, float, float]) -> Entry:
        """A new entry at the end; `save` follows."""
        self.added += 1
        entry = Entry(str(photo), photo.stem, str(self.folder / f"{self.added:04d}"), settings, spot)
        self.entries.append(entry)
        return entry

    def join(self, entries: list[Entry]) -> Entry:
        """One entry of all their photos in the place of the first, whose settings, spot and name it has; `save` follows.

        Results that they had are of fewer photos and go; masks made by hand are kept. Raises OSError.
        """
        first = entries[0]
        self.added += 1
        folder = self.folder / f"{self.added:04d}"
        photos: dict[str, dict[str, str]] = {}
        for entry in entries:
            for photo in entry.sources:
                photos.setdefault(photo["photo"], keep_mask(photo, folder, len(photos) + 1))
        head, *further = photos.values()
        settings = {key: value for key, value in first.settings.items() if key != "mask"} | {FURTHER: further}
        settings |= {key: value for key, value in head.items() if key == "mask"}
        one = Entry(first.photo, first.name, str(folder), settings, first.spot)
        self.entries.insert(self.entries.index(first), one)
        for entry in entries:
            self.remove(entry)
        return one

    def remove(self, entry: Entry) -> None:
        """Take an entry out, with its result; `save` follows."""
        self.entries.remove(entry)
        shutil.rmtree(entry.out, ignore_errors=True)

    def save(self) -> None:
        """Write the list, whole or not at all. Raises OSError."""
        value = {"title": self.title, "added": self.added, "entries": [asdict(entry) for entry in self.entries]}
        partial = self.folder / f"{LIST}.new"
        partial.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(partial, self.folder / LIST)

    def close(self) -> None:
        """Give the list up; an empty one leaves nothing behind, unless there are results that it lost."""
        self.stream.close()
        lost = any(self.folder.glob(f"*/{RESULT[0]}"))
        if not self.entries and not lost:
            shutil.rmtree(self.folder, ignore_errors=True)


def keep_mask(photo: dict[str, str], folder: Path, number: int) -> dict[str, str]:
    """One of `Entry.sources` with its mask, if it has one, copied into a folder; one that is gone is found anew. Raises OSError."""
    if not os.path.isfile(photo.get("mask", "")):
        return {"photo": photo["photo"]}
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"by-hand-{number}.png"
    shutil.copyfile(photo["mask"], kept)
    return {**photo, "mask": str(kept)}


def without_lost_masks(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings whose further photos, if any, have no masks that are gone: those are found anew."""
    if FURTHER not in settings:
        return settings
    kept = [{key: path for key, path in photo.items() if key == "photo" or os.path.isfile(path)} for photo in settings[FURTHER]]
    return {**settings, FURTHER: kept}


def take_over(folder: Path) -> BatchList:
    """The newest list in `folder` that no Blender holds and that has entries, else a new one. Raises OSError."""
    for place in sorted((path for path in folder.iterdir() if path.is_dir()), reverse=True):
        stream = hold(place)
        if stream is None:
            continue
        found = read(place, stream)
        if found.entries:
            return found
        found.close()
    place = folder / f"{time.time_ns():020d}"
    place.mkdir(parents=True)
    stream = hold(place)
    if stream is None:
        raise OSError(f"{place} can't be held")
    return BatchList(place, stream)


def hold(place: Path) -> IO[bytes] | None:
    """The open and locked file of a list; None where another Blender holds it."""
    with suppress(OSError):
        stream = (place / LOCK).open("ab")
        if lock(stream):
            return stream
        stream.close()
    return None


def read(place: Path, stream: IO[bytes]) -> BatchList:
    """The list that was kept, as far as it can be read, each entry in the state that its folder shows."""
    kept = BatchList(place, stream)
    try:
        value = json.loads((place / LIST).read_text(encoding="utf-8"))
        kept.title, kept.added = str(value["title"]), int(value["added"])
        kept.entries = list(read_entries(value["entries"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return kept
    for entry in kept.entries:
        if entry.result_stands:
            entry.state, entry.error = "finished", None
        elif entry.state in ("running", "finished"):  # it was interrupted, or its result is gone
            entry.state = "waiting"
    return kept


def read_entries(values: list[dict[str, Any]]) -> Iterator[Entry]:
    """Raises TypeError or KeyError for what is no entry."""
    for value in values:
        entry = Entry(**{**value, "spot": tuple(float(number) for number in value["spot"])})
        if entry.state in STATES and isinstance(entry.settings, dict) and len(entry.spot) == 3:
            yield entry
