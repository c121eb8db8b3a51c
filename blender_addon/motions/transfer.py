"""A ready motion on another animal's proportions: numpy, no Blender.

Enters: a `library.ReadyMotion` and a `Target` (the creature's own rest pose, bones of the same names). Leaves: `Steps`, one cycle of
local rotations at the scene's rate, with the hips' places and how far the animal travels.

Every bone turns away from its own rest pose as the source's does, so an elephant walks upright to a horse's rhythm; heights and sways
go with the length of the legs. The feet that stand in the source then stand in the target: the speed is the one at which they slide
least, legs reach for their spots with soles turned as the source's are, and the hips come down where a leg is too short.
Knees and elbows keep a rest of their bend; every angle stays within the template's limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..link.errors import LinkError
from ..retarget.rotations import from_angles, shortest_turn, to_angles, to_matrices, to_quaternions
from ..scene.asset_file import Array
from . import legs, muzzle, stances, turns
from .library import ReadyMotion
from .rig import LEGS, Target, leg_of, limits_on, missing_bones, pose, source_rig, tips_of

STRIDERS = tuple(bone for leg in LEGS.values() for bone in leg) + ("shoulder.L", "shoulder.R")
STRETCH = 0.985
"""Share of a leg's full length beyond which the hips come down."""
LIFT = 0.04
"""How high above its ground a foot is in the middle of a swing, at least, in leg lengths."""
BOB = 3.0
"""Swings of the hips a cycle, up to about which they rise and fall for their own legs' sake."""
HEEL = 0.0
"""How far under its height at rest a knuckle, or a low hock or wrist, may come, in leg lengths."""
LOW_ANKLE = 0.3
"""Height in leg lengths of a hock or wrist at rest, below which it has the ground close under it."""
HALVINGS = 7
"""Of how far a sole is turned, until its flesh is out of the ground."""
SUNK = 0.008
"""How deep flesh may be in the ground, in leg lengths."""
SOFT = 0.08
"""Share of a cycle over which the hips come down before a leg is too short."""
REMEDY = "Select a creature that Menagerie made, with its bones under their own names."


@dataclass(frozen=True)
class Steps:
    """rotations (t, b, 4) wxyz of the target's bones in their rest axes; hips (t, 3): armature space, from where they rest; contacts
    (t, 4); step: how far the animal travels a frame, toward -Y. Frame t is frame 0 again."""

    rotations: Array
    hips: Array
    contacts: Array
    step: float


def transfer(motion: ReadyMotion, target: Target, frames: int, stride: float = 1.0, hold_feet: bool = True) -> Steps:
    """The motion on `target` in `frames` frames a cycle. stride: factor on the width of the steps. Raises LinkError bones_missing."""
    missing = missing_bones(target.names)
    if missing:
        raise LinkError("bones_missing", f"The armature has no bone named {missing[0]}.", REMEDY)
    source = source_rig(motion.skeleton)
    source_turns = rotations = turns.resampled_turns(motion.rotations, frames)
    source_hips = turns.resampled(motion.hips.astype(np.float64), frames)
    hips = source_hips * (target.leg_length / source.leg_length)
    contacts = stances.resampled_contacts(motion.contacts, frames)
    toes = [source.index[leg[3]] for leg in LEGS.values()]
    posed = pose(source, to_matrices(source_turns), source_hips)[0][:, toes]
    soles = posed @ np.swapaxes(source.rest[toes, :3, :3], -1, -2)  # (t, 4, 3, 3), each toe's turn from rest
    if stride != 1:
        rotations = source_turns.copy()
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
        above = target.grounds + LIFT * target.leg_length * stances.lifted(contacts)
        wanted[..., 2] = np.maximum(wanted[..., 2], above)
        soles = clear_of_ground(target, wanted, without_heels(target, wanted, soles))
        hips = hips - within_reach(target, local, hips, wanted, soles, contacts)[:, None] * (0, 0, 1)
        angles = plant(target, local, hips, angles, limits, wanted, soles)
    angles = nod(target, angles, hips, limits, source, to_matrices(source_turns), source_hips)
    local = from_angles(angles)
    return Steps(to_quaternions(local), hips, contacts, step)


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


def without_heels(target: Target, wanted: Array, soles: Array) -> Array:
    """Turns of the soles (t, 4, 3, 3), those levelled that would press the flesh under a knuckle into the ground.

    wanted (t, 4, 3): places of the tips."""
    toes = [target.index[leg[3]] for leg in LEGS.values()]
    lengths = target.lengths[toes]
    along = np.einsum("tkij,kj->tki", soles, target.rest[toes, :3, 1] * lengths[:, None])  # knuckle to tip
    lowest = target.rest[toes, 2, 3] - HEEL * target.leg_length
    fall = np.maximum(wanted[..., 2] - np.maximum(wanted[..., 2] - along[..., 2], lowest), -lengths)  # from the knuckle to the tip
    level = along.copy()
    flat = np.linalg.norm(along[..., :2], axis=-1, keepdims=True)
    level[..., :2] *= np.sqrt(np.maximum(lengths**2 - fall**2, 0))[..., None] / np.maximum(flat, 1e-9)
    level[..., 2] = fall
    lifted = fall < along[..., 2] - 1e-9
    return np.where(lifted[..., None, None], shortest_turn(along, level) @ soles, soles)


def clear_of_ground(target: Target, wanted: Array, soles: Array) -> Array:
    """Turns of the soles (t, 4, 3, 3), smaller where the toe's own flesh would be in the ground: turned about the vertical alone it stands
    as it does at rest. wanted (t, 4, 3): places of the tips."""
    cleared = soles.copy()
    for number, toe in enumerate(leg[3] for leg in LEGS.values()):
        if toe not in target.flesh:
            continue
        own, flesh = soles[:, number], target.flesh[toe]
        away = flesh - target.tail(toe)
        level = np.minimum(wanted[:, number, 2], target.grounds[number]) + away[:, 2].min() - SUNK * target.leg_length
        heading = np.arctan2(own[:, 1, 0] - own[:, 0, 1], own[:, 0, 0] + own[:, 1, 1])
        flat = np.stack([np.cos(heading / 2), 0 * heading, 0 * heading, np.sin(heading / 2)], -1)[:, None]  # (t, 1, 4)
        turned = to_quaternions(own)[:, None]
        least, most = np.zeros(len(own)), np.ones(len(own))
        share = most
        for _ in range(HALVINGS):
            tried = to_matrices(turns.scaled_about(flat, turned, share[:, None, None]))[:, 0]
            out = wanted[:, number, 2] + (tried @ away.T)[:, 2].min(-1) >= level
            least, most = np.where(out, share, least), np.where(out, most, share)
            share = (least + most) / 2
        cleared[:, number] = to_matrices(turns.scaled_about(flat, turned, least[:, None, None]))[:, 0]
    return cleared


def nod(target: Target, angles: Array, hips: Array, limits: Array, source: Target, turned: Array, place: Array) -> Array:
    """Angles (t, b, 3) with the muzzle over the ground as the source's is in its pose: turned (t, b, 3, 3), place (t, 3) of its hips."""
    if "head" not in target.index:
        return angles
    floor, own_floor = float(source.grounds.min()), float(target.grounds.min())
    theirs = (muzzle.muzzle_heights(source, turned, place) - floor) / source.leg_length
    own = (muzzle.muzzle_heights(target, from_angles(angles), hips) - own_floor) / target.leg_length
    wanted = muzzle.wanted_heights(own, theirs) * target.leg_length + own_floor
    bent = muzzle.bring_down(target, angles, hips, limits, wanted)
    sunk = muzzle.sunk_flesh(target, from_angles(bent), hips)
    return muzzle.bring_down(target, angles, hips, limits, wanted + sunk) if sunk.any() else bent


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
        ankle = float(target.rest[bones[2], 2, 3] - target.grounds[number])
        if ankle < LOW_ANKLE * target.leg_length:
            found = with_ankle_up(leg, at, found, goal, target.grounds[number] + ankle - HEEL * target.leg_length)
        above = legs.stand(leg, at, found)[0][2]
        toe = np.swapaxes(above @ leg.rests[3], -1, -2) @ soles[:, number] @ target.rest[bones[3], :3, :3]
        found[:, 3] = to_angles(toe)
        planted[:, bones] = legs.reach(leg, at, found, tip)
    return planted


def with_ankle_up(leg: legs.Leg, at: tuple[Array, Array], angles: Array, knuckles: Array, lowest: float) -> Array:
    """Angles (t, 4, 3) of one leg with its hock or wrist no lower than `lowest`, the knuckle (t, 3) where it is: a bear stands on its
    heel, and the flesh under it would be in the ground."""
    turned, heads, _ = legs.stand(leg, at, angles)
    along = knuckles - heads[2]
    raised = along.copy()
    length = np.linalg.norm(along, axis=1)
    raised[:, 2] = np.maximum(np.minimum(along[:, 2], knuckles[:, 2] - lowest), -length)
    level = np.linalg.norm(along[:, :2], axis=1)
    raised[:, :2] *= (np.sqrt(np.maximum(length**2 - raised[:, 2] ** 2, 0)) / np.maximum(level, 1e-9))[:, None]
    lifted = legs.reach(leg, at, angles, knuckles - raised, bones=2)
    above = legs.stand(leg, at, lifted)[0][1]
    lifted[:, 2] = to_angles(np.swapaxes(above @ leg.rests[2], -1, -2) @ shortest_turn(along, raised) @ turned[2])
    return np.where((raised[:, 2] < along[:, 2] - 1e-9)[:, None, None], legs.clamped(lifted, leg.limits), angles)
