"""The creature's armature as what deforms: each of its bones copies its likeness in the control rig, and can be let go again.

The constraints come last in the bones' stacks and have one name; the bones' own channels stay as they are under them.
"""

from __future__ import annotations

import bpy

from . import names

CONSTRAINT = "Menagerie control rig"


def tie(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Lets the creature's bones follow the control rig, wherever either object is moved to."""
    for bone in rig.pose.bones:
        likeness = names.skeleton_bone(bone.name)
        if likeness not in control.pose.bones:
            continue
        constraint = bone.constraints.new("COPY_TRANSFORMS")
        constraint.name = CONSTRAINT
        constraint.target, constraint.subtarget = control, likeness
        constraint.show_expanded = False


def untie(rig: bpy.types.Object) -> None:
    """Removes what `tie` added."""
    for bone, constraint in ties(rig):
        bone.constraints.remove(constraint)


def ties(rig: bpy.types.Object) -> list[tuple[bpy.types.PoseBone, bpy.types.Constraint]]:
    """What `tie` added: bones and their constraints."""
    return [
        (bone, constraint)
        for bone in rig.pose.bones
        for constraint in bone.constraints
        if constraint.type == "COPY_TRANSFORMS" and constraint.name.startswith(CONSTRAINT)
    ]
