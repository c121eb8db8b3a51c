"""Which bone is which: the creature's names (DESIGN 4), the metarig's, and those of the rig that Rigify generates.

Names only; nothing of Blender enters.
"""

from __future__ import annotations

TORSO = ("hips", "spine.001", "spine.002", "spine.003", "chest")
NECK = ("neck.001", "neck.002", "head")
TAIL = ("tail.001", "tail.002", "tail.003", "tail.004")
ADDED = ("jaw", "ear.L", "ear.R", "shoulder.L", "shoulder.R")
"""Bones that Rigify gives one control each."""
SIDES = ("L", "R")
LEGS: dict[str, tuple[str, ...]] = {
    f"{place} leg.{side}": tuple(f"{before}{part}.{side}" for part in ("thigh", "shin", "foot", "toe"))
    for place, before in (("front", "front_"), ("hind", ""))
    for side in SIDES
}
"""Leg, under the name of its bone collection -> its four connected bones from the body outward."""

PIVOT = 2
"""The torso turns at this bone of `TORSO`: behind it Rigify's hips, from it on Rigify's chest. (Rigify's default fails on five.)"""

METARIG: dict[str, str] = {
    **{name: f"spine.{number:03d}" for number, name in enumerate((*TORSO, *NECK), 4)},
    **dict(zip(TAIL, ("spine.003", "spine.002", "spine.001", "spine"), strict=True)),
    **{name: name for leg in LEGS.values() for name in leg},
    **{name: name for name in ADDED},
}
"""The creature's bone -> the metarig's. The root is Rigify's own."""

PARENTS: dict[str, str] = {
    **dict(zip(TORSO[1:], TORSO, strict=False)),
    **dict(zip(NECK, (TORSO[-1], *NECK), strict=False)),
    **dict(zip(TAIL, (TORSO[0], *TAIL), strict=False)),
    **{bone: parent for leg in LEGS.values() for bone, parent in zip(leg[1:], leg, strict=False)},
    **{leg[0]: f"shoulder.{name[-1]}" if name.startswith("front") else TORSO[0] for name, leg in LEGS.items()},
    **{f"shoulder.{side}": TORSO[-1] for side in SIDES},
    **dict.fromkeys(("jaw", "ear.L", "ear.R"), NECK[-1]),
}
"""The creature's bone -> its parent among those that Rigify is given."""

FIRST = (TORSO[0], NECK[0], TAIL[0], *(leg[0] for leg in LEGS.values()))
"""Bones that begin a chain of Rigify's."""
NEEDED = ("root", *TORSO, *NECK, *(name for leg in LEGS.values() for name in leg), "shoulder.L", "shoulder.R")
"""Bones without which there is no quadruped. Tail, jaw and ears may be missing."""

IK_FK = "IK_FK"
"""Rigify's property of a leg: 0 is IK, 1 is FK."""
TWIST = "menagerie_twist"
"""Our property of a leg's upper and lower skeleton bone: radians about its own length that are added in IK."""


def source(bone: str) -> str:
    """The generated bone whose rest and pose the creature's bone has, but for a turn about its own axis and what tweaks add.

    Rigify keeps its spine's stretch on the deforming bones, everywhere else on the original ones.
    """
    if bone == "root":
        return "root"
    return ("DEF-" if bone in TORSO else "ORG-") + METARIG[bone]


def skeleton_bone(bone: str) -> str:
    """The bone added to the generated rig that stands exactly as the creature's."""
    return f"MCH-skeleton-{bone}"


def sided(stem: str, suffix: str) -> str:
    """"thigh.L" with "_fk" -> "thigh_fk.L", as Rigify derives names."""
    base, dot, side = stem.partition(".")
    return f"{base}{suffix}{dot}{side}"


def fk_control(bone: str) -> str:
    """The FK control of a torso, tail or leg bone, or the control of one of `ADDED`; "head" and "neck" are not among them."""
    name = METARIG[bone]
    if bone in TORSO:
        return sided(name, "_fk")
    stem = bone.partition(".")[0].removeprefix("front_")
    return sided(name, "_fk") if stem in ("thigh", "shin", "foot") else name


def tweak(bone: str) -> str:
    """The tweak control at the head of a torso, neck or leg bone. (The head has none, a tail's are named for the bone before.)"""
    name = METARIG[bone]
    return f"tweak_{name}" if bone in (*TORSO, *NECK) else sided(name, "_tweak")


def switch_bone(leg: str) -> str:
    """The control that holds the leg's properties: IK_FK (0 is IK, 1 FK), IK_Stretch, pole_vector, FK_limb_follow."""
    return sided(METARIG[LEGS[leg][0]], "_parent")
