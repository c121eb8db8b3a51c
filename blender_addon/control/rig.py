"""Add IK, fit it to another rest pose, take it away again.

Enters: an armature object of ours. What is added: control bones, marked and in two bone collections of their own, none deforming;
one constraint on each bone that follows, its influence driven by the limb's switch with a driver that needs no script. The creature's
own bones keep their channels, parents and constraints, so taking everything marked away leaves what was.
Stages: control bones in Edit Mode (no constraint may be touched there), then everything of the pose.
"""

from __future__ import annotations

import bpy

from ..link.errors import LinkError
from ..scene.armature import edit_mode
from ..scene.bone_groups import PALETTES
from . import dress, layout
from .limbs import MARK, SWITCH, Bend, Leg, Reach, bends_of, legs_of, reach_of

STILL_FITS = 1e-3
"""How far a joint may be from its control, over the bone's length."""
CONTROLS, MECHANISM = "IK controls", "IK mechanism"
"""Bone collections: what an artist moves, and what they need not see."""
CONSTRAINT = "Menagerie IK"
"""Name of every constraint of ours; no bone has two."""
PALETTE_OF = {"spine_bend": "torso", "tail_bend": "tail", "head_ik": "neck and head"}
"""Control -> the bone collection whose colour it has."""


def has_controls(rig: bpy.types.Object) -> bool:
    """True once IK has been added."""
    return any(MARK in bone for bone in rig.data.bones)


def limbs_of(rig: bpy.types.Object) -> list[Leg | Reach]:
    """What has a switch: the legs, and the neck that follows the head."""
    bones = rig.data.bones
    reach = reach_of(bones)
    limbs: list[Leg | Reach] = [*legs_of(bones), *([reach] if reach is not None else [])]
    return [limb for limb in limbs if limb.control in bones and MARK in bones[limb.control]]


def is_stale(rig: bpy.types.Object) -> bool:
    """True if bones of a leg, or of the neck, rest elsewhere than when the controls were fitted: the artist has edited them."""
    bones = rig.data.bones
    twins = [(limb.foot, limb.target) if isinstance(limb, Leg) else (limb.end, limb.control) for limb in limbs_of(rig)]
    twins += [(limb.toe, limb.toe_control) for limb in limbs_of(rig) if isinstance(limb, Leg)]
    return any((bones[one].head_local - bones[other].head_local).length > STILL_FITS * bones[one].length for one, other in twins)


def legs(rig: bpy.types.Object) -> list[Leg]:
    """The legs that have controls."""
    return [limb for limb in limbs_of(rig) if isinstance(limb, Leg)]


def check_editable(rig: bpy.types.Object) -> None:
    """Raises LinkError bad_request where bones cannot be made now."""
    if rig.mode == "EDIT":
        raise LinkError("bad_request", f"{rig.name} is being edited.", "Go back to Object Mode or Pose Mode and try again.")
    if rig.library is not None or rig.data.library is not None:
        raise LinkError("bad_request", f"{rig.name} is linked from another file.", "Open that file and change the creature there.")


def check_free(rig: bpy.types.Object) -> None:
    """Raises LinkError bad_request where no controls can be made: with what stands in the way."""
    check_editable(rig)
    if has_controls(rig):
        raise LinkError("bad_request", f"{rig.name} has IK already.", "Remove it first to make it anew.")
    if not legs_of(rig.data.bones):
        raise LinkError("bad_request", f"{rig.name} has no whole leg of a quadruped.", "IK needs thigh, shin, foot and toe of a leg.")
    driver = driving_rig(rig)
    if driver is not None:
        remedy = "Remove that control rig first: two cannot pose one creature."
        raise LinkError("bad_request", f"{rig.name} is driven by {driver.name}.", remedy)
    taken = [bone.name for bone in layout.plan_bones(rig.data) if bone.name in rig.data.bones]
    if taken:
        raise LinkError("bad_request", f"{rig.name} has a bone of its own named {taken[0]}.", "Rename it and try again.")


def build_controls(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Makes control bones and constraints, every switch at 0: nothing moves."""
    plan = layout.plan_bones(rig.data)
    write_bones(context, rig, plan)
    equip(rig, plan)


def driving_rig(rig: bpy.types.Object) -> bpy.types.Object | None:
    """Another armature that the legs follow by constraints: a control rig of another kind."""
    targets = (
        getattr(constraint, "target", None)
        for leg in legs_of(rig.data.bones)
        for name in leg.bones
        for constraint in rig.pose.bones[name].constraints
        if not constraint.mute
    )
    return next((target for target in targets if target is not None and target != rig and target.type == "ARMATURE"), None)


def refit_controls(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Moves the controls to where the creature's bones rest now, and makes what its new bones allow. Channels and keys stay."""
    plan = layout.plan_bones(rig.data)
    plan = [bone for bone in plan if bone.name not in rig.data.bones or MARK in rig.data.bones[bone.name]]
    write_bones(context, rig, plan)
    equip(rig, plan)


def write_bones(context: bpy.types.Context, rig: bpy.types.Object, plan: list[layout.ControlBone]) -> None:
    """Makes or moves the planned bones. Enters and leaves Edit Mode."""
    with edit_mode(context, rig):
        bones = rig.data.edit_bones
        for planned in plan:
            found = bones.get(planned.name)
            bone = bones.new(planned.name) if found is None else found
            if found is None:
                bone[MARK] = True
            bone.use_connect = False
            bone.head, bone.tail = planned.head, planned.tail
            bone.align_roll(planned.z_axis)
            bone.parent = bones[planned.parent] if planned.parent is not None else None
            bone.use_deform = False


def equip(rig: bpy.types.Object, plan: list[layout.ControlBone]) -> None:
    """Everything but the bones: collections, colours, shapes, locks, switches, constraints and their drivers."""
    sort_bones(rig, plan)
    bones, made = rig.data.bones, {bone.name for bone in plan}
    for leg in legs_of(bones):
        if leg.control in made:
            equip_leg(rig, leg)
    for bend in bends_of(bones):
        if bend.control in made:
            equip_bend(rig, bend)
    reach = reach_of(bones)
    if reach is not None and reach.control in made:
        equip_reach(rig, reach)
    dress.dress_controls(rig)


def sort_bones(rig: bpy.types.Object, plan: list[layout.ControlBone]) -> None:
    """Collections and colours of bones that have none yet; what the artist has moved elsewhere stays there."""
    armature = rig.data
    for name in (CONTROLS, MECHANISM):
        if name not in armature.collections:
            armature.collections.new(name).is_visible = name != MECHANISM
    palettes = {name: leg.name for leg in legs_of(armature.bones) for name in (*leg.controls, leg.target)} | PALETTE_OF
    for planned in plan:
        bone = armature.bones[planned.name]
        if not bone.collections:
            armature.collections[MECHANISM if planned.mechanism else CONTROLS].assign(bone)
            bone.color.palette = PALETTES[palettes[planned.name]]
            bone.hide_select = planned.mechanism


def equip_leg(rig: bpy.types.Object, leg: Leg) -> None:
    """Thigh and shin reach for the hock, foot and toe turn as their controls."""
    bones = rig.pose.bones
    ensure_switch(bones[leg.control])
    lock(bones[leg.roll], location=True)
    lock(bones[leg.toe_control], location=True)
    lock(bones[leg.pole], rotation=True)
    chain = ensure_constraint(rig, leg.shin, "IK", leg.target)
    chain.chain_count, chain.use_stretch = 2, False
    chain.pole_target, chain.pole_subtarget = rig, leg.pole
    chain.pole_angle = layout.pole_angle(rig.data, leg, rig.data.bones[leg.pole].head_local)
    drive(rig, chain, leg.control)
    for bone, target in ((leg.foot, leg.target), (leg.toe, leg.toe_control)):
        drive(rig, ensure_constraint(rig, bone, "COPY_ROTATION", target), leg.control)


def equip_bend(rig: bpy.types.Object, bend: Bend) -> None:
    """Each bone adds its share of the control's rotation after its own: an untouched control changes nothing."""
    lock(rig.pose.bones[bend.control], location=True)
    for bone in bend.bones:
        share = ensure_constraint(rig, bone, "COPY_ROTATION", bend.control)
        share.owner_space = share.target_space = "LOCAL"
        share.mix_mode, share.influence = "AFTER", 1 / len(bend.bones)


def equip_reach(rig: bpy.types.Object, reach: Reach) -> None:
    """The neck reaches for the head's control, the head turns as it does."""
    ensure_switch(rig.pose.bones[reach.control])
    chain = ensure_constraint(rig, reach.chain[-1], "IK", reach.control)
    chain.chain_count, chain.use_stretch = len(reach.chain), False
    drive(rig, chain, reach.control)
    drive(rig, ensure_constraint(rig, reach.end, "COPY_ROTATION", reach.control), reach.control)


def lock(bone: bpy.types.PoseBone, location: bool = False, rotation: bool = False) -> None:
    """Locks what would do nothing, and scale."""
    bone.lock_location = (location,) * 3
    bone.lock_rotation, bone.lock_rotation_w = (rotation,) * 3, rotation
    bone.lock_scale = (True,) * 3


def ensure_switch(bone: bpy.types.PoseBone) -> None:
    """The control's IK/FK property, at 0 where it is new."""
    bone.lock_scale = (True,) * 3
    if SWITCH in bone:
        return
    bone[SWITCH] = 0.0
    bone.id_properties_ui(SWITCH).update(
        min=0.0, max=1.0, soft_min=0.0, soft_max=1.0, default=1.0, description="0 shows the bones' own rotations, 1 the IK controls"
    )
    bone.property_overridable_library_set(f'["{SWITCH}"]', True)


def ensure_constraint(rig: bpy.types.Object, bone: str, kind: str, target: str) -> bpy.types.Constraint:
    """Our constraint on the bone, made if absent."""
    constraints = rig.pose.bones[bone].constraints
    active = constraints.active
    constraint = constraints.get(CONSTRAINT) or constraints.new(kind)
    constraints.active = active  # what the artist has open stays open
    constraint.name = CONSTRAINT
    constraint.target, constraint.subtarget = rig, target
    return constraint


def drive(rig: bpy.types.Object, constraint: bpy.types.Constraint, control: str) -> None:
    """The switch drives the influence: as the average of one property, which Blender evaluates with auto-run off."""
    constraint.driver_remove("influence")
    driver = constraint.driver_add("influence").driver
    driver.type = "AVERAGE"
    target = driver.variables.new().targets[0]
    target.id = rig
    target.data_path = f'pose.bones["{bpy.utils.escape_identifier(control)}"]["{SWITCH}"]'


def ours(bone: bpy.types.PoseBone) -> list[bpy.types.Constraint]:
    """The bone's constraints that are of our making."""
    return [constraint for constraint in bone.constraints if constraint.name == CONSTRAINT]


def dismantle(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Takes away whatever `build_controls` made. What hung on a control hangs on the control's own carrier then.

    The pose shows the FK channels afterwards: the caller has written there what must stay. Raises LinkError bad_request.
    """
    check_editable(rig)
    for bone in rig.pose.bones:
        active = bone.constraints.active
        active = None if active is None or active in ours(bone) else active.name
        for constraint in ours(bone):
            constraint.driver_remove("influence")
            bone.constraints.remove(constraint)
        if active is not None:  # removing another one has closed it
            bone.constraints.active = bone.constraints[active]
    with edit_mode(context, rig):
        bones = rig.data.edit_bones
        for bone in [bone for bone in bones if MARK in bone]:
            for child in bone.children:
                child.use_connect = False
                child.parent = bone.parent
            bones.remove(bone)
    for name in (CONTROLS, MECHANISM):
        collection = rig.data.collections.get(name)
        if collection is not None and not collection.bones and not collection.children:
            rig.data.collections.remove(collection)
    animation = rig.animation_data
    if animation is not None and animation.action is None and not animation.drivers and not animation.nla_tracks:
        rig.animation_data_clear()
