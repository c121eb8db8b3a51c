"""What the tests of posing share: how far two poses are from each other, a synthetic walk, and creatures placed in a moment."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Quaternion, Vector

from blender_addon import compat
from blender_addon.control import ik, poses
from blender_addon.control.limbs import MARK
from blender_addon.scene.asset_file import AssetFile
from blender_addon.scene.creature import Creature
from blender_addon.scene.motion import write_curve
from blender_addon.scene.place import place_asset
from tests.blender.creatures import empty_blender, read_creature

LENGTH_TOLERANCE = 1e-3
"""Of body length: how far a snap may move a joint."""
ANGLE_TOLERANCE = math.radians(0.5)
"""How far a snap may turn a bone."""
FRAMES = 24
"""Of the walk's one stride."""
SWING = {"thigh": (0.42, 0.0), "shin": (0.35, 0.25), "foot": (0.3, 0.6), "toe": (0.35, 0.8)}
"""Part of a leg -> how far it swings in radians, and its lag in strides."""
PHASES = {"thigh.L": 0.0, "front_thigh.L": 0.25, "thigh.R": 0.5, "front_thigh.R": 0.75}
"""A walk's footfalls: hind left, front left, hind right, front right."""

Pose = dict[str, np.ndarray]


def place(asset: AssetFile, name: str = "doe") -> Creature:
    """The creature in the scene, in its photo's pose."""
    placed = place_asset(bpy.context, asset, None, name)
    bpy.context.view_layer.update()
    return placed


def resting_with_ik() -> Creature:
    """The made-up creature at rest, with IK, alone in an empty file."""
    empty_blender()
    creature = place(read_creature())
    poses.take_rest_pose(bpy.context, creature.armature)
    ik.add_ik(bpy.context, creature.armature)
    return creature


def pose_of(rig: bpy.types.Object) -> Pose:
    """Bone of the creature's own -> where it stands, (4, 4), armature space."""
    rig.update_tag(refresh={"DATA"})
    bpy.context.view_layer.update()
    return {bone.name: np.array(bone.matrix) for bone in rig.pose.bones if MARK not in bone.bone}


def tip(pose: Pose, rig: bpy.types.Object, bone: str) -> np.ndarray:
    """(3,) where a bone's tail stands."""
    return pose[bone][:3, 3] + pose[bone][:3, 1] * rig.data.bones[bone].length


def spot(pose: Pose, bone: str) -> np.ndarray:
    """(3,) where a bone's head stands."""
    return pose[bone][:3, 3]


def body_length(rig: bpy.types.Object) -> float:
    """From withers to the tail's base, or to the pelvis where there is no tail, at rest."""
    bones = rig.data.bones
    behind = bones["tail.001" if "tail.001" in bones else "hips"]
    return float((bones["neck.001"].head_local - behind.head_local).length)


def differences(rig: bpy.types.Object, one: Pose, other: Pose) -> tuple[float, float]:
    """The farthest that a head or tail moved, over body length, and the most that a bone turned, in radians; of bones in both poses."""
    moved = turned = 0.0
    for name in one.keys() & other.keys():
        a, b, length = one[name], other[name], rig.data.bones[name].length
        moved = max(moved, *(np.linalg.norm((a - b)[:3, 3] + end * (a - b)[:3, 1]) for end in (0.0, length)))
        # From the chord, not from the cosine: a cosine knows no angle below 3e-4 in single precision.
        chord = np.linalg.norm(a[:3, :3] / np.linalg.norm(a[:3, :3], axis=0) - b[:3, :3] / np.linalg.norm(b[:3, :3], axis=0))
        turned = max(turned, 2 * math.asin(min(1.0, chord / (2 * math.sqrt(2)))))
    return moved / body_length(rig), turned


def assert_same(rig: bpy.types.Object, one: Pose, other: Pose) -> None:
    """The poses agree within the tolerances."""
    moved, turned = differences(rig, one, other)
    assert moved <= LENGTH_TOLERANCE and turned <= ANGLE_TOLERANCE, f"{moved:.2e} of body length, {math.degrees(turned):.3f} degrees"


def walk(rig: bpy.types.Object) -> bpy.types.Action:
    """One stride keyed on FK channels alone, frames 1 to FRAMES: legs in a walk's order, the pelvis bobs, rolls and sways, spine and neck
    answer, and the root goes ahead. Assigned to the rig."""
    action = bpy.data.actions.new("walk")
    home = compat.curve_home(action, rig)
    frames = np.arange(1, FRAMES + 1, dtype=np.float32)
    turn = math.tau * (frames - 1) / FRAMES
    for name in rig.data.bones.keys():
        stem, _, side = name.partition(".")
        part = stem.removeprefix("front_")
        angles = np.zeros((FRAMES, 3))
        if part in SWING and side in ("L", "R"):
            reach, lag = SWING[part]
            front = "front_" if stem.startswith("front_") else ""
            phase = PHASES[f"{front}thigh.{side}"]
            angles[:, 0] = reach * np.sin(turn + math.tau * (phase - lag))
            angles[:, 1], angles[:, 2] = 0.06 * np.sin(2 * turn + phase), 0.05 * np.cos(turn + lag)  # knees twist a little, too
        elif stem in ("hips", "spine", "chest", "neck", "shoulder"):
            angles[:] = 0.07 * np.stack([np.sin(2 * turn + 0.5), np.sin(turn), np.cos(turn)], -1)
        else:
            continue
        turns = np.array([Quaternion((1, 0, 0), a) @ Quaternion((0, 1, 0), b) @ Quaternion((0, 0, 1), c) for a, b, c in angles])
        for axis in range(4):
            curve = compat.new_curve(home, f'pose.bones["{name}"].rotation_quaternion', axis, name)
            write_curve(curve, frames, turns[:, axis])
    length = body_length(rig)
    for axis, values in enumerate((0.02 * np.sin(turn), 0.03 * np.cos(2 * turn), 0.02 * np.sin(2 * turn))):
        write_curve(compat.new_curve(home, 'pose.bones["hips"].location', axis, "hips"), frames, length * values)
    ahead = rig.data.bones["root"].matrix_local.to_3x3().inverted()
    steps = np.array([ahead @ Vector(step) for step in np.stack([0 * turn, -length * turn / 6, 0 * turn], -1).tolist()])
    for axis in range(3):
        write_curve(compat.new_curve(home, 'pose.bones["root"].location', axis, "root"), frames, steps[:, axis])
    compat.assign_action(rig, action)
    return action
