"""Duplicated, renamed and moved creatures: what the artist has active is meant, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest

from blender_addon.link import session
from blender_addon.scene.creature import Creature, find_creature
from blender_addon.scene.place import base_image
from tests.blender.button import everything, reconstruct

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]


def select(*things: bpy.types.Object) -> None:
    """Only these, the first of them active."""
    bpy.ops.object.select_all(action="DESELECT")
    for thing in things:
        thing.hide_select = False
        thing.select_set(True)
    bpy.context.view_layer.objects.active = things[0]


def whole(rig: bpy.types.Object) -> Creature:
    creature = find_creature(rig)
    assert creature is not None
    return creature


def members(creature: Creature) -> list[bpy.types.Object]:
    return [thing for thing in (creature.armature, creature.mesh, creature.camera, creature.photo) if thing is not None]


def duplicate(creature: Creature, linked: bool = False) -> Creature:
    """Shift+D, or Alt+D, of all its objects, which stay in the collection."""
    select(*members(creature))
    bpy.ops.object.duplicate(linked=linked)
    rig = next(thing for thing in bpy.context.selected_objects if thing.type == "ARMATURE")
    return whole(rig)


def state(creature: Creature) -> tuple[object, ...]:
    """What an update of the creature would change."""
    mesh, image = creature.mesh.data, base_image(creature.mesh)
    assert image is not None
    poses = [action.name for action in (creature.photo_pose, creature.rest_pose) if action is not None]
    bones = [tuple(bone.head_local) for bone in creature.armature.data.bones]
    return mesh.as_pointer(), image.as_pointer(), bytes(image.packed_file.data), poses, bones, session.read_record(creature.armature)


PARTS = ("armature", "mesh", "camera", "photo")
CASES = [(linked, first, part) for linked in (False, True) for first in (False, True) for part in PARTS]
DUPLICATES = [case for case in CASES if case[:2] != (True, False) or case[2] in ("armature", "mesh")]
"""Linked cameras share the focus that tells whose they are: both are the original's, and a linked copy has no camera and photo."""


@pytest.mark.parametrize(("linked", "first", "part"), DUPLICATES)
def test_update_changes_the_active_one_of_two_duplicates(tmp_path: Path, linked: bool, first: bool, part: str) -> None:
    original = whole(reconstruct(tmp_path))
    copy = duplicate(original, linked)
    assert not set(members(original)) & set(members(copy))
    meant, other = (original, copy) if first else (copy, original)
    before, mesh = state(whole(other.armature)), meant.mesh.data.as_pointer()
    select(getattr(meant, part))
    bpy.context.scene.menagerie.seed = 7
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    assert session.read_record(meant.armature)["settings"]["seed"] == 7
    assert whole(meant.armature).mesh == meant.mesh and meant.mesh.data.as_pointer() != mesh
    assert state(whole(other.armature)) == before
    assert not set(state(whole(meant.armature))[3]) & set(before[3]), "each has pose assets of its own"


def test_parts_in_different_collections_and_renamed_are_one_creature(tmp_path: Path) -> None:
    creature = whole(reconstruct(tmp_path))
    for number, thing in enumerate(members(creature)):
        home = bpy.data.collections.new(f"mine {number}")
        bpy.context.scene.collection.children.link(home)
        creature.collection.objects.unlink(thing)
        home.objects.link(thing)
        thing.name = f"renamed {number}"
    select(creature.mesh)
    before = everything()
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    assert everything() == before, "no second creature is added"
    assert bpy.ops.menagerie.use_photo_view() == {"FINISHED"} and bpy.context.scene.camera == creature.camera


def test_a_duplicate_without_the_camera_leaves_the_originals_alone(tmp_path: Path) -> None:
    original = whole(reconstruct(tmp_path))
    assert original.camera is not None and original.photo is not None
    select(original.armature, original.mesh)
    bpy.ops.object.duplicate()
    copy = whole(bpy.context.object)
    assert copy.mesh != original.mesh and copy.camera is None and copy.photo is None
    with pytest.raises(RuntimeError, match="no photo camera"):
        bpy.ops.menagerie.use_photo_view()
    assert whole(original.armature).camera == original.camera
    select(copy.mesh)
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    assert (whole(original.armature).camera, whole(original.armature).photo) == (original.camera, original.photo)


def test_a_second_camera_and_a_copy_of_the_mesh_do_not_take_the_firsts_place(tmp_path: Path) -> None:
    original = whole(reconstruct(tmp_path))
    assert original.camera is not None
    for thing in (original.camera, original.mesh):
        select(thing)
        bpy.ops.object.duplicate()
    assert whole(original.armature) == original


def test_a_camera_that_focuses_on_something_else_is_known_by_its_number(tmp_path: Path) -> None:
    creature = whole(reconstruct(tmp_path))
    assert creature.camera is not None
    creature.camera.data.dof.focus_object = None
    creature.mesh.modifiers.clear()
    creature.mesh.parent = None
    assert whole(creature.armature) == creature
    select(creature.camera)
    session.state.last_creature = ""
    assert session.creature_of(bpy.context) == creature.armature


def test_a_creature_that_stands_nowhere_is_none(tmp_path: Path) -> None:
    creature = whole(reconstruct(tmp_path))
    creature.collection.objects.unlink(creature.armature)
    assert find_creature(creature.armature) is None
