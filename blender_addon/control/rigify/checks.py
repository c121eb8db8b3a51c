"""What would make Rigify fail, or the control rig useless, is said before anything is made: a creature enters, a named error leaves.

What can be mended without asking isn't an error: a tail of one bone, a missing tail, jaw or ears, bones not marked as connected though
they touch.
"""

from __future__ import annotations

import math

import bpy

from ... import compat
from ...link.errors import LinkError
from ...scene.creature import control_rig_of
from . import metarig, names

LEAST_BEND = math.radians(1.0)
"""A knee, elbow or hock straighter than this has no plane to bend in; Rigify gives up at 0. (The rest pose has 3 degrees at least.)"""
SHORTEST = 1e-4
"""Of the body's length (pelvis to withers): shorter bones have no direction in Rigify's arithmetic."""
SOLVERS = ("IK", "SPLINE_IK")
UPDATE = "Update the creature, or put the bone right in Edit Mode."


def check_creature(rig: bpy.types.Object) -> None:
    """Raises LinkError: rigify_unsafe, bad_request, rig_linked, control_rig_exists, rig_has_ik, rig_bones_missing, rig_bone_short,
    rig_bones_apart, rig_leg_straight."""
    if not compat.RIGIFY_HOLDS:
        remedy = "Use Blender 4.5 or newer for it; Add IK works here as well."
        raise LinkError("rigify_unsafe", "A control rig would make this version of Blender crash.", remedy)
    check_state(rig)
    check_bones(rig.data)
    for chain in names.LEGS.values():
        check_leg(rig.data, chain)


def check_state(rig: bpy.types.Object) -> None:
    """Whether the armature may be given constraints now."""
    if rig.mode == "EDIT":
        raise LinkError("bad_request", f"{rig.name} is being edited.", "Leave Edit Mode and try again.")
    if not rig.is_editable or rig.override_library is not None:
        raise LinkError("rig_linked", f"{rig.name} is linked from another file.", "Make it local, or open that file.")
    if control_rig_of(rig) is not None:
        raise LinkError("control_rig_exists", f"{rig.name} has a control rig already.", "Remove it first.")
    for bone in rig.pose.bones:
        if any(c.type in SOLVERS and not c.mute and c.influence > 0 for c in bone.constraints):
            remedy = "Remove the IK first: it would win over the control rig."
            raise LinkError("rig_has_ik", f"{bone.name} of {rig.name} has an IK constraint.", remedy)


def check_bones(data: bpy.types.Armature) -> None:
    """Whether there is a quadruped."""
    missing = [name for name in names.NEEDED if name not in data.bones]
    if missing:
        remedy = "Rigify's quadruped needs them: update the creature, or undo what removed or renamed them."
        raise LinkError("rig_bones_missing", f"Bones are missing: {listed(missing)}.", remedy)
    body = (data.bones[names.TORSO[-1]].tail_local - data.bones[names.TORSO[0]].head_local).length
    short = [name for name in metarig.given_bones(data) if data.bones[name].length < SHORTEST * body]
    if short or body <= 0:
        raise LinkError("rig_bone_short", f"Bones have no length: {listed(short or [names.TORSO[0]])}.", UPDATE)
    apart = [name for name in chained(data) if not metarig.is_joined(data, name)]
    if apart:
        raise LinkError("rig_bones_apart", f"Bones don't begin where the bone before ends: {listed(apart)}.", UPDATE)


def chained(data: bpy.types.Armature) -> list[str]:
    """The creature's bones that continue a chain of Rigify's, and the neck, which continues the torso."""
    first = {*names.FIRST, *names.ADDED} - {names.NECK[0]}
    given = metarig.given_bones(data)
    return [name for name in given if name not in first and names.PARENTS[name] in given]


def check_leg(data: bpy.types.Armature, chain: tuple[str, ...]) -> None:
    """Whether knee or elbow, and hock or wrist, bend at rest."""
    for upper, lower in zip(chain[:2], chain[1:3], strict=True):
        along = [(data.bones[name].tail_local - data.bones[name].head_local) for name in (upper, lower)]
        if along[0].angle(along[1]) < LEAST_BEND:
            remedy = "Bend it by a few degrees the animal's own way in Edit Mode: IK needs to know which way."
            raise LinkError("rig_leg_straight", f"{upper} and {lower} are in one straight line.", remedy)


def listed(words: list[str], most: int = 4) -> str:
    """The first few, and how many more."""
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more} more" if more > 0 else "")
