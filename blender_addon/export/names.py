"""What bones are called elsewhere: Blender's names enter, an engine's leave. Names only; nothing of Blender enters.

Unity and Unreal: letters, digits and underscores, sides as _L and _R ("thigh.L" -> "thigh_L", "spine.001" -> "spine_001").
Godot: as its own skeleton profiles are written ("thigh.L" -> "LeftThigh", "spine.001" -> "Spine1", "root" -> "Root").
"""

from __future__ import annotations

import re
from collections.abc import Iterable

STYLES = (
    ("BLENDER", "Blender", "The names as they are"),
    ("UNITY", "Unity", "No dots, sides as _L and _R"),
    ("UNREAL", "Unreal", "No dots, sides as _L and _R; the armature adds no bone of its own"),
    ("GODOT", "Godot", "As Godot's skeleton profiles: LeftThigh, Spine1"),
)
"""Enum items."""
SIDES = {"L": "Left", "R": "Right"}


def engine_names(names: Iterable[str], style: str) -> dict[str, str]:
    """Blender's name -> the engine's, each only once: of two that would become the same, the later gets a number."""
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        wanted = free = name if style == "BLENDER" else godot_name(name) if style == "GODOT" else plain_name(name)
        number = 1
        while free in taken:
            number += 1
            free = f"{wanted}_{number}"
        taken.add(free)
        made[name] = free
    return made


def plain_name(name: str) -> str:
    """Letters, digits and underscores; never a digit first."""
    plain = re.sub(r"\W", "_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain


def godot_name(name: str) -> str:
    """Side first, words capitalised, numbers without their noughts."""
    stem, dot, ending = name.rpartition(".")
    side = SIDES.get(ending, "") if dot else ""
    words = re.findall(r"[^\W\d_]+|\d+", stem if side else name)
    return side + "".join(str(int(word)) if word.isdigit() else word[:1].upper() + word[1:] for word in words)
