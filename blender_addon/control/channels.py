"""The channels of pose bones: rotations in the artist's own modes, the matrix a bone needs, keys where auto-key is on.

Enters: matrices in armature space. Leaves: values of `location`, `rotation_...`, `scale`; nothing else of a bone is touched.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy
from mathutils import Matrix, Quaternion, Vector

from ..scene.motion import turn_to
from .limbs import SWITCH

ROTATION_PATHS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
"""Rotation mode -> channel; every other mode has Euler angles."""
STILL = Quaternion((1, 0, 0, 0))
"""No rotation."""


def rotation_path(bone: bpy.types.PoseBone) -> str:
    """The channel that holds the bone's rotation."""
    return ROTATION_PATHS.get(bone.rotation_mode, "rotation_euler")


def rotation_of(bone: bpy.types.PoseBone) -> Quaternion:
    """The rotation in the bone's channels, whatever its mode."""
    return bone.matrix_basis.to_quaternion()


def set_rotation(bone: bpy.types.PoseBone, rotation: Quaternion) -> None:
    """Turns the bone; of the quaternion's two signs the one nearer to what stood there, so that keys don't run the long way round."""
    if bone.rotation_mode == "QUATERNION" and bone.rotation_quaternion.dot(rotation) < 0:
        rotation = -rotation
    turn_to(bone, rotation)


def clear(bone: bpy.types.PoseBone) -> None:
    """The bone as at rest."""
    bone.location, bone.scale = (0, 0, 0), (1, 1, 1)
    if bone.rotation_mode == "QUATERNION":
        bone.rotation_quaternion = STILL
    elif bone.rotation_mode == "AXIS_ANGLE":
        bone.rotation_axis_angle = (0, *bone.rotation_axis_angle[1:])
    else:
        bone.rotation_euler = (0, 0, 0)


def basis_for(bone: bpy.types.PoseBone, wanted: Matrix, parent: Matrix | None) -> Matrix:
    """(4, 4) the basis with which the bone would stand at `wanted`, its parent at `parent` (None: it has none); armature space."""
    rest = bone.bone
    if rest.parent is None or parent is None:
        return rest.convert_local_to_pose(wanted, rest.matrix_local, invert=True)
    return rest.convert_local_to_pose(
        wanted, rest.matrix_local, parent_matrix=parent, parent_matrix_local=rest.parent.matrix_local, invert=True
    )


def carried(bone: bpy.types.Bone, other: bpy.types.Bone, posed: Matrix) -> Matrix:
    """(4, 4) where `other` goes when it moves rigidly with `bone`, which stands at `posed`; scale left out."""
    return unscaled(posed) @ bone.matrix_local.inverted() @ other.matrix_local


def unscaled(matrix: Matrix) -> Matrix:
    """The matrix's place and rotation."""
    place, rotation, _ = matrix.decompose()
    return Matrix.LocRotScale(place, rotation, None)


def place(bone: bpy.types.PoseBone, wanted: Matrix, parent: Matrix | None) -> None:
    """Moves and turns the bone to `wanted`, given its parent's; its scale stays."""
    basis = basis_for(bone, wanted, parent)
    bone.location = basis.translation
    set_rotation(bone, basis.to_quaternion())


def move(bone: bpy.types.PoseBone, wanted: Vector, parent: Matrix | None) -> None:
    """Moves the bone's head to `wanted`; its rotation stays."""
    bone.location = basis_for(bone, Matrix.Translation(wanted), parent).translation


def turn(bone: bpy.types.PoseBone, wanted: Matrix, parent: Matrix | None) -> None:
    """Turns the bone to `wanted`'s axes; its location and scale stay."""
    set_rotation(bone, basis_for(bone, wanted, parent).to_quaternion())


def refresh(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Evaluates the rig now. A custom property that Python sets tells no driver; tagging everything would play the action anew."""
    rig.update_tag(refresh={"DATA"})
    context.view_layer.update()


def key(context: bpy.types.Context, rig: bpy.types.Object, bones: Iterable[str]) -> None:
    """Keys the bones at this frame where auto-key is on: rotations, locations of bones that may move, scales that are none, switches."""
    tools = context.scene.tool_settings
    if not tools.use_keyframe_insert_auto:
        return
    options = {"INSERTKEY_REPLACE"} if tools.auto_keying_mode == "REPLACE_KEYS" else set()
    for name in bones:
        bone = rig.pose.bones[name]
        paths = [rotation_path(bone)]
        if not bone.bone.use_connect:
            paths.append("location")
        if tuple(bone.scale) != (1, 1, 1):
            paths.append("scale")
        if SWITCH in bone:
            paths.append(f'["{SWITCH}"]')
        for path in paths:
            bone.keyframe_insert(path, options=options, group=name)
