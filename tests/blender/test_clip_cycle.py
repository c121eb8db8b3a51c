"""Make Cycle on a placed creature: a new action that goes on for ever, the motion stays, and so does what the artist plays."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.clip import action as actions
from blender_addon.clip import keys, loops
from blender_addon.clip import place as clips
from blender_addon.link import session
from blender_addon.panels import clip as panel
from blender_addon.scene.creature import Creature
from tests.blender import button
from tests.blender.clips import STRIDE, clip_asset, place_clip, pose_at, write_frames

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

CLOSED = np.radians(0.05)


@pytest.fixture
def creature(add_on: None, tmp_path: Path) -> Creature:
    bpy.context.scene.render.fps = 30
    placed = place_clip(clip_asset(75), write_frames(tmp_path / "frames", 3))
    bpy.context.view_layer.objects.active = placed.armature
    return placed


def press() -> bpy.types.Action:
    assert bpy.ops.menagerie.make_cycle() == {"FINISHED"}
    return next(action for action in reversed(bpy.data.actions) if action.get("menagerie_role") == actions.CYCLE)


def test_one_click_and_it_walks_for_ever(creature: Creature) -> None:
    rig, asset = creature.armature, clip_asset(75)
    motion = rig.animation_data.action
    before = actions.stamp(motion)
    bpy.context.scene.frame_set(9)
    made = press()
    assert bpy.context.scene.frame_current == 9
    assert rig.animation_data.action == made and made.use_cyclic and made.use_fake_user and motion.use_fake_user
    assert actions.stamp(motion) == before and made != motion
    count = round(made.frame_end - made.frame_start)
    assert abs(count - STRIDE) <= 1
    first, root = pose_at(rig, made.frame_start, asset.bone_names)
    for cycles in (1, 3):
        later, there = pose_at(rig, made.frame_start + cycles * count, asset.bone_names)
        assert keys.turned_by(first, later).max() < CLOSED
        assert np.allclose(there - root, [0, -0.02 * STRIDE * cycles, 0], atol=0.01 * cycles)
    steps = np.stack([pose_at(rig, made.frame_start + frame, asset.bone_names)[0] for frame in range(2 * count + 1)])
    speeds = keys.turned_by(steps[1:], steps[:-1])
    assert (speeds[count - 1] <= 1.5 * np.delete(speeds, count - 1, 0).max(0) + np.radians(0.5)).all()


def test_a_second_click_fills_it_anew_unless_the_artist_has_changed_it(creature: Creature) -> None:
    first = press()
    assert press() == first
    curve = next(curve for curve in compat.curves_of(first) if len(curve.keyframe_points) > 1)
    curve.keyframe_points[1].co[1] += 0.2
    assert press() != first and creature.armature.animation_data.action != first


def test_the_cycle_is_of_the_motion_as_the_artist_has_it_now(creature: Creature) -> None:
    motion = creature.armature.animation_data.action
    bone = creature.armature.pose.bones["head"]
    for curve in compat.curves_of(motion):
        if '"head"' in curve.data_path:
            curve.keyframe_points[0].co[1] = (0.8, 0.0, 0.6, 0.0)[curve.array_index]
            curve.update()
    press()
    bpy.context.scene.frame_set(5)
    assert np.allclose(bone.matrix_basis.to_quaternion(), (0.8, 0, 0.6, 0), atol=1e-3)


def test_the_artists_own_action_goes_on(creature: Creature) -> None:
    own = bpy.data.actions.new("mine")
    compat.assign_action(creature.armature, own)
    made = press()
    assert creature.armature.animation_data.action == own and compat.curves_of(made)


def rekeyed(rig: bpy.types.Object) -> bpy.types.Action:
    """The clip's motion with a key a frame, in the modes that the bones have now."""
    asset, motion = clip_asset(75), loops.motions_of(rig)[0]
    frames, _, moves = clips.at_scene_rate(asset.motions[0], bpy.context.scene)
    actions.write_motion(motion, rig, asset.bone_names, int(frames[0]), moves, keys.every_key(moves))
    compat.assign_action(rig, motion)
    return motion


def test_rotation_modes_stay_and_count(creature: Creature) -> None:
    rig, names = creature.armature, clip_asset(75).bone_names
    rekeyed(rig)
    plain = press()
    wanted = [pose_at(rig, frame, names)[0] for frame in (1, 8, 20)]
    rig.pose.bones["thigh.L"].rotation_mode, rig.pose.bones["shin.L"].rotation_mode = "YXZ", "AXIS_ANGLE"
    bpy.data.actions.remove(plain)
    rekeyed(rig)
    made = press()
    paths = {curve.data_path for curve in compat.curves_of(made)}
    assert 'pose.bones["thigh.L"].rotation_euler' in paths and 'pose.bones["shin.L"].rotation_axis_angle' in paths
    assert rig.pose.bones["thigh.L"].rotation_mode == "YXZ" and rig.pose.bones["shin.L"].rotation_mode == "AXIS_ANGLE"
    got = [pose_at(rig, frame, names)[0] for frame in (1, 8, 20)]
    assert max(float(keys.turned_by(a, b).max()) for a, b in zip(wanted, got, strict=True)) < np.radians(2)


def test_without_a_step_that_repeats_it_says_so(add_on: None, tmp_path: Path) -> None:
    bpy.context.scene.render.fps = 30
    placed = place_clip(clip_asset(15), write_frames(tmp_path / "frames", 3))
    bpy.context.view_layer.objects.active = placed.armature
    count = len(bpy.data.actions)
    with pytest.raises(RuntimeError, match="No step repeats"):
        bpy.ops.menagerie.make_cycle()
    assert session.state.error["code"] == "no_cycle" and len(bpy.data.actions) == count


def test_ticked_beforehand_it_waits_beside_the_clips_motion(add_on: None, tmp_path: Path) -> None:
    bpy.context.scene.render.fps = 30
    placed = place_clip(clip_asset(75), write_frames(tmp_path / "frames", 3), clips.Wishes(loop=True))
    rig = placed.armature
    bpy.context.view_layer.objects.active = rig
    motion, made = loops.motions_of(rig)
    assert rig.animation_data.action == motion and made.use_cyclic
    shown = button.drawn(panel.MENAGERIE_PT_clip)
    assert {motion.name, made.name, "menagerie.make_cycle", "menagerie.use_clip_on"} <= set(shown)
    assert bpy.ops.menagerie.play_clip(action=made.name) == {"FINISHED"} and rig.animation_data.action == made
    assert bpy.ops.menagerie.play_clip(action=motion.name) == {"FINISHED"} and rig.animation_data.action == motion
    assert bpy.ops.menagerie.play_clip(action="no such") == {"CANCELLED"}
