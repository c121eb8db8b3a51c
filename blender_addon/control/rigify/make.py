"""Gives a creature a control rig, and takes it away again: what stood before stands after.

Of the artist's own state only what follows from it changes: the creature's armature is driven and hidden, and where it was active,
selected or in Pose Mode, the control rig takes its place. What was before is written on the control rig, so that a saved file has it.
"""

from __future__ import annotations

import zlib

import bpy
import numpy as np

from ...link.errors import LinkError
from ...scene.creature import NUMBER, ROLE, control_rig_of
from ...scene.place import pose_is_ours
from . import addon, checks, generate, legs, names, skeleton, snap
from .apart import scene_apart

BEFORE = "menagerie_before"
"""Custom property of the control rig: whether the creature's armature was hidden, and drawn in front."""
UNTOUCHED = "menagerie_untouched"
"""Of the same: a stamp of its controls as they were made in the photo's pose, to know later whether the artist has set any."""
INSIDE = ("MCH-", "ORG-", "DEF-")
"""Beginnings of the names of bones that are no controls."""
KINDS = ("collections", "objects", "meshes", "armatures", "texts")
"""Kinds of data that a control rig is made of, users before what they use."""


def make_control_rig(context: bpy.types.Context, rig: bpy.types.Object) -> bpy.types.Object:
    """The control rig of a creature's armature, in the creature's present pose, legs in IK.

    Raises LinkError as `checks.check_creature` does, and rigify_missing, rigify_failed; then nothing has changed.
    """
    checks.check_creature(rig)
    skeleton.untie(rig)  # from a control rig that was deleted by hand
    pose, ours = snap.pose_of(rig), pose_is_ours(rig)
    before = {kind: set(getattr(bpy.data, kind)) for kind in KINDS}
    posing = leave_pose_mode(rig)
    try:
        addon.enable()
        with scene_apart(context) as scene:
            control = generate.generate(scene, rig, f"{rig.name} control")
            snap.snap(control, pose)
            for leg in names.LEGS:
                legs.switch(control, leg, to_fk=False)
    except BaseException:  # an interrupt too: nothing half made stays, and the reason goes on
        for kind in KINDS:
            bpy.data.batch_remove([block for block in getattr(bpy.data, kind) if block not in before[kind]])
        addon.disable()
        if posing:
            bpy.ops.object.mode_set(mode="POSE")
        raise
    place(rig, control)
    skeleton.tie(rig, control)
    control[BEFORE] = {"hidden": is_hidden(context, rig), "in_front": rig.show_in_front}
    rig.show_in_front = False
    if ours:
        control[UNTOUCHED] = stamp(control)
    take_place(context, rig, control, posing)
    return control


def remove_control_rig(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Takes the control rig away, with its shapes and its script; the creature's bones stand as before it was made. Actions stay.

    Raises LinkError no_control_rig.
    """
    control = control_rig_of(rig)
    if control is None and not skeleton.ties(rig):
        raise LinkError("no_control_rig", f"{rig.name} has no control rig.", "Make one first.")
    skeleton.untie(rig)
    if control is None:  # deleted by hand
        set_hidden(context, rig, False)
        return
    before = control.get(BEFORE, {})
    posing = leave_pose_mode(control)
    set_hidden(context, rig, False)
    rig.show_in_front = bool(before.get("in_front", True))
    take_place(context, control, rig, posing)
    set_hidden(context, rig, bool(before.get("hidden", False)))
    keep_actions(control)
    generate.forget_script(control)
    delete(control)
    addon.disable()


def is_control(name: str) -> bool:
    """Whether a bone of the control rig, by its name, is one that the artist moves."""
    return not name.startswith(INSIDE)


def stamp(control: bpy.types.Object) -> str:
    """What the controls' channels and numbers are."""
    total = 0
    for bone in control.pose.bones:
        if is_control(bone.name):
            numbers = [n for row in bone.matrix_basis for n in row] + [bone[key] for key in sorted(bone.keys()) if is_number(bone[key])]
            total = zlib.crc32(np.array(numbers, np.float32).tobytes(), total)
    return f"{total:08x}"


def is_number(value: object) -> bool:
    """Whether a property is one number."""
    return isinstance(value, int | float)


def is_untouched(control: bpy.types.Object) -> bool:
    """Whether the control rig plays nothing and shows the photo's pose as it was made in it."""
    animation = control.animation_data
    plays = animation is not None and (animation.action is not None or animation.nla_tracks)
    return not plays and control.get(UNTOUCHED) == stamp(control)


def place(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Puts the control rig beside the creature's armature, carried by it."""
    for collection in rig.users_collection:
        collection.objects.link(control)
    control.parent = rig
    control.show_in_front = rig.show_in_front
    control[ROLE] = "control_rig"
    if NUMBER in rig:
        control[NUMBER] = rig[NUMBER]


def leave_pose_mode(thing: bpy.types.Object) -> bool:
    """Ends Pose Mode where the object is in it -> whether it was."""
    if thing.mode != "POSE":
        return False
    bpy.ops.object.mode_set(mode="OBJECT")
    return True


def take_place(context: bpy.types.Context, old: bpy.types.Object, new: bpy.types.Object, posing: bool) -> None:
    """Hides one armature and lets the other be active, selected and in Pose Mode where that one was."""
    layer = context.view_layer
    if old.name not in layer.objects or new.name not in layer.objects:
        return
    if old.select_get():
        new.select_set(True)
    if layer.objects.active == old:
        layer.objects.active = new
    set_hidden(context, old, True)
    if posing:
        bpy.ops.object.mode_set(mode="POSE")


def is_hidden(context: bpy.types.Context, thing: bpy.types.Object) -> bool:
    """Whether the eye beside it in the outliner is shut."""
    return thing.name in context.view_layer.objects and thing.hide_get()


def set_hidden(context: bpy.types.Context, thing: bpy.types.Object, hidden: bool) -> None:
    """Shuts or opens that eye, in a view layer that has the object."""
    if thing.name in context.view_layer.objects:
        thing.hide_set(hidden)


def keep_actions(control: bpy.types.Object) -> None:
    """What was animated on the control rig outlives it."""
    animation = control.animation_data
    if animation is None:
        return
    strips = [strip.action for track in animation.nla_tracks for strip in track.strips]
    for action in {animation.action, *strips} - {None}:
        action.use_fake_user = True


def delete(control: bpy.types.Object) -> None:
    """Removes the object with its bones, their shapes, and Rigify's script."""
    shapes = {bone.custom_shape for bone in control.pose.bones if bone.custom_shape is not None}
    data, script = control.data, control.get("rig_ui")
    bpy.data.objects.remove(control)
    if data.users == 0:
        bpy.data.armatures.remove(data)
    if isinstance(script, bpy.types.Text):
        bpy.data.texts.remove(script)
    unused = [shape for shape in shapes if shape.users == 0]
    meshes = {shape.data for shape in unused}
    bpy.data.batch_remove(unused)
    bpy.data.batch_remove([mesh for mesh in meshes if mesh is not None and mesh.users == 0])
