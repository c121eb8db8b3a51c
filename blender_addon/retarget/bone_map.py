"""Which bones of the source go with which of the target: pairs of chains, what is wrong with them, and their JSON.

Enters: the parts of both rigs. A pair holds a part's bones of each rig from the trunk outward; counts may differ.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from .parts import ALL_PARTS, Parts
from .rig import Rig

VERSION = 1
MAX_BYTES = 1 << 20


class MapError(ValueError):
    """The map cannot be used. code: for programs; sentence, remedy: for people."""

    def __init__(self, code: str, sentence: str, remedy: str) -> None:
        super().__init__(f"{sentence} {remedy}")
        self.code, self.sentence, self.remedy = code, sentence, remedy


@dataclass(frozen=True)
class Pair:
    """One part in both rigs. part: a name of `parts.ALL_PARTS`, or any other for bones that only share a name."""

    part: str
    source: tuple[str, ...]
    target: tuple[str, ...]


@dataclass(frozen=True)
class BoneMap:
    """pairs; unsure: parts that a guess would not decide, left out of the pairs."""

    pairs: tuple[Pair, ...]
    unsure: tuple[str, ...] = ()

    def pair(self, part: str) -> Pair | None:
        """The pair of that part."""
        return next((pair for pair in self.pairs if pair.part == part), None)


def join(source: Parts, target: Parts, unsure: tuple[str, ...] = ()) -> BoneMap:
    """The parts that both have."""
    order = {part: number for number, part in enumerate(ALL_PARTS)}
    both = sorted(source.keys() & target.keys(), key=lambda part: (order.get(part, len(order)), part))
    return BoneMap(tuple(Pair(part, source[part], target[part]) for part in both), unsure)


def check_map(bone_map: BoneMap, source: Rig, target: Rig) -> None:
    """Raises MapError map_empty, map_bone_missing, map_duplicate_target (naming the bones)."""
    if not any(pair.source and pair.target for pair in bone_map.pairs):
        raise MapError("map_empty", "No bone of the source goes with one of the target.", "Guess the map, or choose bones in the list.")
    for rig, side in ((source, "source"), (target, "target")):
        there = set(rig.names)
        missing = sorted({bone for pair in bone_map.pairs for bone in getattr(pair, side) if bone not in there})
        if missing:
            raise MapError("map_bone_missing", f"The {side} has no bone {listed(missing)}.", "Choose another bone, or guess the map anew.")
    uses = Counter(bone for pair in bone_map.pairs for bone in pair.target)
    twice = sorted(bone for bone, count in uses.items() if count > 1)
    if twice:
        where = sorted({pair.part for pair in bone_map.pairs if set(pair.target) & set(twice)})
        raise MapError(
            "map_duplicate_target",
            f"Two rows of the map move the same bones: {listed(twice)} (rows {listed(where)}).",
            "Leave each of these bones in one row.",
        )


def unmapped(bone_map: BoneMap, target: Rig) -> tuple[str, ...]:
    """The target's bones that no pair moves; they keep their rest pose."""
    moved = {bone for pair in bone_map.pairs if pair.source for bone in pair.target}
    return tuple(name for name in target.names if name not in moved)


def listed(names: list[str] | tuple[str, ...], most: int = 6) -> str:
    """Names for a sentence."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def to_json(bone_map: BoneMap) -> str:
    """The file's text."""
    pairs = [{"part": pair.part, "source": list(pair.source), "target": list(pair.target)} for pair in bone_map.pairs]
    return json.dumps({"menagerie_bone_map": VERSION, "pairs": pairs}, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> BoneMap:
    """The map in a file's text. Raises MapError map_unreadable."""
    try:
        raw: Any = json.loads(text)
        if not isinstance(raw, dict) or raw.get("menagerie_bone_map") != VERSION or not isinstance(raw.get("pairs"), list):
            raise ValueError("no bone map of this version")
        pairs = tuple(Pair(entry["part"], names(entry["source"]), names(entry["target"])) for entry in raw["pairs"])
        if not all(isinstance(pair.part, str) for pair in pairs) or len({pair.part for pair in pairs}) != len(pairs):
            raise ValueError("its parts are no names, or one stands twice")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MapError("map_unreadable", "This file is no bone map.", "Choose a file that Save Map has written.") from error
    return BoneMap(pairs)


def names(value: Any) -> tuple[str, ...]:
    """A list of names. Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("not a list of names")
    return tuple(value)
