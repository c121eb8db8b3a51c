"""Brings the control rig into a pose of the creature: (bone -> matrix in armature space) enters, the controls' channels leave.

Exact for any pose whose joints hold together: FK turns carry it, the neck's middle joint is moved by its tweak control, and what Rigify
spreads along a chain as twist is put right about the tweak controls' own free axis. Legs end in FK.

One rule serves every control, whatever stands between its channels and its place: where the channels are a basis B and the evaluated
control stands at F, the basis B inv(F) T puts it at T, as F = M B with an M that doesn't depend on B. Hence parents first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import bpy
from mathutils import Matrix, Vector

from ...scene.motion import turn_to
from . import names

Pose = Mapping[str, Matrix]


def pose_of(rig: bpy.types.Object) -> dict[str, Matrix]:
    """Where an armature's bones stand now, in armature space, as the context's view layer evaluates them."""
    bpy.context.view_layer.update()
    shown = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return {bone.name: bone.matrix.copy() for bone in shown.pose.bones}


def skeleton_pose(control: bpy.types.Object) -> dict[str, Matrix]:
    """Creature's bone -> where its likeness in the control rig stands now."""
    prefix = names.skeleton_bone("")
    return {name.removeprefix(prefix): matrix for name, matrix in pose_of(control).items() if name.startswith(prefix)}


def snap(control: bpy.types.Object, pose: Pose) -> None:
    """Poses the control rig as `pose`, legs in FK. Nothing need be cleared before."""
    for leg in names.LEGS:
        control.pose.bones[names.switch_bone(leg)][names.IK_FK] = 1.0
    control.update_tag()
    pivot = names.PIVOT
    reach(control, {"root": carried(control, pose, "root", "root")}, moves=True)
    reach(control, {"torso": carried(control, pose, "torso", names.TORSO[pivot])}, moves=True)
    for step in range(max(pivot, len(names.TORSO) - pivot)):
        reach(control, follow(control, pose, [*names.TORSO[:pivot][::-1][step : step + 1], *names.TORSO[pivot:][step : step + 1]]))
    twist(control, pose, names.TORSO)
    reach(control, {"neck": neck_target(control, pose)} | follow(control, pose, ["shoulder.L", "shoulder.R"]))
    reach(control, {"head": carried(control, pose, "head", names.NECK[-1])}, moves=True)
    middle = names.tweak(names.NECK[1])
    reach(control, {middle: carried(control, pose, middle, names.NECK[1])}, moves=True, turns=False)
    for step in range(len(names.TAIL)):
        together = [names.TAIL[step], *(chain[step] for chain in names.LEGS.values())]
        reach(control, follow(control, pose, [*together, *(("jaw", "ear.L", "ear.R") if step == 0 else ())]))
    twist(control, pose, names.NECK[:-1])


def carried(control: bpy.types.Object, pose: Pose, name: str, bone: str) -> Matrix:
    """Where a control belongs that keeps its place beside a bone of the creature."""
    rest = control.data.bones[names.skeleton_bone(bone)].matrix_local
    return pose[bone] @ rest.inverted() @ control.data.bones[name].matrix_local


def follow(control: bpy.types.Object, pose: Pose, bones: Iterable[str]) -> dict[str, Matrix]:
    """The bones' own controls -> where they belong; bones that this creature hasn't are left out."""
    given = [bone for bone in bones if names.skeleton_bone(bone) in control.data.bones]
    return {names.fk_control(bone): carried(control, pose, names.fk_control(bone), bone) for bone in given}


def neck_target(control: bpy.types.Object, pose: Pose) -> Matrix:
    """Where the control of the whole neck belongs: turned with the neck's first bone, pointing at the head."""
    first, head = names.NECK[0], names.NECK[-1]
    rest = {bone: control.data.bones[names.skeleton_bone(bone)].matrix_local for bone in (first, head)}
    base = pose[first].translation
    pointing = (pose[first] @ rest[first].inverted()).to_3x3() @ (rest[head].translation - rest[first].translation)
    swing = pointing.rotation_difference(pose[head].translation - base).to_matrix().to_4x4()
    return Matrix.Translation(base) @ swing @ Matrix.Translation(-base) @ carried(control, pose, "neck", first)


def reach(control: bpy.types.Object, targets: Mapping[str, Matrix], moves: bool = False, turns: bool = True) -> None:
    """Turns (and moves) controls to their targets in armature space; none may carry another. Their scale becomes 1."""
    standing = pose_of(control)
    for name, target in targets.items():
        bone = control.pose.bones[name]
        basis = bone.matrix_basis @ standing[name].inverted() @ target
        if turns:
            turn_to(bone, basis.to_quaternion())
        bone.location = basis.translation if moves else Vector()
        bone.scale = (1, 1, 1)


def twist(control: bpy.types.Object, pose: Pose, bones: Iterable[str]) -> None:
    """Turns the bones' tweak controls about their own length until the bones themselves are turned as they should be."""
    standing = skeleton_pose(control)
    for bone in bones:
        off = (standing[bone].inverted() @ pose[bone]).to_quaternion()
        control.pose.bones[names.tweak(bone)].rotation_euler.y += off.to_swing_twist("Y")[1]


def distance(control: bpy.types.Object, pose: Pose, bones: Iterable[str] | None = None) -> float:
    """The farthest that a bone's head or tail stands from where `pose` has it; of all bones unless some are named."""
    standing = skeleton_pose(control)
    lengths = {bone: Vector((0, control.data.bones[names.skeleton_bone(bone)].length, 0)) for bone in bones or standing}
    return max((standing[bone] @ end - pose[bone] @ end).length for bone, tail in lengths.items() for end in (Vector(), tail))
