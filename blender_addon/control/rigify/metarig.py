"""The creature's bones as Rigify wants them: an armature object enters, a metarig leaves, linked to the scene that is given.

Bones stand where the creature's stand at rest, under Rigify's names, connected where Rigify needs a chain. Rigify must be enabled:
its parameters are properties that it registers. Operators run in the window's scene (`apart`).
"""

from __future__ import annotations

import bpy

from . import names

JOINED = 1e-3
"""Head and tail that are nearer than this, in lengths of the bone, are one joint."""
ROWS = {"torso": 1, "neck and head": 4, "tail": 6, "front leg": 8, "hind leg": 12, "root": 16}
"""Group -> its first row of buttons in Rigify's own panel."""
KINDS = {"torso": ("", " FK", " tweak"), "neck and head": ("", " tweak"), "tail": ("",)}
"""Group -> the endings of its collections' names; legs have the torso's."""


def build_metarig(scene: bpy.types.Scene, rig: bpy.types.Object, name: str) -> bpy.types.Object:
    """A metarig of the creature `rig` at the world's origin, in Object Mode, active in the window's scene `scene`."""
    data = bpy.data.armatures.new(name)
    owner = bpy.data.objects.new(name, data)
    scene.collection.objects.link(owner)
    bpy.context.view_layer.objects.active = owner
    owner.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    write_bones(data, rig.data)
    bpy.ops.object.mode_set(mode="OBJECT")
    homes = build_collections(data)
    for bone in given_bones(rig.data):
        homes[group(bone)].assign(data.bones[names.METARIG[bone]])
    write_types(owner, rig.data, homes)
    return owner


def given_bones(data: bpy.types.Armature) -> list[str]:
    """The creature's bones that Rigify is given, parents before children; what the artist added is left out."""
    return [name for name in names.METARIG if name in data.bones]


def write_bones(made: bpy.types.Armature, data: bpy.types.Armature) -> None:
    """Copies the bones' rests. Edit Mode of `made`."""
    given = given_bones(data)
    for name in given:
        bone = made.edit_bones.new(names.METARIG[name])
        here = data.bones[name]
        bone.head, bone.tail = here.head_local, here.tail_local
        bone.align_roll(here.matrix_local.col[2].to_3d())
    for name in given:
        if name not in names.PARENTS:
            continue
        bone, parent = (made.edit_bones[names.METARIG[each]] for each in (name, names.PARENTS[name]))
        bone.parent = parent
        if name not in (*names.FIRST, *names.ADDED):
            bone.head = parent.tail
            bone.use_connect = True


def is_joined(data: bpy.types.Armature, bone: str) -> bool:
    """Whether a bone begins where its parent in Rigify's chain ends."""
    here, parent = data.bones[bone], data.bones[names.PARENTS[bone]]
    return (here.head_local - parent.tail_local).length < JOINED * max(here.length, parent.length)


def group(bone: str) -> str:
    """The collection of a bone's control: a group of `names.LEGS`, or torso, neck and head, tail. The shoulders are the torso's: a
    leg's collections are shown and hidden as it goes from IK to FK."""
    leg = next((leg for leg, bones in names.LEGS.items() if bone in bones), None)
    if leg is not None:
        return leg
    return "tail" if bone in names.TAIL else "torso" if bone in names.TORSO or bone.startswith("shoulder") else "neck and head"


def build_collections(data: bpy.types.Armature) -> dict[str, bpy.types.BoneCollection]:
    """Collections with their buttons in Rigify's panel, by name: "GROUP", "GROUP FK", "GROUP tweak"."""
    for collection in list(data.collections_all):
        data.collections.remove(collection)
    made = {}
    for title in (*KINDS, *names.LEGS):
        row = ROWS[title.partition(".")[0]]
        for place, kind in enumerate(KINDS.get(title, KINDS["torso"])):
            made[title + kind] = collection = data.collections.new(title + kind)
            collection.rigify_ui_row = row + place
    root = data.collections.new("Root")  # the name that Rigify looks for
    root.rigify_ui_row = ROWS["root"]
    return made


def write_types(owner: bpy.types.Object, data: bpy.types.Armature, homes: dict[str, bpy.types.BoneCollection]) -> None:
    """Tells Rigify what to make of each chain."""
    bones = owner.pose.bones
    for bone in bones:
        bone.rotation_mode = "QUATERNION"
    torso = typed(bones, names.TORSO[0], "spines.basic_spine")
    torso.pivot_pos = names.PIVOT
    refer(torso.fk_coll_refs, homes["torso FK"])
    refer(torso.tweak_coll_refs, homes["torso tweak"])
    neck = typed(bones, names.NECK[0], "spines.super_head")
    neck.connect_chain = True
    refer(neck.tweak_coll_refs, homes["neck and head tweak"])
    tail = [name for name in names.TAIL if name in data.bones]
    if len(tail) > 1:
        free = typed(bones, tail[0], "spines.basic_tail")
        free.connect_chain = False
        # Each control adds to the next. With some axes only, Blender splits turns into Euler angles, in one of two ways at whim.
        free.copy_rotation_axes = (True, True, True)
    for leg, chain in names.LEGS.items():
        limb = typed(bones, chain[0], "limbs.front_paw" if leg.startswith("front") else "limbs.rear_paw")
        limb.segments = limb.bbones = 1
        refer(limb.fk_coll_refs, homes[f"{leg} FK"])
        refer(limb.tweak_coll_refs, homes[f"{leg} tweak"])
    for name in (*names.ADDED, *(tail if len(tail) == 1 else ())):
        if name in data.bones:
            typed(bones, name, "basic.super_copy").super_copy_widget_type = "shoulder" if name.startswith("shoulder") else "circle"


def typed(bones: bpy.types.bpy_prop_collection, name: str, kind: str) -> bpy.types.PropertyGroup:
    """Gives a bone a Rigify type -> its parameters."""
    bone = bones[names.METARIG[name]]
    bone.rigify_type = kind
    return bone.rigify_parameters


def refer(references: bpy.types.bpy_prop_collection, collection: bpy.types.BoneCollection) -> None:
    """Sends a rig's FK or tweak controls to a collection."""
    references.add().set_collection(collection)
