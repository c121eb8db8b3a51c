"""The IK/FK switch that keeps the pose: what is seen enters, channels of the other system leave, then the switch is turned.

FK to IK is exact for every FK pose, also where knee and ankle are twisted. The FK channels stay under the IK and Blender's solver
starts from them: with its target where the leg ends already, and its pole where the thigh's own axes ask for it, it changes nothing.
IK to FK reads the evaluated bones. Matrices are in armature space.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy
from mathutils import Matrix

from ..link.errors import LinkError
from . import layout
from . import rig as rigs
from .channels import STILL, carried, clear, move, place, refresh, rotation_of, set_rotation, turn
from .limbs import SWITCH, Bend, Leg, Reach, bends_of

Seen = dict[str, Matrix]
"""Bone -> where it stands, (4, 4)."""
UNMOVED = 1e-4
"""Two matrices whose numbers differ by less show the same pose (units of the armature; body length is 1)."""


def look(context: bpy.types.Context, rig: bpy.types.Object) -> Seen:
    """Where every bone stands now. Raises LinkError bad_request where Blender doesn't evaluate the pose."""
    if not is_shown(context, rig):
        remedy = "Show its collection, set the armature to Pose Position, and try again."
        raise LinkError("bad_request", f"The pose of {rig.name} isn't shown.", remedy)
    refresh(context, rig)
    return {bone.name: bone.matrix.copy() for bone in rig.pose.bones}


def is_shown(context: bpy.types.Context, rig: bpy.types.Object) -> bool:
    """True if the rig is in the view layer, posed: Blender evaluates nothing else."""
    context.view_layer.update()  # what was linked just now is not listed before
    return context.view_layer.objects.get(rig.name) == rig and rig.data.pose_position == "POSE"


def fk_bones(limb: Leg | Reach) -> tuple[str, ...]:
    """The limb's own bones, from the body on."""
    return limb.bones if isinstance(limb, Leg) else (*limb.chain, limb.end)


def control_bones(limb: Leg | Reach) -> tuple[str, ...]:
    """The limb's controls, what holds the switch first."""
    return limb.controls if isinstance(limb, Leg) else (limb.control,)


def switch_of(rig: bpy.types.Object, limb: Leg | Reach) -> float:
    """0 where the FK channels show, 1 where the IK does."""
    return float(rig.pose.bones[limb.control].get(SWITCH, 0.0))


def to_ik(context: bpy.types.Context, rig: bpy.types.Object, limbs: Sequence[Leg | Reach]) -> list[str]:
    """Lays the controls onto the pose that is seen and turns the switches to IK. -> bones whose channels may have changed."""
    seen = look(context, rig)
    changed: list[str] = []
    for limb in limbs:
        if switch_of(rig, limb) > 0:  # the channels underneath are not what is seen, and the solver must start from that
            write_channels(rig, limb, seen)
            changed += fk_bones(limb)
        lay_controls(rig, limb, seen)
        changed += control_bones(limb)
    for limb in limbs:
        rig.pose.bones[limb.control][SWITCH] = 1.0
    refresh(context, rig)
    return changed


def to_fk(context: bpy.types.Context, rig: bpy.types.Object, limbs: Sequence[Leg | Reach]) -> list[str]:
    """Writes the pose that is seen into the FK channels and turns the switches to FK. -> bones whose channels may have changed."""
    seen = look(context, rig)
    changed: list[str] = []
    for limb in limbs:
        if switch_of(rig, limb) > 0:
            write_channels(rig, limb, seen)
            changed += fk_bones(limb)
        rig.pose.bones[limb.control][SWITCH] = 0.0
        changed.append(limb.control)
    refresh(context, rig)
    return changed


def lay_onto_channels(context: bpy.types.Context, rig: bpy.types.Object, limbs: Sequence[Leg | Reach]) -> None:
    """Lays the controls onto the FK channels, whatever the IK shows; the switches stay as they are."""
    switches = [switch_of(rig, limb) for limb in limbs]
    for limb in limbs:
        rig.pose.bones[limb.control][SWITCH] = 0.0
    to_ik(context, rig, limbs)
    for limb, switch in zip(limbs, switches, strict=True):
        rig.pose.bones[limb.control][SWITCH] = switch
    refresh(context, rig)


def write_channels(rig: bpy.types.Object, limb: Leg | Reach, seen: Seen) -> None:
    """The limb's rotations as they are seen. Places and scales are not the IK's to change."""
    for name in fk_bones(limb):
        bone = rig.pose.bones[name]
        turn(bone, seen[name], seen[bone.parent.name] if bone.parent is not None else None)


def lay_controls(rig: bpy.types.Object, limb: Leg | Reach, seen: Seen) -> None:
    """The limb's controls where they show what is seen."""
    if isinstance(limb, Leg):
        lay_foot(rig, limb, seen)
        lay_pole(rig, limb, seen)
    else:
        control = rig.pose.bones[limb.control]
        place(control, seen[limb.end], parent_of(control, seen))


def lay_foot(rig: bpy.types.Object, leg: Leg, seen: Seen) -> None:
    """The whole foot's control goes with the toe; the roll is the angle between toe and foot, and the toe's own control rests."""
    bones = rig.pose.bones
    rest = rig.data.bones
    whole = carried(rest[leg.toe], rest[leg.control], seen[leg.toe])
    place(bones[leg.control], whole, parent_of(bones[leg.control], seen))
    clear(bones[leg.roll])
    turn(bones[leg.roll], carried(rest[leg.foot], rest[leg.roll], seen[leg.foot]), whole)
    clear(bones[leg.toe_control])


def lay_pole(rig: bpy.types.Object, leg: Leg, seen: Seen) -> None:
    """The pole level with the knee, as far from the line hip to hock as at rest, on the side that the thigh's axes turn to."""
    rest = rig.data.bones
    hip, knee, hock = (seen[name].translation for name in leg.bones[:3])
    line = (hock - hip).normalized()
    angle = next(c.pole_angle for c in rigs.ours(rig.pose.bones[leg.shin]) if c.type == "IK")
    side = layout.across(layout.up_axis(seen[leg.thigh].to_3x3().normalized(), angle), line)
    from_hip = rest[leg.pole].head_local - rest[leg.thigh].head_local
    distance = from_hip.dot(layout.bend_direction(rig.data, leg))
    pole = rig.pose.bones[leg.pole]
    move(pole, hip + line * line.dot(knee - hip) + side * distance, parent_of(pole, seen))


def parent_of(bone: bpy.types.PoseBone, seen: Seen) -> Matrix | None:
    """Where the bone's parent stands."""
    return seen[bone.parent.name] if bone.parent is not None else None


def shows_channels(context: bpy.types.Context, rig: bpy.types.Object) -> bool:
    """True if no control changes the pose: with every switch at FK and every bend at rest it would look the same."""
    if any(rotation_of(rig.pose.bones[bend.control]).angle > UNMOVED for bend in standing_bends(rig)):
        return False
    limbs = [limb for limb in rigs.limbs_of(rig) if switch_of(rig, limb) > 0]
    if not limbs:
        return True
    if not is_shown(context, rig):
        return False  # nobody can tell
    seen = look(context, rig)
    switches = [switch_of(rig, limb) for limb in limbs]
    for limb in limbs:
        rig.pose.bones[limb.control][SWITCH] = 0.0
    plain = look(context, rig)
    for limb, switch in zip(limbs, switches, strict=True):
        rig.pose.bones[limb.control][SWITCH] = switch
    refresh(context, rig)
    return all(same(seen[name], plain[name]) for limb in limbs for name in fk_bones(limb))


def same(one: Matrix, other: Matrix) -> bool:
    """True if no number differs by more than `UNMOVED`."""
    return all(abs(a - b) < UNMOVED for row, twin in zip(one, other, strict=True) for a, b in zip(row, twin, strict=True))


def standing_bends(rig: bpy.types.Object) -> list[Bend]:
    """The bends whose control stands in the rig."""
    return [bend for bend in bends_of(rig.data.bones) if bend.control in rig.pose.bones]


def straighten_bends(rig: bpy.types.Object, seen: Seen) -> list[str]:
    """What the bend controls show goes into the channels of the bones themselves, and the controls to rest. -> bones that changed."""
    changed: list[str] = []
    for bend in standing_bends(rig):
        control = rig.pose.bones[bend.control]
        if rotation_of(control).angle == 0:
            continue
        for name in bend.bones:
            bone = rig.pose.bones[name]
            turn(bone, seen[name], parent_of(bone, seen))
        set_rotation(control, STILL)
        changed += [*bend.bones, bend.control]
    return changed
