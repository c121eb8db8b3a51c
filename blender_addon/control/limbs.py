"""Which bones of DESIGN 4's quadruped get controls, and what the controls are called.

Enters: an armature's bone names. Leaves: its legs and its chains that bend. Names end as Blender's X-mirror wants them (`.L`, `.R`).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

MARK = "menagerie_control"
"""Custom property of the bones that `rig` made and may remove."""
SWITCH = "ik"
"""Custom property of a limb's main control: 0 shows the FK channels, 1 the IK; between them Blender blends."""


@dataclass(frozen=True)
class Leg:
    """One leg. thigh, shin, foot, toe: its bones from the body on, named as in the hind leg; body: the bone that its pole goes with.

    bend: +1 where the middle joint points forward (the knee), -1 where it points backward (the elbow).
    """

    name: str
    thigh: str
    shin: str
    foot: str
    toe: str
    body: str
    bend: int

    @property
    def bones(self) -> tuple[str, str, str, str]:
        """Thigh, shin, foot, toe."""
        return self.thigh, self.shin, self.foot, self.toe

    @property
    def control(self) -> str:
        """Places and turns the whole foot about the toe's tip, and holds the switch."""
        return with_ending(self.foot, "_ik")

    @property
    def roll(self) -> str:
        """Turns the foot about its knuckle while the toe stays: lifts the heel."""
        return with_ending(self.foot, "_roll")

    @property
    def toe_control(self) -> str:
        """Turns the toe while the foot stays."""
        return with_ending(self.toe, "_ik")

    @property
    def pole(self) -> str:
        """Where the knee or elbow points."""
        return with_ending(self.foot, "_pole")

    @property
    def target(self) -> str:
        """The mechanism's foot: where the shin must end, and how the foot is turned."""
        return with_ending(self.foot, "_target")

    @property
    def controls(self) -> tuple[str, str, str, str]:
        """What an artist moves, parents before children."""
        return self.control, self.roll, self.toe_control, self.pole


@dataclass(frozen=True)
class Bend:
    """A chain that follows one control: each bone takes an equal share of its rotation, on top of the bone's own channels."""

    control: str
    bones: tuple[str, ...]


@dataclass(frozen=True)
class Reach:
    """The neck, which follows where the head's control goes. chain: neck bones from the body on; body: what carries the control."""

    control: str
    chain: tuple[str, ...]
    end: str
    body: str


def with_ending(bone: str, ending: str) -> str:
    """`foot.L`, `_ik` -> `foot_ik.L`."""
    stem, dot, side = bone.partition(".")
    return f"{stem}{ending}{dot}{side}"


def leg(kind: str, side: str, body: str, bend: int) -> Leg:
    """The front or hind leg of a side."""
    prefix = "front_" if kind == "front" else ""
    thigh, shin, foot, toe = (f"{prefix}{part}.{side}" for part in ("thigh", "shin", "foot", "toe"))
    return Leg(f"{kind} leg.{side}", thigh, shin, foot, toe, body, bend)


LEGS: tuple[Leg, ...] = (
    leg("front", "L", "chest", -1),
    leg("front", "R", "chest", -1),
    leg("hind", "L", "hips", 1),
    leg("hind", "R", "hips", 1),
)
"""All four. A leg's name is its bone collection's."""

BENDS: tuple[Bend, ...] = (
    Bend("spine_bend", ("spine.001", "spine.002", "spine.003", "chest")),
    Bend("tail_bend", ("tail.001", "tail.002", "tail.003", "tail.004")),
)
"""Chains with one control each."""

REACH = Reach("head_ik", ("neck.001", "neck.002"), "head", "chest")
"""The neck that follows the head."""


def legs_of(bones: Container[str]) -> list[Leg]:
    """The legs that are whole."""
    return [leg for leg in LEGS if leg.body in bones and all(bone in bones for bone in leg.bones)]


def bends_of(bones: Container[str]) -> list[Bend]:
    """The chains that are whole."""
    return [bend for bend in BENDS if all(bone in bones for bone in bend.bones)]


def reach_of(bones: Container[str]) -> Reach | None:
    """The neck, where it is whole."""
    return REACH if all(bone in bones for bone in (REACH.body, *REACH.chain, REACH.end)) else None
