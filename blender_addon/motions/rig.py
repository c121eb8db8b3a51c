"""The rig that a ready motion moves: bones by their names, legs, limits, and where a pose puts them. numpy, no Blender.

Armature space in Blender's frame: +Z up, the animal faces -Y. A pose is a rotation a bone in its rest axes, and the hips' place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..scene.asset_file import Array
from . import legs
from .library import Skeleton

LEGS = {
    "front.L": ("front_thigh.L", "front_shin.L", "front_foot.L", "front_toe.L"),
    "front.R": ("front_thigh.R", "front_shin.R", "front_foot.R", "front_toe.R"),
    "hind.L": ("thigh.L", "shin.L", "foot.L", "toe.L"),
    "hind.R": ("thigh.R", "shin.R", "foot.R", "toe.R"),
}
"""In the order of a motion's contacts."""
HIPS = "hips"
GROUNDED = (*(leg[3] for leg in LEGS.values()), "head", "jaw")
"""Bones whose flesh may come to the ground."""
FLESH = 0.5
"""Share of a vertex' weight from which on it hangs on a bone."""
HINGES = {"front": ((1, 1),), "hind": ((1, -1), (2, 1))}
"""Elbow, knee and hock: (place in the leg, sign of the bend at rest about the lower bone's X). A wrist may give way forward."""
FOLD = {"front": (-0.4, 1.0, -1.0, 0.0), "hind": (0.4, -1.0, 1.0, 0.0)}
"""How a leg's bones turn about X when it folds."""
LEAST_BEND = np.radians(2.0)
"""That a knee, an elbow and a hock keep."""


@dataclass(frozen=True)
class Target:
    """A skeleton at rest. names (b,); parents (b,), -1 where the parent is none of them; rest (b, 4, 4): columns X, Y, Z and head of each
    bone, armature space; lengths (b,); flesh: of bones that touch the ground, places (k, 3) of the skin that hangs on them, where known."""

    names: tuple[str, ...]
    parents: Array
    rest: Array
    lengths: Array
    flesh: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def index(self) -> dict[str, int]:
        """Name -> bone."""
        return {name: number for number, name in enumerate(self.names)}

    def tail(self, name: str) -> Array:
        """(3,) of a bone at rest."""
        bone = self.index[name]
        return np.asarray(self.rest[bone, :3, 3] + self.rest[bone, :3, 1] * self.lengths[bone])

    @cached_property
    def grounds(self) -> Array:
        """(4,) height of each foot's tip at rest: what it stands on."""
        return np.array([self.tail(leg[3])[2] for leg in LEGS.values()])

    @cached_property
    def leg_length(self) -> float:
        """Mean height of the legs' first joints above their tips."""
        return float(np.mean([self.rest[self.index[leg[0]], 2, 3] for leg in LEGS.values()] - self.grounds))


def flesh_on(names: Sequence[str], vertices: Array, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Of the bones of these names that may come to the ground, the vertices (v, 3), armature space, that hang on each; weights: (v,) a
    bone."""
    hung = {name: vertices[weights[name] > FLESH].astype(np.float64) for name in GROUNDED if name in names and name in weights}
    return {name: places for name, places in hung.items() if len(places)}


def source_rig(skeleton: Skeleton) -> Target:
    """A bundled skeleton as a target of its own."""
    y = (skeleton.tails - skeleton.heads).astype(np.float64)
    lengths = np.linalg.norm(y, axis=1)
    y /= lengths[:, None]
    x = np.cross(y, skeleton.z_axes)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rest = np.tile(np.eye(4), (len(y), 1, 1))
    rest[:, :3] = np.stack([x, y, np.cross(x, y), skeleton.heads], -1)
    return Target(skeleton.names, skeleton.parents, rest, lengths)


def missing_bones(names: Sequence[str]) -> list[str]:
    """The bones without which nothing walks, that are not among these."""
    return [name for name in (HIPS, *(bone for leg in LEGS.values() for bone in leg)) if name not in names]


def limits_on(target: Target, skeleton: Skeleton, shared: Sequence[int]) -> Array:
    """(b, 3, 2) the template's limits, those of hinges narrowed so that none bends beyond straight; none for bones it doesn't know."""
    free = np.tile([-np.pi, np.pi], (3, 1))
    limits = np.array([skeleton.limits[bone] if bone > 0 else free for bone in shared], np.float64)
    for name, leg in LEGS.items():
        for joint, sign in HINGES[name[:-2]]:
            bone, above = target.index[leg[joint]], target.index[leg[joint - 1]]
            x, lower, upper = target.rest[bone, :3, 0], target.rest[bone, :3, 1], target.rest[above, :3, 1]
            bend = sign * float(np.arctan2(np.cross(upper, lower) @ x, upper @ lower))
            spare = max(bend - LEAST_BEND, 0.0)
            if sign > 0:
                limits[bone, 0, 0] = max(limits[bone, 0, 0], -spare)
            else:
                limits[bone, 0, 1] = min(limits[bone, 0, 1], spare)
    return limits


def pose(target: Target, local: Array, hips: Array) -> tuple[Array, Array]:
    """Rotations (t, b, 3, 3) in rest axes, hips (t, 3) -> posed rotations (t, b, 3, 3) and heads (t, b, 3), armature space."""
    axes, heads = target.rest[:, :3, :3], target.rest[:, :3, 3]
    turned, places = np.empty_like(local), np.empty((*local.shape[:2], 3))
    for bone, parent in enumerate(target.parents):
        delta = turned[:, parent] @ axes[parent].T if parent >= 0 else np.eye(3)
        turned[:, bone] = delta @ axes[bone] @ local[:, bone]
        places[:, bone] = heads[bone] if parent < 0 else places[:, parent] + delta @ (heads[bone] - heads[parent])
        if target.names[bone] == HIPS:
            places[:, bone] += hips
    return turned, places


def tips_of(target: Target, local: Array, hips: Array) -> Array:
    """(t, 4, 3) tips of the feet."""
    turned, places = pose(target, local, hips)
    toes = [target.index[leg[3]] for leg in LEGS.values()]
    return places[:, toes] + turned[:, toes][..., 1] * target.lengths[toes][:, None]


def leg_of(target: Target, bones: Sequence[int], limits: Array) -> legs.Leg:
    """The four bones of a leg as what reaches."""
    axes, heads = target.rest[:, :3, :3], target.rest[:, :3, 3]
    above = [int(target.parents[bone]) for bone in bones]
    rests = np.stack([axes[parent].T @ axes[bone] for bone, parent in zip(bones, above, strict=True)])
    offsets = np.stack([axes[parent].T @ (heads[bone] - heads[parent]) for bone, parent in zip(bones, above, strict=True)])
    fold = np.array(FOLD["front" if target.names[bones[0]].startswith("front") else "hind"])
    return legs.Leg(rests, offsets, np.array([0.0, target.lengths[bones[3]], 0.0]), limits[list(bones)], fold)
