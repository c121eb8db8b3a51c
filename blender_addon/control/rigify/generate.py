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
    for chain in names.LEGS.values():
        for name, following in zip(chain, (*chain[1:], None), strict=True):
            follow_tweaks(made, name, following)


def follow_tweaks(made: bpy.types.Object, name: str, following: str | None) -> None:
    """Lets a leg's skeleton bone begin at its tweak control and point at the next bone's; at rest these change nothing."""
    bone = made.pose.bones[names.skeleton_bone(name)]
    start = bone.constraints.new("COPY_LOCATION")
    start.target, start.subtarget = made, names.tweak(name)
    end = bone.constraints.new("DAMPED_TRACK")
    end.target, end.subtarget = made, names.tweak(following) if following else names.source(name)
    end.head_tail = 0.0 if following else 1.0
    end.track_axis = "TRACK_Y"


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
