"""Where control bones stand at rest: the armature's rest bones enter, control bones and pole angles leave. Nothing is changed here.

Armature space: +Z up, the animal faces -Y, the ground is Z = 0. Control bones have their local X to the animal's right like the bones
they move (DESIGN 4), and are computed for each side from that side's own bones, so that mirrored bones give mirrored controls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import bpy
from mathutils import Matrix, Vector

from .limbs import Bend, Leg, Reach, bends_of, legs_of, reach_of

FORWARD, UP = Vector((0, -1, 0)), Vector((0, 0, 1))
POLE_DISTANCE = 0.65
"""How far the pole stands from the line from hip to hock, level with the knee, over the length of thigh and shin."""
SHORTEST = 0.35
"""A foot's control is at least this long, over the foot's length: a hoof's toe bone is short."""
POLE_LENGTH = 0.12
"""Length of the pole's bone, over the length of thigh and shin."""


@dataclass(frozen=True)
class ControlBone:
    """A bone to make: head, tail and local Z axis in armature space. mechanism: nothing that an artist touches."""

    name: str
    head: Vector
    tail: Vector
    z_axis: Vector
    parent: str | None
    mechanism: bool = False


def plan_bones(armature: bpy.types.Armature) -> list[ControlBone]:
    """Every control bone of the armature, parents before children. Not in Edit Mode: rest matrices are read."""
    bones = armature.bones
    made = [bone for leg in legs_of(bones) for bone in leg_bones(armature, leg)]
    made += [bend_bone(armature, bend) for bend in bends_of(bones)]
    reach = reach_of(bones)
    return made if reach is None else [*made, reach_bone(armature, reach)]


def leg_bones(armature: bpy.types.Armature, leg: Leg) -> list[ControlBone]:
    """Control, roll, toe, target, pole. The control turns about the toe's tip, where the foot stands on the ground, and the roll about
    the knuckle: together with the toe's control they reach every pose that foot and toe can have."""
    thigh, shin, foot, toe = (armature.bones[name] for name in leg.bones)
    root = base(armature)
    length = max(toe.length, SHORTEST * foot.length)
    tip, line = toe.tail_local.copy(), line_of(armature, leg)
    reach = thigh.length + shin.length
    level = thigh.head_local + line * line.dot(thigh.tail_local - thigh.head_local)
    pole = level + bend_direction(armature, leg) * reach * POLE_DISTANCE
    return [
        ControlBone(leg.control, tip, tip + FORWARD * length, UP, root),
        ControlBone(leg.roll, foot.tail_local.copy(), foot.head_local.copy(), -z_of(foot), leg.control),
        ControlBone(leg.toe_control, *place_of(toe), leg.control),
        ControlBone(leg.target, *place_of(foot), leg.roll, mechanism=True),
        ControlBone(leg.pole, pole, pole + FORWARD * reach * POLE_LENGTH, UP, leg.body),
    ]


def bend_bone(armature: bpy.types.Armature, bend: Bend) -> ControlBone:
    """Stands as the chain's last bone does, and goes with what carries the chain."""
    first, last = armature.bones[bend.bones[0]], armature.bones[bend.bones[-1]]
    return ControlBone(bend.control, *place_of(last), first.parent.name if first.parent is not None else base(armature))


def reach_bone(armature: bpy.types.Armature, reach: Reach) -> ControlBone:
    """Stands as the head does, and goes with the chest: a body that sinks or walks off takes its head along."""
    return ControlBone(reach.control, *place_of(armature.bones[reach.end]), reach.body)


def base(armature: bpy.types.Armature) -> str | None:
    """The bone that moves it all, where the artist has not deleted it."""
    return "root" if "root" in armature.bones else None


def place_of(bone: bpy.types.Bone) -> tuple[Vector, Vector, Vector]:
    """Head, tail and local Z axis of a bone at rest."""
    return bone.head_local.copy(), bone.tail_local.copy(), z_of(bone)


def z_of(bone: bpy.types.Bone) -> Vector:
    """A bone's local Z axis at rest, in armature space."""
    return bone.matrix_local.to_3x3().col[2].copy()


def bend_direction(armature: bpy.types.Armature, leg: Leg) -> Vector:
    """(3,) unit: forward from the knee or backward from the elbow, across the line from hip to hock and across the thigh's bend axis.

    Not from where the knee stands off that line: a nearly straight leg's knee stands off it sideways as much as forward.
    """
    line = line_of(armature, leg)
    axis = armature.bones[leg.thigh].matrix_local.to_3x3().col[0]
    return (axis.cross(line) * leg.bend).normalized()


def line_of(armature: bpy.types.Armature, leg: Leg) -> Vector:
    """(3,) unit, from the hip to the hock (shoulder joint to wrist) at rest."""
    return (armature.bones[leg.shin].tail_local - armature.bones[leg.thigh].head_local).normalized()


def pole_angle(armature: bpy.types.Armature, leg: Leg, pole: Vector) -> float:
    """The constraint's pole angle with which a pole there leaves the leg exactly at rest. pole: armature space. Radians in (-pi, pi].

    Blender's solver turns the leg about the line from hip to hock until cos(angle) X + sin(angle) Z of the thigh has the pole's side
    of it (`ConstrainPoleVector` in iksolver/IK_QJacobianSolver.cpp); with the line's direction taken out, two equations are left.
    """
    thigh = armature.bones[leg.thigh]
    line = line_of(armature, leg)
    side = across(pole - thigh.head_local, line)
    beside = line.cross(side)
    turned: Matrix = thigh.matrix_local.to_3x3()
    x_axis, z_axis = turned.col[0], turned.col[2]
    angle = math.atan2(-x_axis.dot(beside), z_axis.dot(beside))
    if up_axis(turned, angle).dot(side) < 0:
        angle += math.pi
    return math.remainder(angle, math.tau)


def up_axis(thigh: Matrix, angle: float) -> Vector:
    """(3,) what the solver turns towards the pole. thigh: (3, 3) its axes, columns X Y Z."""
    return thigh.col[0] * math.cos(angle) + thigh.col[2] * math.sin(angle)


def across(vector: Vector, line: Vector) -> Vector:
    """(3,) unit: the vector without its part along a unit line."""
    return (vector - line * vector.dot(line)).normalized()
