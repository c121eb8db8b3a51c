"""The squares that the animal decoder learns from, made once and stored.

Picture `n` follows from the seed and `n` alone, so a run that was stopped goes on where it stopped, and a longer one begins as a
shorter one did.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import MenagerieError
from backend.types import ByteArray

SIDE = 256
STRIPE = 16
"""Pictures between two notes of how many there are."""
COLOURS, COVERS, DONE = "pictures.npy", "covers.npy", "pictures.json"

Make = Callable[[np.random.Generator], tuple[ByteArray, ByteArray]]


@dataclass(frozen=True)
class Pictures:
    """colours: (N, 256, 256, 3) uint8; covers: (N, 256, 256) uint8, both on disk; data: what they follow from; photographed: of how many
    photographs of animals they are made, beside renders."""

    colours: NDArray[np.uint8]
    covers: NDArray[np.uint8]
    data: str
    photographed: int


def store_pictures(folder: Path, count: int, seed: int, make: Make, photographed: int = 0) -> None:
    """Make pictures up to `count` with `make`, on from what the folder holds. photographed: how many photographs of animals `make` knows.

    Raises bad_request for a folder of another seed or count, or of other photographs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = {"seed": seed, "count": count, "photographed": photographed, "done": 0}
    if (folder / DONE).exists():
        note = json.loads((folder / DONE).read_text("utf-8"))
        if (note["seed"], note["count"]) != (seed, count):
            held = f"{folder} holds {note['count']} pictures of seed {note['seed']}."
            raise MenagerieError("bad_request", held, "Choose another folder.")
        if note.get("photographed", 0) != photographed:
            raise MenagerieError("bad_request", f"{folder} holds pictures of other photographs.", "Choose another folder.")
    mode = "r+" if note["done"] else "w+"
    colours = np.lib.format.open_memmap(folder / COLOURS, mode, np.uint8, (count, SIDE, SIDE, 3))
    covers = np.lib.format.open_memmap(folder / COVERS, mode, np.uint8, (count, SIDE, SIDE))
    for number in range(note["done"], count):
        colours[number], covers[number] = make(np.random.default_rng([seed, number]))
        if (number + 1) % STRIPE == 0 or number + 1 == count:
            note["done"] = number + 1
            partial = folder / f"{DONE}.partial"
            partial.write_text(json.dumps(note), "utf-8")
            partial.replace(folder / DONE)


def read_pictures(folder: Path) -> Pictures:
    """What is there so far. Raises bad_request where nothing is."""
    try:
        note = json.loads((folder / DONE).read_text("utf-8"))
        colours, covers = np.load(folder / COLOURS, mmap_mode="r"), np.load(folder / COVERS, mmap_mode="r")
    except (OSError, ValueError) as fault:
        raise MenagerieError("bad_request", f"{folder} holds no pictures to learn from.") from fault
    done = int(note["done"])
    photographed = int(note.get("photographed", 0))  # absent from folders of earlier versions
    of = f", {photographed} photographs" if photographed else ""
    return Pictures(colours[:done], covers[:done], f"seed {note['seed']}, {note['count']} pictures{of}", photographed)
