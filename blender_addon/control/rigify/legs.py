"""A leg from FK to IK and back, its pose kept: no script of Rigify's is needed, so nothing need be allowed to run.

Both ways are exact. In IK the hoof or paw, the hock or wrist and the knee or elbow are met by Rigify's controls; what no two-bone IK
has, a turn of upper or lower leg about its own length against the plane they bend in, is kept by a property of ours (`names.TWIST`).
"""

from __future__ import annotations

import bpy
from mathutils import Matrix, Quaternion, Vector

from ...scene.motion import turn_to
from . import names, snap

POLE = "pole_vector"
"""Rigify's property of a leg: whether a control points the knee."""
ROUNDS = 8
"""How often heel and knee are put right in turn at most; three do mostly."""
ENOUGH = 1e-5
"""Radians about the leg's axis that the knee may be off."""


def is_fk(control: bpy.types.Object, leg: str) -> bool:
    """Whether FK moves the leg."""
    return float(control.pose.bones[names.switch_bone(leg)].get(names.IK_FK, 0.0)) >= 0.5


def body_length(control: bpy.types.Object) -> float:
    """Pelvis to withers at rest, in armature units."""
    first, last = (control.data.bones[names.skeleton_bone(bone)] for bone in (names.TORSO[0], names.TORSO[-1]))
    return float((last.tail_local - first.head_local).length)


def switch(control: bpy.types.Object, leg: str, to_fk: bool) -> float:
    """Hands the leg over where it stands; shows its new controls and hides the others -> how far a joint went, in armature units."""
    pose = snap.skeleton_pose(control)
    control.pose.bones[names.switch_bone(leg)][names.IK_FK] = 1.0 if to_fk else 0.0
    control.update_tag()
    if to_fk:
        for bone in names.LEGS[leg]:
            snap.reach(control, snap.follow(control, pose, [bone]))
    else:
        reach_ik(control, leg, pose)
        keep_twist(control, leg, pose)
    show_controls(control, leg, to_fk)
    return snap.distance(control, pose, names.LEGS[leg])


def show_controls(control: bpy.types.Object, leg: str, fk: bool) -> None:
    """Only the controls that move the leg now are in view."""
    collections = control.data.collections_all
    collections[leg].is_visible = not fk
    collections[f"{leg} FK"].is_visible = fk


def reach_ik(control: bpy.types.Object, leg: str, pose: snap.Pose) -> None:
    """Places the leg's IK controls so that the leg stands as `pose` as nearly as it can."""
    upper, lower, foot, toe = names.LEGS[leg]
    end, heel, base = names.sided(foot, "_ik"), names.sided(foot, "_heel_ik"), names.sided(upper, "_ik")
    bones = control.pose.bones
    bones[base].rotation_euler.y = 0.0
    turn_to(bones[names.fk_control(toe)], Quaternion())  # it bends the toe against the foot's control in IK
    snap.reach(control, {end: snap.carried(control, pose, end, toe)}, moves=True)
    if bones[names.switch_bone(leg)].get(POLE):
        snap.reach(control, {names.sided(upper, "_ik_target"): pole_target(control, leg, pose)}, moves=True, turns=False)
    for _ in range(ROUNDS):
        snap.reach(control, {heel: snap.carried(control, pose, heel, foot)})
        if bones[names.switch_bone(leg)].get(POLE):
            return
        off = angle_off(control, pose, upper, lower, foot)
        bones[base].rotation_euler.y += off
        if abs(off) < ENOUGH:
            return


def keep_twist(control: bpy.types.Object, leg: str, pose: snap.Pose) -> None:
    """Turns the upper and the lower leg about their own lengths until they stand as `pose`."""
    standing = snap.skeleton_pose(control)
    for name in names.LEGS[leg][:2]:
        off = (standing[name].inverted() @ pose[name]).to_quaternion()
        control.pose.bones[names.skeleton_bone(name)][names.TWIST] += off.to_swing_twist("Y")[1]
    control.update_tag()


def angle_off(control: bpy.types.Object, pose: snap.Pose, upper: str, lower: str, foot: str) -> float:
    """Radians about the line from hip to hock by which the knee must still turn."""
    standing = snap.skeleton_pose(control)
    axis = (pose[foot].translation - pose[upper].translation).normalized()
    here, there = (knee.translation - pose[upper].translation for knee in (standing[lower], pose[lower]))
    here, there = here - axis * here.dot(axis), there - axis * there.dot(axis)
    if here.length < 1e-6 or there.length < 1e-6:  # straight: any turn will do
        return 0.0
    return here.angle(there) * (1.0 if axis.dot(here.cross(there)) > 0 else -1.0)


def pole_target(control: bpy.types.Object, leg: str, pose: snap.Pose) -> Matrix:
    """Where the pole belongs: before the knee or behind the elbow, as far away as it is at rest."""
    upper, lower, foot, _ = names.LEGS[leg]
    hip, knee, hock = (pose[bone].translation for bone in (upper, lower, foot))
    along = (hock - hip).normalized()
    outward = knee - hip
    outward -= along * outward.dot(along)
    rest = control.data.bones[names.sided(upper, "_ik_target")]
    reach = (rest.head_local - control.data.bones[names.skeleton_bone(lower)].head_local).length
    target = rest.matrix_local.copy()
    target.translation = knee + (outward.normalized() if outward.length > 1e-6 else Vector((0, -1, 0))) * reach
    return target
