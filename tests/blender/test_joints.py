"""Joints over the photo: they lie where the result has them, what is dragged is pinned, and Refit asks for it."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import pytest
from mathutils import Vector

from blender_addon.link import session
from blender_addon.panels import correct
from blender_addon.scene import joints, watch
from blender_addon.scene.creature import Creature, find_creature
from tests.blender.button import drawn, everything, reconstruct

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

PIXEL = 0.05
"""Photo pixels within which a handle stands for its joint: float32 on the way."""


@pytest.fixture
def creature(tmp_path: Path) -> Creature:
    found = find_creature(reconstruct(tmp_path))
    assert found is not None
    return found


def show(creature: Creature) -> dict[str, bpy.types.Object]:
    assert bpy.ops.menagerie.show_joints() == {"FINISHED"}
    return {thing[joints.POINT]: thing for thing in joints.handles(creature)}


def seen_at(creature: Creature, thing: bpy.types.Object) -> Vector:
    """Where the photo camera sees an object, photo pixels, by Blender's own matrices."""
    bpy.context.view_layer.update()
    camera = creature.camera
    assert camera is not None
    width, height = record(creature)["photo_size"]
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = width, height
    window = camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=width, y=height)
    at = window @ camera.matrix_world.inverted() @ thing.matrix_world.translation.to_4d()
    return Vector(((at.x / at.w + 1) / 2 * width, (1 - at.y / at.w) / 2 * height))


def record(creature: Creature) -> dict:
    return session.read_record(creature.armature)


def drag(thing: bpy.types.Object, x: float, y: float) -> None:
    """As G does, and Blender's update after it."""
    thing.location.x += x
    thing.location.y += y
    bpy.context.view_layer.update()


def test_handles_lie_where_the_photo_shows_the_joints(creature: Creature) -> None:
    things = show(creature)
    assert set(things) == set(joints.SHOWN) == set(joints.BONES) and len(things) == 26
    for name, thing in things.items():
        assert (seen_at(creature, thing) - Vector(record(creature)["joints"][name])).length < PIXEL, name
        assert not joints.is_pinned(thing) and thing.hide_render and thing.show_in_front


def test_the_joints_are_those_of_the_posed_bones(creature: Creature) -> None:
    show(creature)
    rig, places = creature.armature, record(creature)["joints"]
    probe = bpy.data.objects.new("probe", None)
    bpy.context.scene.collection.objects.link(probe)
    for joint, bone, end in (("hock.L", "foot.L", "head"), ("muzzle", "head", "tail"), ("front_tip.R", "front_toe.R", "tail")):
        probe.location = rig.matrix_world @ getattr(rig.pose.bones[bone], end)
        assert (seen_at(creature, probe) - Vector(places[joint])).length < PIXEL, joint


def test_what_is_dragged_is_pinned_and_looks_so(creature: Creature) -> None:
    things = show(creature)
    hock = things["hock.L"]
    size = hock.empty_display_size
    drag(hock, 0.1, -0.05)
    assert joints.is_pinned(hock) and hock.empty_display_size > 1.3 * size
    assert sum(joints.is_pinned(thing) for thing in things.values()) == 1
    pins = joints.pins_of(creature, tuple(record(creature)["photo_size"]))
    assert set(pins) == {"hock.L"}
    assert (seen_at(creature, hock) - Vector(pins["hock.L"])).length < PIXEL
    said = drawn(correct.MENAGERIE_PT_correct)
    assert "Refit with 1 pinned" in said and "menagerie.use_photo_view" in said


def test_a_handle_moves_across_the_view_and_nowhere_else(creature: Creature) -> None:
    for thing in show(creature).values():
        assert tuple(thing.lock_location) == (False, False, True)
        assert all(thing.lock_rotation) and all(thing.lock_scale)


def test_refit_asks_for_the_pins_and_they_stay_pinned(creature: Creature) -> None:
    things = show(creature)
    drag(things["hind_tip.R"], -0.08, 0.02)
    pins = joints.pins_of(creature, tuple(record(creature)["photo_size"]))
    body, rig = creature.mesh, creature.armature
    bpy.context.scene.menagerie.quality = "fine"
    assert bpy.ops.menagerie.refit() == {"FINISHED"}
    assert record(creature)["settings"]["pins"] == pins and record(creature)["settings"]["quality"] == "fine"
    assert find_creature(rig) is not None and find_creature(rig).mesh == body, "updated in place"
    again = {thing[joints.POINT]: thing for thing in joints.handles(creature)}
    assert [name for name, thing in again.items() if joints.is_pinned(thing)] == ["hind_tip.R"]
    assert (seen_at(creature, again["hind_tip.R"]) - Vector(pins["hind_tip.R"])).length < PIXEL
    assert bpy.ops.menagerie.flip_heading() == {"FINISHED"}
    assert record(creature)["settings"]["pins"] == pins, "another fit keeps them"


def test_unpin_puts_handles_back(creature: Creature) -> None:
    things = show(creature)
    drag(things["muzzle"], 0.1, 0.1)
    drag(things["knee.L"], 0.1, 0.1)
    bpy.ops.object.select_all(action="DESELECT")
    things["muzzle"].select_set(True)
    assert bpy.ops.menagerie.unpin() == {"FINISHED"}
    assert not joints.is_pinned(things["muzzle"]) and joints.is_pinned(things["knee.L"])
    bpy.ops.object.select_all(action="DESELECT")
    assert bpy.ops.menagerie.unpin() == {"FINISHED"}
    assert not any(joints.is_pinned(thing) for thing in things.values())
    for name in ("muzzle", "knee.L"):
        assert (seen_at(creature, things[name]) - Vector(record(creature)["joints"][name])).length < PIXEL
    assert not bpy.ops.menagerie.unpin.poll()
    assert bpy.ops.menagerie.refit() == {"FINISHED"}
    assert "pins" not in record(creature)["settings"]


def test_hide_joints_leaves_nothing(creature: Creature) -> None:
    before = everything()
    drag(show(creature)["muzzle"], 0.1, 0.1)
    assert bpy.ops.menagerie.hide_joints() == {"FINISHED"}
    assert everything() == before
    assert not bpy.ops.menagerie.hide_joints.poll() and not bpy.ops.menagerie.refit.poll()


def test_showing_twice_makes_no_second_handle_and_keeps_mode_and_selection(creature: Creature) -> None:
    bpy.context.view_layer.objects.active = creature.armature
    creature.armature.select_set(True)
    bpy.ops.object.mode_set(mode="POSE")
    show(creature)
    count = everything()
    show(creature)
    assert everything() == count
    assert bpy.context.mode == "POSE" and bpy.context.selected_objects == [creature.armature]


def test_handles_are_no_part_that_is_bent_or_exported_with_the_creature(creature: Creature) -> None:
    show(creature)
    home = joints.handles(creature)[0].users_collection[0]
    assert home.hide_render and home.name in creature.collection.children
    assert not set(creature.armature.children_recursive) & set(home.objects)
    assert find_creature(creature.armature) is not None and find_creature(creature.armature).photo == creature.photo


def test_handles_are_not_exported_with_the_scene(creature: Creature, tmp_path: Path) -> None:
    addons = bpy.context.preferences.addons
    enabled = addons.new()
    enabled.module = "blender_addon"  # where the exporter looks for extensions
    try:
        written = []
        for number in range(2):
            path = tmp_path / f"{number}.glb"
            bpy.ops.export_scene.gltf(filepath=str(path))
            length = int.from_bytes(path.read_bytes()[12:16], "little")
            written.append(sorted(node["name"] for node in json.loads(path.read_bytes()[20 : 20 + length])["nodes"]))
            show(creature)
        assert written[0] == written[1] and len(written[0]) > 30
    finally:
        addons.remove(enabled)


def test_handles_survive_a_file_and_go_with_the_creature(creature: Creature, tmp_path: Path) -> None:
    drag(show(creature)["poll"], 0.1, 0.1)
    pins = joints.pins_of(creature, tuple(record(creature)["photo_size"]))
    rig = creature.armature.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
    opened = find_creature(bpy.data.objects[rig])
    assert opened is not None and len(joints.handles(opened)) == len(joints.SHOWN)
    assert joints.pins_of(opened, tuple(record(opened)["photo_size"])) == pins
    for thing in (opened.camera, opened.mesh, opened.armature):
        bpy.data.objects.remove(thing)
    watch.tidy()
    assert not [thing for thing in bpy.data.objects if joints.is_handle(thing)]


def test_a_creature_without_its_camera_says_so(creature: Creature) -> None:
    bpy.data.objects.remove(creature.camera)
    bpy.context.view_layer.objects.active = creature.armature
    with pytest.raises(RuntimeError, match="no photo camera"):
        bpy.ops.menagerie.show_joints()


def test_handles_are_put_away_when_the_photo_pose_is_left_and_come_back_as_they_were(creature: Creature) -> None:
    for leave in (bpy.ops.menagerie.add_ik, bpy.ops.menagerie.rest_pose, bpy.ops.menagerie.mirror_pose, walk):
        thing = show(creature)["muzzle"]
        thing.location.x += 0.1
        place = thing.location.copy()
        bpy.context.view_layer.objects.active = creature.armature
        assert thing.visible_get() and "menagerie.hide_joints" in drawn(correct.MENAGERIE_PT_correct)
        assert leave() == {"FINISHED"}
        assert not any(handle.visible_get() for handle in joints.handles(creature))
        assert "menagerie.show_joints" in drawn(correct.MENAGERIE_PT_correct) and not bpy.ops.menagerie.refit.poll()
        assert show(creature)["muzzle"].location == place and thing.visible_get() and joints.is_pinned(thing)


def walk() -> set[str]:
    """A ready motion, with one click."""
    return bpy.ops.menagerie.apply_motion(motion="horse_walk")
