"""The quadruped template: names of points and bones, their order, hierarchy, limits and mirror twins.

Enters: `templates/quadruped.json`. Leaves: one frozen `Template`. Points stand in the order used everywhere: the
centre points in the file's order, then all `.L`, then all `.R`. Bones stand in the file's order, parents first.
Angles are turned to radians here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.rig.names import mirror_name

Indices = NDArray[np.int64]

QUADRUPED = Path(__file__).parent / "templates" / "quadruped.json"
FREE = ((-np.pi, np.pi),) * 3
"""Limits of a bone for which the template states none."""


@dataclass(frozen=True)
class BoneTemplate:
    """One bone. head, tail: names of points (`origin` and None for the root); parent: bone index, -1 for the root;
    limits: ((low, high) radians about local X, Y, Z); hinge: bends about X above all; rigify: its name there."""

    name: str
    parent: int
    head: str
    tail: str | None
    connected: bool
    deform: bool
    group: str
    limits: tuple[tuple[float, float], ...]
    hinge: bool
    rigify: str | None


@dataclass(frozen=True)
class Leg:
    """Four connected bones. bones: their indices, from the trunk; points: the five joints from the trunk to the tip;
    girdle: index of the shoulder bone above a front leg, None behind; side: "L" or "R"; front: a front leg."""

    name: str
    bones: tuple[int, ...]
    points: tuple[int, ...]
    girdle: int | None
    side: str
    front: bool


@dataclass(frozen=True, eq=False)
class Template:
    """points: 42 names; bones: parents first; parents (b,); head_points, tail_points (b,): point indices, -1 at the
    root; point_bones (42,): the bone that carries each point; mirror_points (42,), mirror_bones (b,): twins;
    limits (b, 3, 2) radians; levels: bone indices by depth, the root's first; groups: bone collection -> colour."""

    name: str
    points: tuple[str, ...]
    centre_points: tuple[str, ...]
    paired_points: tuple[str, ...]
    bones: tuple[BoneTemplate, ...]
    bone_names: tuple[str, ...]
    point_index: dict[str, int]
    bone_index: dict[str, int]
    parents: Indices
    head_points: Indices
    tail_points: Indices
    point_bones: Indices
    mirror_points: Indices
    mirror_bones: Indices
    limits: NDArray[np.float64]
    levels: tuple[Indices, ...]
    groups: dict[str, str]
    legs: tuple[Leg, ...]

    @property
    def left_points(self) -> slice:
        """Where the paired points' left halves stand."""
        return slice(len(self.centre_points), len(self.centre_points) + len(self.paired_points))

    @property
    def right_points(self) -> slice:
        """Where the paired points' right halves stand."""
        return slice(len(self.centre_points) + len(self.paired_points), len(self.points))


@cache
def load_quadruped() -> Template:
    """The one template of quadrupeds, read once a process."""
    raw = json.loads(QUADRUPED.read_text(encoding="utf-8"))
    centre, paired = tuple(raw["centre_points"]), tuple(raw["paired_points"])
    points = centre + tuple(f"{name}.L" for name in paired) + tuple(f"{name}.R" for name in paired)
    point_index = {name: i for i, name in enumerate(points)}
    names = tuple(bone["name"] for bone in raw["bones"])
    bone_index = {name: i for i, name in enumerate(names)}
    bones = tuple(
        BoneTemplate(
            name=bone["name"],
            parent=-1 if bone["parent"] is None else bone_index[bone["parent"]],
            head=bone["head"],
            tail=bone["tail"],
            connected=bone["connected"],
            deform=bone["deform"],
            group=bone["group"],
            limits=FREE if bone["limits"] is None else tuple((float(np.radians(a)), float(np.radians(b))) for a, b in bone["limits"]),
            hinge=bone["hinge"],
            rigify=bone["rigify"],
        )
        for bone in raw["bones"]
    )
    parents = np.array([bone.parent for bone in bones], np.int64)
    heads = np.array([point_index.get(bone.head, -1) for bone in bones], np.int64)
    tails = np.array([point_index.get(str(bone.tail), -1) for bone in bones], np.int64)
    # A joint rides on the bone that ends there: a parent and its connected child agree about it, but a
    # child's own turn must not be asked. Where no bone ends, the bone that begins there turns about it.
    carriers = {int(point): bone for bone, point in reversed(list(enumerate(heads)))}
    carriers |= {int(point): bone for bone, point in enumerate(tails)}
    return Template(
        name=raw["name"],
        points=points,
        centre_points=centre,
        paired_points=paired,
        bones=bones,
        bone_names=names,
        point_index=point_index,
        bone_index=bone_index,
        parents=parents,
        head_points=heads,
        tail_points=tails,
        point_bones=np.array([carriers[i] for i in range(len(points))], np.int64),
        mirror_points=np.array([point_index[mirror_name(name)] for name in points], np.int64),
        mirror_bones=np.array([bone_index[mirror_name(name)] for name in names], np.int64),
        limits=np.array([bone.limits for bone in bones]),
        levels=levels_of(parents),
        groups=dict(raw["groups"]),
        legs=tuple(_leg(bones, bone_index, point_index, front, side) for front in (True, False) for side in "LR"),
    )


def levels_of(parents: NDArray[np.integer]) -> tuple[Indices, ...]:
    """Bone indices grouped by depth: each level's parents stand in the level before."""
    depth = np.zeros(len(parents), np.int64)
    for bone, parent in enumerate(parents):
        if parent >= bone:
            raise ValueError(f"bone {bone} stands before its parent {parent}")
        depth[bone] = 0 if parent < 0 else depth[parent] + 1
    return tuple(np.flatnonzero(depth == level) for level in range(int(depth.max()) + 1))


def _leg(bones: tuple[BoneTemplate, ...], bone_index: dict[str, int], point_index: dict[str, int], front: bool, side: str) -> Leg:
    bases = ("front_thigh", "front_shin", "front_foot", "front_toe") if front else ("thigh", "shin", "foot", "toe")
    indices = tuple(bone_index[f"{base}.{side}"] for base in bases)
    joints = [bones[indices[0]].head, *(str(bones[i].tail) for i in indices)]
    return Leg(
        name=("front" if front else "hind") + f".{side}",
        bones=indices,
        points=tuple(point_index[name] for name in joints),
        girdle=bone_index[f"shoulder.{side}"] if front else None,
        side=side,
        front=front,
    )
