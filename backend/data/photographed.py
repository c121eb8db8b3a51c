"""Photographs of animals to learn masks from: those of photographed.json, read where they are, never copied.

Enters the folder that holds gcompris's .rcc files; leave pictures, each with the clicks that say where its animals are. What cuts them out
by these lies above (`training.mask.cutouts`); here are the cut-outs, as squares are made of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from backend.data.backgrounds import SQUEEZE, find_resources, read_listed
from backend.data.composites import cut
from backend.types import ByteArray, FloatArray

LONGEST = 1024
"""Pixels to which a photograph is reduced."""
RIM_SHARE = 0.02
"""Of a photograph's rim: an animal that covers more of it goes on outside, and can't stand elsewhere."""

Clicks = tuple[tuple[float, float, bool], ...]


@dataclass(frozen=True)
class Photograph:
    """rgb (h, w, 3); animals: for each of them clicks, as shares of width and height, on it or (False) beside it; all: no other is seen."""

    name: str
    rgb: ByteArray
    animals: tuple[Clicks, ...]
    all: bool


@dataclass(frozen=True)
class Photographed:
    """rgb (h, w, 3), alpha (h, w) uint8: all animals that were clicked on; all: no other is seen."""

    rgb: ByteArray
    alpha: ByteArray
    all: bool

    @cached_property
    def complete(self) -> bool:
        """Whether the animals end within the photograph."""
        inside = self.alpha > 127
        rim = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        return bool(rim.mean() < RIM_SHARE)

    @cached_property
    def cutout(self) -> tuple[ByteArray, ByteArray]:
        """`cut` of it."""
        return cut(self.rgb, self.alpha)


@cache
def named() -> dict[str, Any]:
    """photographed.json."""
    return dict(json.loads((Path(__file__).parent / "photographed.json").read_text("utf-8")))


def name_authors() -> str:
    """Those who are to be named, with their licences: "A, B (CC-BY-SA-4.0), C (CC-BY-2.0)"."""
    by_licence: dict[str, list[str]] = {}
    for pictures in named()["photographs"].values():
        for facts in pictures.values():
            authors = by_licence.setdefault(facts["licence"], [])
            if facts["licence"].startswith("CC-BY") and facts["author"] not in authors:
                authors.append(facts["author"])
    return ", ".join(f"{', '.join(authors)} ({licence})" for licence, authors in by_licence.items() if authors)


def read_photographs(source: Path) -> list[Photograph]:
    """Every listed photograph. source: a folder that holds the .rcc files at any depth. Raises bad_request where one isn't there."""
    photographs = []
    for file, pictures in named()["photographs"].items():
        resources = find_resources(source, file)
        for name, facts in pictures.items():
            # A picture lies there in several sizes, in folders of their own.
            picture = PillowImage.fromarray(read_listed(resources, f"{facts['path']}/{name}.webp"))
            picture.thumbnail((LONGEST, LONGEST), PillowImage.Resampling.LANCZOS)
            animals = tuple(tuple((float(x), float(y), bool(on)) for x, y, on in clicks) for clicks in facts["animals"])
            photographs.append(Photograph(name, np.asarray(picture), animals, bool(facts["all"])))
    return photographs


def crop(photographed: Photographed, share: float, side: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Part of a photograph as it is, made square: colours (side, side, 3) of 0..255 and cover (side, side).

    share: of the part's sides that the animals' box takes, as far as the photograph reaches.
    """
    inside = photographed.alpha > 127
    size = np.array(inside.shape[::-1])  # width, height
    first = np.array([np.flatnonzero(inside.any(axis))[0] for axis in (0, 1)])
    last = np.array([np.flatnonzero(inside.any(axis))[-1] + 1 for axis in (0, 1)])
    longest = float((last - first).max()) / share
    ratio = np.exp(rng.uniform(-SQUEEZE, SQUEEZE) / 2)
    part = np.minimum(np.array([longest * ratio, longest / ratio]), size)
    # Where it can, the part holds all of the animals; else it lies within their box.
    low, high = np.minimum(first, last - part), np.maximum(first, last - part)
    corner = np.clip(rng.uniform(low, high), 0, size - part)
    box = (*corner, *(corner + part))
    # One by one: of both together, Pillow would darken the colours where the cover is none.
    parts = [
        PillowImage.fromarray(layer).resize((side, side), PillowImage.Resampling.BICUBIC, box=box, reducing_gap=3)
        for layer in (photographed.rgb, photographed.alpha)
    ]
    if rng.random() < 0.5:
        parts = [part.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT) for part in parts]
    colours, cover = (np.asarray(part, np.float32) for part in parts)
    return colours, cover / np.float32(255)
