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
from ..retarget.body import Body
from ..retarget.feet import hold
from ..retarget.laps import Lap
from ..retarget.legs import clamped
from ..retarget.limbs import limb_of
from ..retarget.parts import match_scheme
from ..retarget.rig import Rig
from ..retarget.rotations import from_angles, to_angles, to_matrices, to_quaternions
from ..retarget.soles import Foot, Ground
from ..scene.asset_file import Array
from . import muzzle, stances, turns
from .library import ReadyMotion
from .rig import HIPS, LEGS, Target, limits_on, missing_bones, pose, source_rig

STRIDERS = tuple(bone for leg in LEGS.values() for bone in leg) + ("shoulder.L", "shoulder.R")
UP, LEFT = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
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
    if stride != 1:
        rotations = source_turns.copy()
        wide = [source.index[bone] for bone in STRIDERS]
        rotations[:, wide] = turns.scaled_about(turns.mean(rotations[:, wide]), rotations[:, wide], stride)
    shared = [source.index[name] if name in source.index else -1 for name in target.names]
    own = np.where((np.array(shared) >= 0)[:, None], rotations[:, shared], [1.0, 0.0, 0.0, 0.0])
    angles = to_angles(to_matrices(own))
    limits = limits_on(target, motion.skeleton, shared)
    step = 0.0
    if hold_feet:
        usual = motion.speed * motion.seconds / frames * target.leg_length / source.leg_length
        toes = [source.index[leg[3]] for leg in LEGS.values()]
        posed = pose(source, to_matrices(source_turns), source_hips)[0][:, toes]
        soles = posed @ np.swapaxes(source.rest[toes, :3, :3], -1, -2)  # (t, 4, 3, 3), each toe's turn from rest
        angles, hips, step = on_its_feet(target, angles, hips, limits, contacts, soles, usual)
    angles = nod(target, clamped(angles, limits), hips, limits, source, to_matrices(source_turns), source_hips)
    return Steps(to_quaternions(from_angles(angles)), hips, contacts, step)


def on_its_feet(
    target: Target, angles: Array, hips: Array, limits: Array, contacts: Array, soles: Array, step: float
) -> tuple[Array, Array, float]:
    """Angles (t, b, 3), hips (t, 3) and the step a frame, about `step`, with which feet stand by the contacts (t, 4), their soles turned
    like that (t, 4, 3, 3)."""
    tails = target.rest[:, :3, 3] + target.rest[:, :3, 1] * target.lengths[:, None]
    rig = Rig(target.names, target.parents, target.rest, tails, UP, limits)
    found = match_scheme(rig)
    assert found is not None  # its legs are there by their names
    body = Body(rig, found[1], len(angles))
    legs = [bone for leg in LEGS.values() for bone in leg]
    held = clamped(angles, limits)
    held[:, [target.index[bone] for bone in legs]] = angles[:, [target.index[bone] for bone in legs]]  # these get a posture for it
    body.pose(from_angles(held))
    feet = []
    for number, (name, leg) in enumerate(LEGS.items()):
        bones = tuple(target.index[bone] for bone in leg)
        limb = limb_of(body, bones, tails[bones[-1]], LEFT, True, False)
        feet.append(Foot(name, limb, soles[:, number], True, True, False))
    body.place = body.rest_heads[target.index[HIPS]] + hips
    body.settle()
    heights = np.tile(target.grounds, (len(angles), 1))
    ground = Ground(UP, np.array([0.0, step, 0.0]), 0.0, contacts, heights, np.zeros(3), True)
    velocity = hold(body, feet, ground, Lap(np.arange(len(angles), dtype=float), float(len(angles))), target.leg_length)
    local = np.stack([body.basis(bone) for bone in range(len(target.names))], 1)
    return to_angles(local), body.place - body.rest_heads[target.index[HIPS]], float(velocity[1])


def nod(target: Target, angles: Array, hips: Array, limits: Array, source: Target, turned: Array, place: Array) -> Array:
    """Angles (t, b, 3) with the muzzle over the ground as the source's is in its pose: turned (t, b, 3, 3), place (t, 3) of its hips."""
    if "head" not in target.index:
        return angles
    floor, own_floor = float(source.grounds.min()), float(target.grounds.min())
    theirs = (muzzle.muzzle_heights(source, turned, place) - floor) / source.leg_length
    own = (muzzle.muzzle_heights(target, from_angles(angles), hips) - own_floor) / target.leg_length
    wanted = muzzle.wanted_heights(own, theirs) * target.leg_length + own_floor
    return muzzle.bring_down(target, angles, hips, limits, wanted)
