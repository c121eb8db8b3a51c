"""Which bone wears which custom shape, and how large: the flesh around each bone decides, so that rings stand out of it.

Enters: an armature object and its mesh. Leaves: custom shapes of pose bones, sizes in the armature's units. Both sides wear one size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from .. import compat
from ..scene.asset_file import Array
from ..scene.bone_groups import STEMS
from .limbs import MARK, bends_of, legs_of, reach_of
from .shapes import is_ours, wear

FLESH = "menagerie_flesh"
"""Custom property of the armature: bone -> half width, half depth, middle across, middle in depth of the flesh around it (local X
and Z), for controls that are added later."""
OUTSIDE = 1.15
"""A ring's size over the flesh's."""
SHARE = 4
"""Percent of a bone's vertices that may lie past the flesh's size on either side: an ear or a fold isn't it."""
BARE = 0.3
"""Half width of a bone that no vertex follows most, over its length."""
CONTROL_WIDTH = 2.5
"""Pixels of a control's lines; a bone's own shape has one."""
LARGEST, LARGEST_TAIL = 2.5, 0.6
"""A ring's half size over the bone's length at most; a tail's, which may hang in the flesh of the rump."""
KINDS: dict[str, str] = {"root": "ground", "hips": "drum", "toe": "bow", "front_toe": "bow"}
"""Name up to the first dot -> shape; every other bone of ours wears a ring."""
GROUND_SIZE = 0.6
"""The root's ring, over the distance from the tail's base to the withers."""


@dataclass(frozen=True)
class Flesh:
    """What surrounds a bone, across it: half sizes along local X and Z, and where the middle is, in the armature's units."""

    half_x: float
    half_z: float
    mid_x: float
    mid_z: float

    @property
    def largest(self) -> float:
        """The larger half size."""
        return max(self.half_x, self.half_z)


def measure(rig: bpy.types.Object, vertices: Array, skin_bones: Array, skin_weights: Array, names: Sequence[str]) -> None:
    """Writes each bone's flesh down. vertices (v, 3) at rest, armature space; skin_bones, skin_weights (v, 4), indices of `names`."""
    strongest = skin_bones[np.arange(len(skin_bones)), skin_weights.argmax(1)]  # (v,)
    found: dict[str, list[float]] = {}
    for index, name in enumerate(names):
        bone = rig.data.bones[name]
        own = vertices[strongest == index].astype(np.float64) - np.array(bone.head_local)  # (n, 3)
        least, most = 0.1 * bone.length, (LARGEST_TAIL if name.startswith("tail") else LARGEST) * bone.length
        if len(own) < 3:
            found[name] = [BARE * bone.length] * 2 + [0.0, 0.0]
            continue
        axes = np.array(bone.matrix_local.to_3x3())  # columns X, Y, Z
        low, high = np.percentile(own @ axes[:, [0, 2]], [SHARE, 100 - SHARE], axis=0)  # (2,)
        half, middle = np.clip((high - low) / 2, least, most), np.clip((high + low) / 2, -most, most)
        found[name] = [*half.tolist(), *middle.tolist()]
    rig[FLESH] = {name: balanced(found, name) for name in found}


def balanced(found: dict[str, list[float]], name: str) -> list[float]:
    """Both sides alike: the mean of a bone's flesh and its twin's reflection; of a bone in the middle nothing stands aside."""
    own, twin = found[name], found.get(bpy.utils.flip_name(name), found[name])
    return [(a + sign * b) / 2 for a, b, sign in zip(own, twin, (1, 1, -1, 1), strict=True)]


def flesh_of(rig: bpy.types.Object, name: str) -> Flesh:
    """What surrounds a bone."""
    known = rig.get(FLESH)
    if known is not None and name in known:
        return Flesh(*known[name])
    bare = BARE * rig.data.bones[name].length
    return Flesh(bare, bare, 0.0, 0.0)


def dress_bones(rig: bpy.types.Object) -> None:
    """Shapes of the creature's own bones."""
    for bone in rig.pose.bones:
        stem = bone.name.partition(".")[0]
        if stem not in STEMS:
            continue
        kind = KINDS.get(stem, "ring")
        if kind == "ground":
            # Flat on the ground whatever axes the root has.
            wear(bone, kind, (ground_size(rig),) * 3, turned=bone.bone.matrix_local.to_3x3().inverted().to_euler())
        else:
            wrap(rig, bone, kind, bone.name, OUTSIDE, 0.5)


def wrap(
    rig: bpy.types.Object, bone: bpy.types.PoseBone, kind: str, around: str, outside: float, along: float,
    shown_at: bpy.types.PoseBone | None = None,
) -> None:  # fmt: skip
    """A shape around the flesh of the bone `around`, `outside` times as large, `along` of its length from its head."""
    flesh, length = flesh_of(rig, around), rig.data.bones[around].length
    scale = (flesh.half_x * outside, length if kind == "drum" else flesh.largest * outside, flesh.half_z * outside)
    wear(bone, kind, scale, (flesh.mid_x, along * length, flesh.mid_z), shown_at=shown_at)


def ground_size(rig: bpy.types.Object) -> float:
    """Radius of the root's ring."""
    bones = rig.data.bones
    ends = [bones[name].head_local for name in ("hips", "neck.001") if name in bones]
    return GROUND_SIZE * (ends[0] - ends[1]).length if len(ends) == 2 else bones["root"].length


def dress_controls(rig: bpy.types.Object) -> None:
    """Shapes of the control bones, drawn thicker than those of the bones that they move."""
    bones = rig.pose.bones
    for leg in legs_of(rig.data.bones):
        if leg.control not in bones:
            continue
        wide = max(flesh_of(rig, leg.foot).half_x, flesh_of(rig, leg.toe).half_x)
        long = max(bones[leg.control].length, wide)
        wear(bones[leg.control], "sole", (1.6 * wide, 0.8 * long, 1.0), (0.0, -0.35 * long, 0.0))
        wear(bones[leg.roll], "roll", (1.1 * bones[leg.roll].length,) * 3)
        wrap(rig, bones[leg.toe_control], "bow", leg.toe, 1.6, 0.8)
        wear(bones[leg.pole], "ball", (0.4 * bones[leg.pole].length,) * 3)
    for bend in bends_of(rig.data.bones):
        if bend.control in bones:
            last = bend.bones[-1]
            wrap(rig, bones[bend.control], "curl", last, 1.35, 1.0 if bend.control == "tail_bend" else 0.6, bones[last])
    reach = reach_of(rig.data.bones)
    if reach is not None and reach.control in bones:
        flesh = flesh_of(rig, reach.end)
        scale = (flesh.half_x * OUTSIDE, bones[reach.end].length, flesh.half_z * OUTSIDE)
        wear(bones[reach.control], "box", scale, (flesh.mid_x, 0.0, flesh.mid_z))
    for bone in bones:
        if MARK in bone.bone and is_ours(bone.custom_shape):
            compat.set_wire_width(bone, CONTROL_WIDTH)
