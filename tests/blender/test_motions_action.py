"""One click on a ready motion: a new cyclic action with held feet, an asset with its credit; nothing of the artist's is touched."""

from __future__ import annotations

import re

import bpy
import numpy as np
import pytest
from mathutils import Quaternion

from blender_addon import compat
from blender_addon.link import session
from blender_addon.motions import apply, library
from blender_addon.motions.action import target_of
from blender_addon.motions.rig import LEGS
from blender_addon.ops.apply_motion import MENAGERIE_OT_apply_motion
from blender_addon.panels.motions import MENAGERIE_PT_motions
from blender_addon.scene.armature import edit_mode
from blender_addon.scene.creature import Creature
from blender_addon.scene.place import place_asset
from tests.blender import button
from tests.blender.creatures import read_creature

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

MOTION = "horse_walk"
SLIDE = 0.01
"""Of the leg's length."""
CLOSED = 1e-4


@pytest.fixture
def creature(add_on: None) -> Creature:
    placed = place_asset(bpy.context, read_creature(), None, "beast")
    bpy.context.view_layer.objects.active = placed.armature
    return placed


def press(name: str = MOTION) -> bpy.types.Action:
    assert bpy.ops.menagerie.apply_motion(motion=name) == {"FINISHED"}
    rig = apply.rig_of(bpy.context)
    return bpy.data.actions[rig[apply.LAST]]


def tips_at(rig: bpy.types.Object, frame: float) -> np.ndarray:
    """(4, 3) of the feet in armature space, as Blender has them."""
    bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
    return np.array([rig.pose.bones[leg[3]].tail for leg in LEGS.values()])


def test_one_click_and_it_walks_for_ever_with_its_feet_held(creature: Creature) -> None:
    rig = creature.armature
    action = press()
    assert rig.animation_data.action == action and action.use_cyclic
    assert "UNDO" in MENAGERIE_OT_apply_motion.bl_options
    count = round(action.frame_end - action.frame_start)
    paths = np.stack([tips_at(rig, 1 + frame) for frame in range(count + 1)])
    target = target_of(rig, library.load().motions[MOTION].skeleton.names)
    assert (target.grounds - paths[..., 2]).max() < SLIDE * target.leg_length
    still = np.linalg.norm(np.diff(paths, axis=0), axis=-1) < 2e-3 * target.leg_length
    assert (still.sum(0) > 0.25 * count).all()  # each foot stands where it stood, frame after frame
    travel = paths[-1] - paths[0]
    assert (travel[:, 1] < -0.3 * target.leg_length).all() and np.ptp(travel, axis=0).max() < CLOSED
    beyond = tips_at(rig, 1 + 2 * count) - paths[0]
    assert np.abs(beyond - 2 * travel).max() < 10 * CLOSED


def test_what_may_come_to_the_ground_is_known_wherever_the_creature_stands(creature: Creature) -> None:
    rig, body = creature.armature, creature.mesh
    names = library.load().motions[MOTION].skeleton.names
    flesh = target_of(rig, names).flesh
    assert set(flesh) == {*(leg[3] for leg in LEGS.values()), "head", "jaw"}
    lowest = min(vertex.co.z for vertex in body.data.vertices)
    assert min(float(flesh[leg[3]][:, 2].min()) for leg in LEGS.values()) == pytest.approx(lowest, abs=1e-5)
    rig.location = (3.0, -2.0, 5.0)
    bpy.context.view_layer.update()
    moved = target_of(rig, names).flesh
    assert all(np.allclose(moved[name], flesh[name], atol=1e-5) for name in flesh)


def test_a_creature_on_ik_walks_too(creature: Creature) -> None:
    rig = creature.armature
    press()
    alone = np.stack([tips_at(rig, frame) for frame in (1, 6, 11)])
    rig.animation_data_clear()
    assert bpy.ops.menagerie.add_ik() == {"FINISHED"}
    press()
    assert np.abs(np.stack([tips_at(rig, frame) for frame in (1, 6, 11)]) - alone).max() < CLOSED


def test_it_is_an_asset_with_picture_and_credit(creature: Creature) -> None:
    action = press()
    data, shared = action.asset_data, library.load()
    assert data is not None and data.author == shared.credit and data.license == shared.licence
    assert {"Menagerie", "Walk"} <= {tag.name for tag in data.tags}
    assert tuple(action.preview.image_size) == (128, 128)
    pixels = np.empty(128 * 128 * 4, np.float32)
    action.preview.image_pixels_float.foreach_get(pixels)
    covered = pixels.reshape(-1, 4)[:, 3] > 0
    assert 0.05 < covered.mean() < 0.9
    assert not [image for image in bpy.data.images if image.name.endswith(".png") and MOTION in image.name]


def test_in_place_the_root_stays_and_the_sliders_bake_anew(creature: Creature) -> None:
    rig = creature.armature
    action = press()
    made = action.menagerie_motion
    whole = action.frame_end
    made.in_place = True
    start, end = tips_at(rig, 1), tips_at(rig, action.frame_end)
    assert np.abs(end - start).max() < CLOSED
    made.speed = 2.0
    assert abs((action.frame_end - 1) / (whole - 1) - 0.5) < 0.03
    before = np.ptp(np.stack([tips_at(rig, frame)[:, 1] for frame in range(1, int(action.frame_end) + 1)]), axis=0)
    made.stride = 0.6
    after = np.ptp(np.stack([tips_at(rig, frame)[:, 1] for frame in range(1, int(action.frame_end) + 1)]), axis=0)
    assert (after < 0.8 * before).all() and (after > 0.4 * before).all()


def test_the_artists_own_action_stays(creature: Creature) -> None:
    rig = creature.armature
    own = bpy.data.actions.new("mine")
    compat.assign_action(rig, own)
    rig.pose.bones["head"].rotation_quaternion = (0.9, 0.1, 0, 0)
    rig.pose.bones["head"].keyframe_insert("rotation_quaternion", frame=1)
    curves = len(compat.curves_of(own))
    action = press()
    assert rig.animation_data.action == own and len(compat.curves_of(own)) == curves
    assert action != own and action.use_fake_user and compat.curves_of(action)


def test_strips_of_the_artist_stay_alone(creature: Creature) -> None:
    rig = creature.armature
    rig.animation_data_create().nla_tracks.new()
    action = press()
    assert rig.animation_data.action is None and compat.curves_of(action)


def test_a_pose_set_by_hand_is_kept(creature: Creature) -> None:
    rig = creature.armature
    turned = Quaternion((0.8, 0.6, 0, 0))
    rig.pose.bones["neck.001"].rotation_quaternion = turned
    press()
    kept = next(action for action in bpy.data.actions if "pose before" in action.name)
    path = 'pose.bones["neck.001"].rotation_quaternion'
    values = [curve.evaluate(1) for curve in compat.curves_of(kept) if curve.data_path == path]
    assert np.allclose(values, turned)


def test_rotation_modes_frame_and_selection_stay(creature: Creature) -> None:
    rig, scene = creature.armature, bpy.context.scene
    rig.pose.bones["thigh.L"].rotation_mode = "XYZ"
    rig.pose.bones["shin.L"].rotation_mode = "AXIS_ANGLE"
    scene.frame_set(7)
    selected = [thing.name for thing in bpy.context.selected_objects]
    plain = press()
    assert scene.frame_current == 7 and [thing.name for thing in bpy.context.selected_objects] == selected
    assert rig.pose.bones["thigh.L"].rotation_mode == "XYZ" and rig.pose.bones["shin.L"].rotation_mode == "AXIS_ANGLE"
    paths = {curve.data_path for curve in compat.curves_of(plain)}
    assert 'pose.bones["thigh.L"].rotation_euler' in paths and 'pose.bones["shin.L"].rotation_axis_angle' in paths
    mixed = np.stack([tips_at(rig, frame) for frame in (1, 9, 20)])
    for bone in ("thigh.L", "shin.L"):
        rig.pose.bones[bone].rotation_mode = "QUATERNION"
    press()
    assert np.abs(np.stack([tips_at(rig, frame) for frame in (1, 9, 20)]) - mixed).max() < 1e-3


def test_a_second_click_uses_the_action_again_unless_the_artist_has_changed_it(creature: Creature) -> None:
    first = press()
    assert press() == first
    curve = compat.curves_of(first)[10]
    curve.keyframe_points[0].co[1] += 0.25
    second = press()
    assert second != first and creature.armature.animation_data.action == second
    third = press("wolf_run")
    assert creature.armature.animation_data.action == third and third not in (first, second)


def test_the_panel_shows_every_motion_with_its_credit_and_the_sliders_of_the_one_that_plays(creature: Creature) -> None:
    before = button.drawn(MENAGERIE_PT_motions)
    shared = library.load()
    assert before.count("menagerie.apply_motion") == len(shared.motions)
    assert "Wildfire Games" in " ".join(before) and "speed" not in before
    action = press()
    after = button.drawn(MENAGERIE_PT_motions)
    assert {action.name, "speed", "stride", "in_place", "hold_feet"} <= set(after)
    compat.assign_action(creature.armature, bpy.data.actions.new("mine"))
    assert "Not assigned" in " ".join(button.drawn(MENAGERIE_PT_motions))


def test_after_the_bones_have_moved_a_click_fits_the_motion_to_them(creature: Creature) -> None:
    action = press()
    before = action.menagerie_motion.stamp
    with edit_mode(bpy.context, creature.armature):
        for bone in creature.armature.data.edit_bones:
            bone.head, bone.tail = bone.head * 2, bone.tail * 2
    assert press() == action and action.menagerie_motion.stamp != before


def test_an_armature_without_our_legs_is_refused_and_nothing_is_made(add_on: None) -> None:
    bpy.ops.object.armature_add()
    assert not bpy.ops.menagerie.apply_motion.poll()
    before = set(bpy.data.actions)
    placed = place_asset(bpy.context, read_creature(), None, "beast")
    placed.armature.data.bones["shin.L"].name = "other"
    bpy.context.view_layer.objects.active = placed.armature
    session.state.last_creature = ""
    assert not bpy.ops.menagerie.apply_motion.poll()
    before |= {placed.photo_pose, placed.rest_pose}
    assert set(bpy.data.actions) <= before | set(placed.actions)


def test_an_unknown_motion_is_refused_with_a_sentence(creature: Creature) -> None:
    with pytest.raises(RuntimeError, match=re.escape("no ready motion named")):
        bpy.ops.menagerie.apply_motion(motion="unicorn_hop")
    assert session.state.error is not None and session.state.error["code"] == "bad_request"
