"""The parts of a body that rigs have in common, and the naming schemes that say which bones they are.

Enters: a rig's bone names. Leaves: part -> its bones, from the trunk outward. The parts are called as our own quadruped's bones
are; a person's arm is a front leg. Schemes are `presets/*.json`: a new one is a new file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .rig import Rig
from .rotations import Array

Parts = dict[str, tuple[str, ...]]
"""Part -> bones from the trunk outward."""

PRESETS = Path(__file__).parent / "presets"
SIDES = ("L", "R")
FRONT_LEG = ("front_thigh", "front_shin", "front_foot", "front_toe")
HIND_LEG = ("thigh", "shin", "foot", "toe")
CENTRE_PARTS = ("root", "hips", "spine", "neck", "head", "jaw", "tail")
SIDE_PARTS = ("ear", "shoulder", *FRONT_LEG, "haunch", *HIND_LEG)
ALL_PARTS = (*CENTRE_PARTS, *(f"{part}.{side}" for side in SIDES for part in SIDE_PARTS))
"""root: what carries the whole; spine: all of the trunk before the hips; shoulder, haunch: what carries a leg."""

HOLDERS = {
    "hips": ("root",), "spine": ("hips", "root"), "neck": ("spine", "hips", "root"), "head": ("neck", "spine", "hips"), "jaw": ("head",),
    "tail": ("hips", "spine", "root"), "ear": ("head",), "shoulder": ("spine", "hips", "root"),
    "front_thigh": ("shoulder", "spine", "hips"), "front_shin": ("front_thigh",), "front_foot": ("front_shin",),
    "front_toe": ("front_foot",), "haunch": ("hips", "root"), "thigh": ("haunch", "hips", "root"),
    "shin": ("thigh",), "foot": ("shin",), "toe": ("foot",),
}  # fmt: skip
"""What a part hangs on in a body, the nearest first: also in rigs whose legs have no parent at all."""
FOLLOWERS = {
    "hips": ("spine", "neck", "head"), "spine": ("neck", "head"), "neck": ("head",), "shoulder": FRONT_LEG, "front_thigh": FRONT_LEG[1:],
    "front_shin": FRONT_LEG[2:], "front_foot": FRONT_LEG[3:], "haunch": HIND_LEG, "thigh": HIND_LEG[1:], "shin": HIND_LEG[2:],
    "foot": HIND_LEG[3:],
}  # fmt: skip
"""The part whose first joint ends this one: the first of these that both rigs have."""

LEAST_SHARE = 0.6
"""Of a scheme's bones that a rig must have to be called by it."""


@dataclass(frozen=True)
class Scheme:
    """A naming scheme. prefixes: patterns that may stand before every name, one at a time; parts: as in `Parts`, names with `|` between
    them meaning any of these; tips: the tails of chain ends are joints (the toe's tip, the nose); person: stands upright;
    limits: bone base -> three (low, high) in degrees."""

    name: str
    prefixes: tuple[str, ...]
    parts: Parts
    tips: bool
    person: bool
    limits: dict[str, list[list[float]]]


@cache
def schemes() -> tuple[Scheme, ...]:
    """All of `presets/*.json`, by file name."""
    return tuple(read_scheme(path) for path in sorted(PRESETS.glob("*.json")))


def read_scheme(path: Path) -> Scheme:
    """One file; a part `NAME.*` stands for both sides, `{side}` in its bones' names for the file's two words for them."""
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    left, right = raw.get("sides", ["L", "R"])
    parts: Parts = {}
    for part, bones in raw["parts"].items():
        for side, word in zip(SIDES, (left, right), strict=True) if part.endswith(".*") else (("", ""),):
            parts[part.replace("*", side)] = tuple(bone.replace("{side}", word) for bone in bones)
    return Scheme(
        raw["name"], tuple(raw.get("prefixes", [""])), parts, bool(raw.get("tips")), bool(raw.get("person")), raw.get("limits", {})
    )


def split(part: str) -> tuple[str, str]:
    """`thigh.L` -> ("thigh", ".L"); a centre part has no side."""
    stem, dot, side = part.partition(".")
    return (stem, dot + side) if side in SIDES else (part, "")


def holder_of(part: str, present: object) -> str | None:
    """The part of `present` (anything with `in`) that this one hangs on."""
    stem, side = split(part)
    names = (name if name in CENTRE_PARTS else name + side for name in HOLDERS.get(stem, ()))
    return next((name for name in names if name in present), None)  # type: ignore[operator]


def follower_of(part: str, present: object) -> str | None:
    """The part of `present` whose first joint ends this one."""
    stem, side = split(part)
    names = (name if name in CENTRE_PARTS else name + side for name in FOLLOWERS.get(stem, ()))
    return next((name for name in names if name in present), None)  # type: ignore[operator]


def match_scheme(rig: Rig) -> tuple[Scheme, Parts] | None:
    """The scheme that names most of the rig's bones, and its parts with the rig's own names; None where none fits."""
    best: tuple[float, Scheme, Parts] | None = None
    for scheme in schemes():
        parts, share = find_parts(scheme, rig.names)
        if share >= LEAST_SHARE and (best is None or share > best[0]):
            best = (share, scheme, parts)
    return None if best is None else best[1:]


def find_parts(scheme: Scheme, names: tuple[str, ...]) -> tuple[Parts, float]:
    """The scheme's parts among these names, and the share of its parts that are there, under the prefix that fits best."""
    best: tuple[float, Parts] = (-1.0, {})
    for prefix in scheme.prefixes:
        start = re.compile(prefix)
        bare = {name[match.end() :]: name for name in reversed(names) if (match := start.match(name)) is not None}
        found: Parts = {}
        for part, bones in scheme.parts.items():
            there = [next((bare[word] for word in bone.split("|") if word in bare), None) for bone in bones]
            if there[0] is not None or any(there[1:]):
                found[part] = tuple(dict.fromkeys(name for name in there if name is not None))
        share = len(found) / len(scheme.parts)
        if share > best[0]:
            best = (share, found)
    return best[1], best[0]


def limits_of(names: tuple[str, ...]) -> Array | None:
    """(b, 3, 2) radians for the names of a scheme that states limits, infinite for the others; None where no scheme does."""
    limits = np.full((len(names), 3, 2), np.inf) * [-1, 1]
    for scheme in schemes():
        if scheme.limits and find_parts(scheme, names)[1] >= LEAST_SHARE:
            for bone, name in enumerate(names):
                base = name.removesuffix(".L").removesuffix(".R")
                if base in scheme.limits:
                    limits[bone] = np.radians(scheme.limits[base])
            return limits
    return None
