"""A ready motion on another animal's proportions: numpy, no Blender.

Enters: a `library.ReadyMotion` and a `Target` (the creature's own rest pose, bones of the same names). Leaves: `Steps`, one cycle of
local rotations at the scene's rate, with the hips' places and how far the animal travels.

Every bone turns away from its own rest pose as the source's does, so an elephant walks upright to a horse's rhythm; heights and sways
go with the length of the legs. The feet that stand in the source then stand in the target: the speed is the one at which they slide
least, legs reach for their spots with soles turned as the source's are, and the hips come down where a leg is too short.
Knees and elbows keep a rest of their bend; every angle stays within the template's limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..link.errors import LinkError
from ..retarget.rotations import from_angles, to_angles, to_matrices, to_quaternions
from ..scene.asset_file import Array
from . import legs, stances, turns
from .library import ReadyMotion, Skeleton

LEGS = {
    "front.L": ("front_thigh.L", "front_shin.L", "front_foot.L", "front_toe.L"),
    "front.R": ("front_thigh.R", "front_shin.R", "front_foot.R", "front_toe.R"),
    "hind.L": ("thigh.L", "shin.L", "foot.L", "toe.L"),
    "hind.R": ("thigh.R", "shin.R", "foot.R", "toe.R"),
}
"""In the order of a motion's contacts."""
STRIDERS = tuple(bone for leg in LEGS.values() for bone in leg) + ("shoulder.L", "shoulder.R")
HIPS = "hips"
HINGES = {"front": ((1, 1),), "hind": ((1, -1), (2, 1))}
"""Elbow, knee and hock: (place in the leg, sign of the bend at rest about the lower bone's X). A wrist may give way forward."""
FOLD = {"front": (-0.4, 1.0, -1.0, 0.0), "hind": (0.4, -1.0, 1.0, 0.0)}
"""How a leg's bones turn about X when it folds."""
LEAST_BEND = np.radians(2.0)
"""That a knee, an elbow and a hock keep."""
STRETCH = 0.985
"""Share of a leg's full length beyond which the hips come down."""
LIFT = 0.006
"""How high a foot in the air stays above its ground, in leg lengths."""
BOB = 3.0
"""Swings of the hips a cycle, up to about which they rise and fall for their own legs' sake."""
SOFT = 0.08
"""Share of a cycle over which the hips come down before a leg is too short."""
REMEDY = "Select a creature that Menagerie made, with its bones under their own names."


@dataclass(frozen=True)
class Target:
    """A skeleton at rest. names (b,); parents (b,), -1 where the parent is none of them; rest (b, 4, 4): columns X, Y, Z and head of each
    bone, armature space; lengths (b,)."""

    names: tuple[str, ...]
    parents: Array
    rest: Array
    lengths: Array

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


@dataclass(frozen=True)
class Steps:
    """rotations (t, b, 4) wxyz of the target's bones in their rest axes; hips (t, 3): armature space, from where they rest; contacts
    (t, 4); step: how far the animal travels a frame, toward -Y. Frame t is frame 0 again."""

    rotations: Array
    hips: Array
    contacts: Array
    step: float


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


def transfer(motion: ReadyMotion, target: Target, frames: int, stride: float = 1.0, hold_feet: bool = True) -> Steps:
    """The motion on `target` in `frames` frames a cycle. stride: factor on the width of the steps. Raises LinkError bones_missing."""
    missing = missing_bones(target.names)
    if missing:
        raise LinkError("bones_missing", f"The armature has no bone named {missing[0]}.", REMEDY)
    source = source_rig(motion.skeleton)
    rotations = turns.resampled_turns(motion.rotations, frames)
    hips = turns.resampled(motion.hips.astype(np.float64), frames) * (target.leg_length / source.leg_length)
    contacts = stances.resampled_contacts(motion.contacts, frames)
    toes = [source.index[leg[3]] for leg in LEGS.values()]
    soles = pose(source, to_matrices(rotations), hips)[0][:, toes] @ np.swapaxes(source.rest[toes, :3, :3], -1, -2)  # (t, 4, 3, 3)
    if stride != 1:
        wide = [source.index[bone] for bone in STRIDERS]
        rotations[:, wide] = turns.scaled_about(turns.mean(rotations[:, wide]), rotations[:, wide], stride)
    shared = [source.index[name] if name in source.index else -1 for name in target.names]
    own = np.where((np.array(shared) >= 0)[:, None], rotations[:, shared], [1.0, 0.0, 0.0, 0.0])
    angles = to_angles(to_matrices(own))
    limits = limits_on(target, motion.skeleton, shared)
    angles = legs.clamped(angles, limits)
    local = from_angles(angles)
    step = 0.0
    if hold_feet:
        hips = on_ground(target, local, hips, contacts)
        tips = tips_of(target, local, hips)
        step = stances.forward_step(tips, contacts) if motion.speed > 0 else 0.0
        wanted = tips + stances.shifts(tips, contacts, step, target.grounds)
        above = target.grounds + np.where(contacts, 0.0, LIFT * target.leg_length)
        wanted[..., 2] = np.maximum(wanted[..., 2], above)
        hips = hips - within_reach(target, local, hips, wanted, soles, contacts)[:, None] * (0, 0, 1)
        angles = plant(target, local, hips, angles, limits, wanted, soles)
        local = from_angles(angles)
    return Steps(to_quaternions(local), hips, contacts, step)


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


def on_ground(target: Target, local: Array, hips: Array, contacts: Array) -> Array:
    """Hips (t, 3) higher or lower, smoothly over the cycle, so that the feet that stand are on the ground on the mean.

    These legs are not the source's: bent alike they reach differently far down at each end of a stance, and a knee that had to make
    up for it, near straight as it is, would bend far more than the source's.
    """
    above = tips_of(target, local, hips)[..., 2] - target.grounds  # (t, 4)
    if not contacts.any():
        return hips - (0, 0, float(above.min(1).mean()))
    standing = contacts.sum(1)
    mean = float(above[contacts].mean())
    lack = np.where(standing > 0, (above * contacts).sum(1) - mean * standing, 0)
    share = np.array([lack, standing])
    smooth = np.fft.irfft(np.fft.rfft(share) * np.exp(-0.5 * (np.arange(share.shape[1] // 2 + 1) / BOB) ** 2), share.shape[1])
    return hips - (mean + smooth[0] / np.maximum(smooth[1], 0.5))[:, None] * (0, 0, 1)


def knuckles_for(target: Target, wanted: Array, soles: Array) -> Array:
    """(t, 4, 3) where the toes' heads are when the tips (t, 4, 3) are in place and the soles (t, 4, 3, 3) are turned like that."""
    toes = [target.index[leg[3]] for leg in LEGS.values()]
    along = target.rest[toes, :3, 1] * target.lengths[toes][:, None]
    return wanted - np.einsum("tkij,kj->tki", soles, along)


def within_reach(target: Target, local: Array, hips: Array, wanted: Array, soles: Array, contacts: Array) -> Array:
    """(t,) how far the hips come down so that every leg that stands reaches its spot; smooth over the cycle."""
    _, places = pose(target, local, hips)
    goals = knuckles_for(target, wanted, soles)
    need = np.zeros(len(local))
    for number, leg in enumerate(LEGS.values()):
        bones = [target.index[name] for name in leg]
        away = places[:, bones[0]] - goals[:, number]
        length = STRETCH * float(target.lengths[bones[:3]].sum())
        level = np.hypot(away[:, 0], away[:, 1])
        lack = away[:, 2] - np.sqrt(np.maximum(length**2 - level**2, 0))
        need = np.maximum(need, np.where(contacts[:, number], lack, 0))
    width = max(int(SOFT * len(need)), 1)
    around = np.stack([np.roll(need, shift) for shift in range(-width, width + 1)])
    weights = np.hanning(2 * width + 3)[1:-1]
    highest = around.max(0)
    return np.einsum("s,st->t", weights / weights.sum(), np.stack([np.roll(highest, shift) for shift in range(-width, width + 1)]))


def plant(target: Target, local: Array, hips: Array, angles: Array, limits: Array, wanted: Array, soles: Array) -> Array:
    """Angles (t, b, 3) with every tip at its place (t, 4, 3), soles turned as given as far as the limits let them."""
    turned, places = pose(target, local, hips)
    goals = knuckles_for(target, wanted, soles)
    planted = angles.copy()
    for number, names in enumerate(LEGS.values()):
        bones = [target.index[name] for name in names]
        base = int(target.parents[bones[0]])
        leg = leg_of(target, bones, limits)
        at = turned[:, base], places[:, base]
        away = goals[:, number] - places[:, bones[0]]
        longest = STRETCH * float(target.lengths[bones[:3]].sum())
        short = away * np.maximum(1 - longest / np.linalg.norm(away, axis=1, keepdims=True), 0)  # what no leg in the air can do
        goal, tip = goals[:, number] - short, wanted[:, number] - short
        found = legs.reach(leg, at, angles[:, bones], goal, bones=3)
        above = legs.stand(leg, at, found)[0][2]
        toe = np.swapaxes(above @ leg.rests[3], -1, -2) @ soles[:, number] @ target.rest[bones[3], :3, :3]
        found[:, 3] = to_angles(toe)
        planted[:, bones] = legs.reach(leg, at, found, tip)
    return planted


def leg_of(target: Target, bones: Sequence[int], limits: Array) -> legs.Leg:
    """The four bones of a leg as what reaches."""
    axes, heads = target.rest[:, :3, :3], target.rest[:, :3, 3]
    above = [int(target.parents[bone]) for bone in bones]
    rests = np.stack([axes[parent].T @ axes[bone] for bone, parent in zip(bones, above, strict=True)])
    offsets = np.stack([axes[parent].T @ (heads[bone] - heads[parent]) for bone, parent in zip(bones, above, strict=True)])
    fold = np.array(FOLD["front" if target.names[bones[0]].startswith("front") else "hind"])
    return legs.Leg(rests, offsets, np.array([0.0, target.lengths[bones[3]], 0.0]), limits[list(bones)], fold)
