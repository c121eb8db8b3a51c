"""The creature's armature: bones of the asset file enter, an armature object leaves, or an existing one is re-fitted.

Bones can only be edited in Edit Mode. So that mode, selection and view layers of the artist stay as they are, the
object is linked to a scene of its own for that moment, and the operators run with that scene as their context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from mathutils import Vector

from .asset_file import AssetFile
from .bone_groups import PALETTES, group_of


def build_armature(context: bpy.types.Context, asset: AssetFile, name: str) -> bpy.types.Object:
    """An armature object with the asset's bones at rest, in collections with colours; not linked to any scene."""
    armature = bpy.data.armatures.new(name)
    owner = bpy.data.objects.new(name, armature)
    with edit_mode(context, owner):
        write_bones(armature, asset)
    write_groups(armature)
    owner.show_in_front = True
    return owner


def refit_armature(context: bpy.types.Context, owner: bpy.types.Object, asset: AssetFile) -> None:
    """Moves the bones of an armature object to the asset's rest pose and adds what it lacks; bones that the artist
    added, constraints, and poses stay."""
    with edit_mode(context, owner):
        write_bones(owner.data, asset)
    write_groups(owner.data)


@contextmanager
def edit_mode(context: bpy.types.Context, owner: bpy.types.Object) -> Iterator[None]:
    """Edit Mode for one armature object, in a scene made for it and removed afterwards; its mode is put back."""
    mode = owner.mode
    workbench = bpy.data.scenes.new("Menagerie bones")
    try:
        workbench.collection.objects.link(owner)
        layer = workbench.view_layers[0]
        layer.objects.active = owner
        with context.temp_override(
            scene=workbench, view_layer=layer, object=owner, active_object=owner, edit_object=None, selected_objects=[owner]
        ):
            bpy.ops.object.mode_set(mode="EDIT")
            try:
                yield
            finally:
                bpy.ops.object.mode_set(mode=mode if mode != "EDIT" else "OBJECT")
    finally:
        bpy.data.scenes.remove(workbench)


def write_bones(armature: bpy.types.Armature, asset: AssetFile) -> None:
    """Places every bone of the asset; parents stand before children. Edit Mode."""
    bones = armature.edit_bones
    made = []
    heads, tails, z_axes = asset.heads.tolist(), asset.tails.tolist(), asset.z_axes.tolist()
    for name in asset.bone_names:
        found = bones.get(name)
        edit_bone = bones.new(name) if found is None else found
        edit_bone.use_connect = False  # else moving a parent's tail drags this head along
        made.append(edit_bone)
    for bone, edit_bone in enumerate(made):
        edit_bone.head, edit_bone.tail = heads[bone], tails[bone]
        edit_bone.align_roll(Vector(z_axes[bone]))
        edit_bone.use_deform = bool(asset.deform[bone])
        parent = int(asset.parents[bone])
        edit_bone.parent = made[parent] if parent >= 0 else None
        edit_bone.use_connect = bool(asset.connected[bone])


def write_groups(armature: bpy.types.Armature) -> None:
    """Sorts bones that are in no collection into the groups' collections and gives them the groups' colours."""
    groups = {bone.name: group_of(bone.name) for bone in armature.bones if not bone.collections}
    present = set(groups.values())
    for group, palette in PALETTES.items():
        if group not in present:
            continue
        collection = armature.collections.get(group) or armature.collections.new(group)
        for bone, its_group in groups.items():
            if its_group == group:
                collection.assign(armature.bones[bone])
                armature.bones[bone].color.palette = palette
