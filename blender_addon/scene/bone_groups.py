"""Which bone collection a bone belongs to, and the collection's colour: for the quadruped's names of DESIGN 4.

Bones with other names (people, discovered parts) share the collection "other".
"""

from __future__ import annotations

PALETTES: dict[str, str] = {
    "root": "THEME09",
    "torso": "THEME04",
    "neck and head": "THEME03",
    "tail": "THEME02",
    "front leg.L": "THEME01",
    "front leg.R": "THEME06",
    "hind leg.L": "THEME05",
    "hind leg.R": "THEME07",
    "other": "THEME10",
}
"""Collection -> Blender's bone colour palette, in the order of the list."""

STEMS: dict[str, str] = {
    "root": "root",
    "hips": "torso", "spine": "torso", "chest": "torso",
    "neck": "neck and head", "head": "neck and head", "jaw": "neck and head", "ear": "neck and head",
    "tail": "tail",
    "shoulder": "front leg", "front_thigh": "front leg", "front_shin": "front leg", "front_foot": "front leg", "front_toe": "front leg",
    "thigh": "hind leg", "shin": "hind leg", "foot": "hind leg", "toe": "hind leg",
}  # fmt: skip


def group_of(bone: str) -> str:
    """The bone's collection, a key of `PALETTES`."""
    stem, _, ending = bone.partition(".")
    group = STEMS.get(stem, "other")
    return f"{group}.{ending}" if f"{group}.{ending}" in PALETTES else group if group in PALETTES else "other"
