"""The template's 42 points in five groups: the one table by which joints are counted and skeletons are coloured.

Names are those of `rig/templates/quadruped.json`, without the side.
"""

from __future__ import annotations

from functools import cache

from backend.rig.names import parse_name
from backend.rig.template import load_quadruped

GROUPS: dict[str, tuple[str, ...]] = {
    "head": ("muzzle", "chin", "jaw_hinge", "poll", "ear_base", "ear_tip"),
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "chest", "withers", "neck_mid"),
    "upper_legs": ("scapula", "shoulder", "elbow", "hip", "knee"),
    "lower_legs": ("wrist", "front_knuckle", "front_tip", "hock", "hind_knuckle", "hind_tip"),
    "tail": ("tail0", "tail1", "tail2", "tail3", "tail4"),
}

COLOURS: dict[str, tuple[int, int, int]] = {
    "head": (255, 90, 90), "trunk": (255, 215, 60), "upper_legs": (90, 220, 110), "lower_legs": (80, 180, 255), "tail": (230, 120, 255),
}  # fmt: skip
"""sRGB of each group's bones in a picture."""


@cache
def groups_by_point() -> dict[str, str]:
    """Every point of `Template.points`, sides and all -> its group."""
    of_base = {base: group for group, bases in GROUPS.items() for base in bases}
    return {point: of_base[parse_name(point).base] for point in load_quadruped().points}
