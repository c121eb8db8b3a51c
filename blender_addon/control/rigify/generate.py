"""Rigify makes its rig: a metarig enters, the generated rig leaves with a bone for each of the creature's. Runs in a scene apart.

What Rigify leaves beside the rig is cleared up: its metarig goes, its widgets stay as the bones' shapes in no collection (they would
stand in the outliner, and in what exporters walk), the deforming bones bend as straight as the creature's own.
"""

from __future__ import annotations

import contextlib
import io

import bpy

from ...link.errors import LinkError
from ...scene.bone_groups import PALETTES
from . import metarig, names

REACH = 1.035
"""How far beyond its length Rigify lets a leg reach, even with stretching turned off."""
DETAILS = (" FK", " tweak")
"""Endings of collections that are hidden at first."""


def generate(scene: bpy.types.Scene, rig: bpy.types.Object, name: str) -> bpy.types.Object:
    """A control rig for the creature `rig` at the world's origin, at rest, linked to `scene`, in Object Mode.

    Raises LinkError rigify_failed with Rigify's own words.
    """
    before = set(bpy.data.armatures)
    source = metarig.build_metarig(scene, rig, f"{name} metarig")
    source.data.rigify_rig_basename = name
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its timings
            bpy.ops.pose.rigify_generate()
    except RuntimeError as reported:
        words = str(reported).strip().removeprefix("Error: ").splitlines()[0]
        raise LinkError("rigify_failed", f"Rigify says: {words}", "Correct the bones it names, or update the creature.") from reported
    made = source.data.rigify_target_rig
    if bpy.app.background:  # nobody sees its panels there, and Blender as a module could not end while they are registered
        forget_script(made)
    free_widgets(source.data.rigify_widgets_collection)
    bpy.data.armatures.remove(source.data)  # its object goes with it
    bpy.data.batch_remove([data for data in bpy.data.armatures if data not in before and data.users == 0])  # joined to the rig
    add_skeleton(made, rig.data)
    stop_stretching(made)
    tidy(made)
    return made


def forget_script(made: bpy.types.Object) -> None:
    """Unregisters the panels and operators of this rig's own that Rigify's script has registered."""
    for name in [name for name in dir(bpy.types) if name.endswith(made.data["rig_id"])]:
        bpy.utils.unregister_class(getattr(bpy.types, name))


def free_widgets(collection: bpy.types.Collection) -> None:
    """Removes the collection of widgets; what isn't a bone's shape goes with it."""
    for widget in list(collection.objects):
        if widget.users == 1:
            bpy.data.objects.remove(widget)
    bpy.data.collections.remove(collection)


def add_skeleton(made: bpy.types.Object, data: bpy.types.Armature) -> None:
    """Adds a bone for each of the creature's, standing as it stands at rest, carried by the bone it is modelled on; those of the
    legs follow the tweak controls as well, which Rigify's own original bones don't."""
    given = ["root", *metarig.given_bones(data)]
    bpy.context.view_layer.objects.active = made
    bpy.ops.object.mode_set(mode="EDIT")
    for name in given:
        here = data.bones[name]
        bone = made.data.edit_bones.new(names.skeleton_bone(name))
        bone.head, bone.tail = here.head_local, here.tail_local
        bone.align_roll(here.matrix_local.col[2].to_3d())
        bone.parent = made.data.edit_bones[names.source(name)]
        bone.use_deform = False
        bone.inherit_scale = "AVERAGE"  # uneven stretching would shear the bones beyond, which no channel and no game engine holds
    bpy.ops.object.mode_set(mode="OBJECT")
    home = made.data.collections_all["MCH"]
    for name in given:
        home.assign(made.data.bones[names.skeleton_bone(name)])
    for leg, chain in names.LEGS.items():
        for before, name, following in zip((None, *chain), chain, (*chain[1:], None), strict=False):
            follow_tweaks(made, before, name, following)
        for name in chain[:2]:
            add_twist(made, leg, name)


def follow_tweaks(made: bpy.types.Object, before: str | None, name: str, following: str | None) -> None:
    """Lets a leg's skeleton bone begin at its tweak control and point at the next bone's; at rest these change nothing. The toe begins
    where the foot ends: Rigify leaves it behind, with its control, where the leg cannot reach."""
    bone = made.pose.bones[names.skeleton_bone(name)]
    start = bone.constraints.new("COPY_LOCATION")
    start.target = made
    if following is None and before is not None:
        start.subtarget, start.head_tail = names.skeleton_bone(before), 1.0
    else:
        start.subtarget = names.tweak(name)
    if following is not None:
        end = bone.constraints.new("DAMPED_TRACK")
        end.target, end.subtarget, end.track_axis = made, names.tweak(following), "TRACK_Y"


def add_twist(made: bpy.types.Object, leg: str, name: str) -> None:
    """Lets an upper or lower leg keep, in IK, a turn about its own length that no two-bone IK has: `legs` sets it. Blender works out so
    simple an expression itself, where scripts may not run too."""
    bone = made.pose.bones[names.skeleton_bone(name)]
    bone.rotation_mode = "XYZ"
    bone[names.TWIST] = 0.0
    driver = bone.driver_add("rotation_euler", 1).driver
    driver.type, driver.expression = "SCRIPTED", "twist * (1 - fk)"
    for word, owner, key in (("twist", bone.name, names.TWIST), ("fk", names.switch_bone(leg), names.IK_FK)):
        variable = driver.variables.new()
        variable.name = word
        variable.targets[0].id = made
        variable.targets[0].data_path = f'pose.bones["{owner}"]["{key}"]'


def stop_stretching(made: bpy.types.Object) -> None:
    """Legs keep their length in IK: what stretches is held by no connected bone's channels and by no game engine."""
    for bone in made.pose.bones:
        bone.ik_stretch = 0.0
        for constraint in bone.constraints:
            if constraint.type == "LIMIT_DISTANCE":
                constraint.distance /= REACH
    for leg in names.LEGS:
        made.pose.bones[names.switch_bone(leg)]["IK_Stretch"] = 0.0


def tidy(made: bpy.types.Object) -> None:
    """Straight deforming bones, the creature's colours on the controls, and only what one poses with at first in view."""
    for bone in made.data.bones:
        bone.bbone_segments = 1
    for collection in made.data.collections_all:
        title = next((collection.name.removesuffix(ending) for ending in DETAILS if collection.name.endswith(ending)), collection.name)
        palette = PALETTES.get(title.lower())
        if palette is None:
            continue
        for bone in collection.bones:
            bone.color.palette = palette
        collection.is_visible = collection.name == title
