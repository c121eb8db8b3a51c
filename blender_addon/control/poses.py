"""Whole poses: rest, photo, mirrored. Channels of every pose bone enter and leave, in the artist's rotation modes; nothing is keyed here.

A bone mirrors onto the one whose name has the other side. Rest matrices of the two are each other's reflection across X = 0
(DESIGN 4), so locally, too, the reflection negates X: places (-x, y, z), turns about Y and Z.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Quaternion

from ..link.errors import LinkError
from ..scene import motion as motions
from ..scene.place import BONES, STANDS
from . import rig as rigs
from . import snap
from .channels import clear, rotation_of, rotation_path, set_rotation
from .limbs import SWITCH


def take_rest_pose(context: bpy.types.Context, rig: bpy.types.Object) -> list[str]:
    """Every bone and control as at rest; switches stay. -> bones that it wrote."""
    for bone in rig.pose.bones:
        clear(bone)
    return [bone.name for bone in rig.pose.bones]


def take_photo_pose(context: bpy.types.Context, rig: bpy.types.Object) -> list[str]:
    """The pose of the photo; controls follow it, switches stay. -> bones that it wrote. Raises LinkError as `write_photo_pose`."""
    written = write_photo_pose(rig, rig)
    for bend in snap.standing_bends(rig):
        clear(rig.pose.bones[bend.control])
        written.append(bend.control)
    limbs = rigs.limbs_of(rig)
    if limbs:
        snap.lay_onto_channels(context, rig, limbs)
    return written + [name for limb in limbs for name in snap.control_bones(limb)]


def write_photo_pose(rig: bpy.types.Object, onto: bpy.types.Object) -> list[str]:
    """The photo's pose of a creature's armature into the bones of the same names of `onto`, that armature or a copy. -> these bones.
    Raises LinkError bad_request where the creature no longer knows it, or its bones are gone."""
    names, stands = rig.get(BONES), rig.get(STANDS)
    if names is None or stands is None or any(name not in onto.pose.bones for name in names):
        raise LinkError("bad_request", f"{rig.name} no longer knows its photo's pose.", "Use Update to make it anew.")
    numbers = np.array(stands, np.float32)
    motions.apply_pose(onto, list(names), numbers[3:].reshape(-1, 4), numbers[:3])
    return list(names)


def mirror_pose(context: bpy.types.Context, rig: bpy.types.Object) -> list[str]:
    """The pose's reflection in the armature's plane X = 0, controls and switches included. -> bones that it wrote."""
    channels = {bone.name: read(bone) for bone in rig.pose.bones}
    for bone in rig.pose.bones:
        twin = bpy.utils.flip_name(bone.name)
        write_mirrored(bone, *channels[twin if twin in channels else bone.name])
    return list(channels)


Channels = tuple[str, tuple[float, ...], Quaternion, tuple[float, ...], tuple[float, ...], float | None]
"""Rotation mode, the rotation channel's numbers, the same as a quaternion, location, scale, switch."""


def read(bone: bpy.types.PoseBone) -> Channels:
    """A bone's channels."""
    turned = tuple(getattr(bone, rotation_path(bone)))
    return bone.rotation_mode, turned, rotation_of(bone), tuple(bone.location), tuple(bone.scale), bone.get(SWITCH)


def write_mirrored(
    bone: bpy.types.PoseBone, mode: str, turned: tuple[float, ...], rotation: Quaternion, location: tuple[float, ...],
    scale: tuple[float, ...], switch: float | None,
) -> None:  # fmt: skip
    """Gives a bone the reflection of another's channels. In one rotation mode only signs change: twice is what was, to the bit."""
    x, y, z = location
    bone.location, bone.scale = (-x, y, z), scale
    if bone.rotation_mode == mode:
        *before, y, z = turned  # (w, x, y, z), (angle, x, y, z) or (x, y, z)
        setattr(bone, rotation_path(bone), (*before, -y, -z))
    else:
        set_rotation(bone, Quaternion((rotation.w, rotation.x, -rotation.y, -rotation.z)))
    if switch is not None and SWITCH in bone:
        bone[SWITCH] = switch
