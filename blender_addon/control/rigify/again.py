"""A control rig is made anew for bones that rest elsewhere, after an Update: what the artist has set on its controls goes over.

`let_go` frees the creature's bones, `make_again` gives them a new control rig and takes the old one away. Kept by the controls' names:
channels, properties, keys and NLA strips, drivers and constraints of the artist's own, which controls are in view, and whatever in the
file refers to the rig. A control rig that nobody has touched shows the new photo's pose instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

from ... import compat
from ...link.errors import LinkError
from ...scene.creature import ROLE, control_rig_of
from . import generate, make, skeleton

MODES = ("OBJECT", "POSE")
CHANNELS = ("location", "rotation_quaternion", "rotation_axis_angle", "rotation_euler", "scale")
PLACE = ("location", "rotation_mode", "rotation_quaternion", "rotation_axis_angle", "rotation_euler", "scale", "show_in_front")
"""Of the object itself, which the creature's armature carries."""
STRIP = (
    "frame_start", "frame_end", "action_frame_start", "action_frame_end", "scale", "repeat", "blend_type", "extrapolation", "blend_in",
    "blend_out", "use_auto_blend", "use_reverse", "use_animated_influence", "influence", "use_animated_time", "use_animated_time_cyclic",
    "mute",
)  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """The control rig that was let go; untouched: it stands as it was made; posing: it was in Pose Mode."""

    control: bpy.types.Object
    untouched: bool
    posing: bool


def check(rig: bpy.types.Object | None) -> None:
    """Raises LinkError control_rig_exists where the creature has a control rig that this Blender could not make again."""
    if control_rig_of(rig) is not None and not compat.RIGIFY_HOLDS:
        remedy = "Bake what you animated and remove the control rig first, or use Blender 4.5 or newer."
        raise LinkError("control_rig_exists", f"{rig.name} has a control rig, which would not fit the new bones.", remedy)


def let_go(context: bpy.types.Context, rig: bpy.types.Object) -> Kept | None:
    """The creature's bones no longer follow the control rig -> that, None where there is none.

    Raises LinkError as `check`, and bad_request where Blender is in a mode in which no control rig can be made.
    """
    control = control_rig_of(rig)
    if control is None:
        return None
    check(rig)
    if context.mode not in MODES:
        raise LinkError("bad_request", f"{rig.name} has a control rig.", "Go back to Object Mode and place the result again.")
    untouched = make.is_untouched(control)
    posing = make.leave_pose_mode(control)
    skeleton.untie(rig)
    return Kept(control, untouched, posing)


def tie_again(kept: Kept) -> None:
    """Takes `let_go` back: the bones rest where they did."""
    skeleton.tie(kept.control.parent, kept.control)
    if kept.posing:
        bpy.ops.object.mode_set(mode="POSE")


def make_again(context: bpy.types.Context, rig: bpy.types.Object, kept: Kept) -> bpy.types.Object:
    """The new control rig in the old one's place. Raises LinkError as `make_control_rig`: then the old one stands, with all that was set
    on it, and the creature's bones don't follow it."""
    old = kept.control
    name, data_name, before = old.name, old.data.name, old.get(make.BEFORE)
    was_active, was_selected = context.view_layer.objects.active == old, old.select_get()
    del old[ROLE]
    old.name, old.data.name = f"{name} old", f"{data_name} old"
    try:
        new = make.make_control_rig(context, rig)
    except BaseException:  # an interrupt too: the old one is what it was
        old[ROLE], old.name, old.data.name = "control_rig", name, data_name
        raise
    if not kept.untouched:
        carry_controls(old, new)
        carry_animation(old, new)
    for collection in old.data.collections_all:
        if collection.name in new.data.collections_all:
            new.data.collections_all[collection.name].is_visible = collection.is_visible
    for prop in PLACE:
        setattr(new, prop, getattr(old, prop))
    if before is not None:
        new[make.BEFORE] = before
    if was_selected:
        new.select_set(True)
    generate.forget_script(old)
    old.user_remap(new)  # what else in the file looks at it
    make.delete(old)
    new.name, new.data.name = name, data_name
    if was_active:
        context.view_layer.objects.active = new
        if kept.posing:
            bpy.ops.object.mode_set(mode="POSE")
    return new


def carry_controls(old: bpy.types.Object, new: bpy.types.Object) -> None:
    """Channels, properties and the artist's own constraints of every control that both have."""
    for bone in old.pose.bones:
        twin = new.pose.bones.get(bone.name)
        if twin is None:
            continue
        carry_properties(bone, twin)
        if not make.is_control(bone.name):
            continue
        twin.rotation_mode = bone.rotation_mode
        for channel in CHANNELS:
            setattr(twin, channel, getattr(bone, channel))
        for constraint in bone.constraints:
            if constraint.name not in twin.constraints:
                twin.constraints.copy(constraint)
    new.update_tag()


def carry_properties(bone: bpy.types.PoseBone, twin: bpy.types.PoseBone) -> None:
    """Numbers and words; Rigify's parameters are groups, and the new bone's own."""
    for key in bone.keys():
        if not isinstance(bone[key], int | float | str):
            continue
        fresh = key not in twin
        twin[key] = bone[key]
        if fresh:
            twin.id_properties_ui(key).update_from(bone.id_properties_ui(key))


def carry_animation(old: bpy.types.Object, new: bpy.types.Object) -> None:
    """The action that plays, the NLA tracks, and drivers that Rigify has not made."""
    animation = old.animation_data
    if animation is None:
        return
    fresh = new.animation_data_create()
    made = {(curve.data_path, curve.array_index) for curve in fresh.drivers}
    for curve in animation.drivers:
        if (curve.data_path, curve.array_index) not in made:
            fresh.drivers.from_existing(src_driver=curve)
    for track in animation.nla_tracks:
        carry_track(track, fresh)
    if animation.action is not None:
        fresh.action = animation.action
        compat.assign_slot(new, compat.slot_of(old))


def carry_track(track: bpy.types.NlaTrack, fresh: bpy.types.AnimData) -> None:
    """A track with its strips of actions."""
    twin = fresh.nla_tracks.new()
    twin.name, twin.mute, twin.is_solo = track.name, track.mute, track.is_solo
    for strip in track.strips:
        if strip.action is None:
            continue
        copy = compat.new_strip(twin, strip.name, round(strip.frame_start), strip.action)
        values: dict[str, Any] = {prop: getattr(strip, prop) for prop in STRIP}
        for prop in ("frame_end", *STRIP):  # the end first: a start past it would push it
            setattr(copy, prop, values[prop])
