"""Names of bones and points: the only place where they are taken apart.

A name is BASE[.NUMBER][.SIDE], as in `spine.001`, `ear.L`, `toe.R`; Blender flips `.L` and `.R` when it mirrors a pose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PATTERN = re.compile(r"(?P<base>.+?)(?:\.(?P<number>\d{3}))?(?:\.(?P<side>[LR]))?")
OTHER_SIDE = {"L": "R", "R": "L", "": ""}


@dataclass(frozen=True)
class NameParts:
    """base: without number and side; number: of `.001`, or None; side: "L", "R" or "" on the centre line."""

    base: str
    number: int | None = None
    side: str = ""

    def __str__(self) -> str:
        number = "" if self.number is None else f".{self.number:03d}"
        return self.base + number + (f".{self.side}" if self.side else "")


def parse_name(name: str) -> NameParts:
    """`tail.002` -> base tail, number 2; `foot.L` -> base foot, side L. Raises ValueError on an empty name."""
    match = PATTERN.fullmatch(name)
    if match is None:
        raise ValueError(f"not a bone's name: {name!r}")
    number = match["number"]
    return NameParts(match["base"], None if number is None else int(number), match["side"] or "")


def mirror_name(name: str) -> str:
    """The name on the other side; a centre bone's is its own."""
    parts = parse_name(name)
    return str(NameParts(parts.base, parts.number, OTHER_SIDE[parts.side]))
