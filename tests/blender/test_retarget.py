"""Retargeting in Blender: what an armature plays is read without a trace, and baked as Blender shows it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from blender_addon import compat
from blender_addon.control import ik
from blender_addon.panels import retarget as panel
from blender_addon.retarget import choices, preview, sampling
from blender_addon.scene import motion as motions
from blender_addon.scene.asset_file import Motion
from blender_addon.scene.creature import Creature
from blender_addon.scene.place import place_asset
from tests.blender.creatures import read_creature

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

DEGREES, OF_LEG = 0.5, 0.005
"""What the same skeleton may be off by: per bone, and at the feet in leg lengths."""
FRAMES = 30


def place(name: str = "doe") -> Creature:
    return place_asset(bpy.context, read_creature(), None, name)


def lively_action(rig: bpy.types.Object, name: str = "walk", frames: int = FRAMES, first: float = 1.0) -> bpy.types.Action:
    """Every bone swings, the root travels."""
    names = list(rig["menagerie_bones"])
    time = np.linspace(0, 4, frames)[:, None, None]
    axes = np.random.default_rng(3).normal(size=(1, len(names), 3))
    half = 0.12 * np.sin(time + axes[..., :1] * 3) * axes / np.linalg.norm(axes, axis=-1, keepdims=True)
    rotations = np.concatenate([np.sqrt(1 - (half**2).sum(-1, keepdims=True)), half], -1).astype(np.float32)
    rotations[:, 0] = 1, 0, 0, 0
    moves = np.zeros((frames, 3), np.float32)
    moves[:, 1] = -np.linspace(0, 1, frames)
    action = bpy.data.actions.new(name)
    motions.write_curves(action, rig, names, first + np.arange(frames), Motion(name, 24.0, False, rotations, moves))
    return action


def choose(source: bpy.types.Object, action: bpy.types.Action | None, target: bpy.types.Object, **options: Any) -> None:
    chosen = choices.of(bpy.context)
    chosen.kind, chosen.source, chosen.action = "ARMATURE", source, action
    for name, value in options.items():
        setattr(chosen, name, value)
    bpy.context.view_layer.objects.active = target


def joints(owner: bpy.types.Object, frame: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Bone -> head and unit direction in armature space, as Blender evaluates it."""
    bpy.context.scene.frame_set(math.floor(frame), subframe=frame - math.floor(frame))
    shown = owner.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return {bone.name: (np.array(bone.head), np.array((bone.tail - bone.head).normalized())) for bone in shown.pose.bones}


def repose_rest(owner: bpy.types.Object, seed: int = 1) -> None:
    """Another rest pose: bones turned by up to 15 degrees, rolls anew."""
    rng = np.random.default_rng(seed)
    bpy.context.view_layer.objects.active = owner
    bpy.ops.object.mode_set(mode="POSE")
    for bone in owner.pose.bones:
        bone.matrix_basis = Matrix() if bone.name == "root" else Euler(rng.uniform(-0.26, 0.26, 3)).to_matrix().to_4x4()
    bpy.ops.pose.armature_apply(selected=False)
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in owner.data.edit_bones:
        bone.roll += rng.uniform(-3, 3)
    bpy.ops.object.mode_set(mode="OBJECT")


def state(*rigs: bpy.types.Object) -> dict[str, Any]:
    """What the artist would notice."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    return {
        "mode": bpy.context.mode,
        "active": layer.objects.active.name,
        "selected": sorted(thing.name for thing in layer.objects if thing.select_get()),
        "frame": (scene.frame_current, scene.frame_subframe, scene.frame_start, scene.frame_end),
        "auto key": scene.tool_settings.use_keyframe_insert_auto,
        "rotation modes": [[bone.rotation_mode for bone in rig.pose.bones] for rig in rigs],
        "selected bones": [[getattr(bone.bone, "select", getattr(bone, "select", None)) for bone in rig.pose.bones] for rig in rigs],
        "actions": [rig.animation_data and rig.animation_data.action and rig.animation_data.action.name for rig in rigs],
        "poses": [[tuple(map(tuple, bone.matrix_basis)) for bone in rig.pose.bones] for rig in rigs],
        "places": [tuple(map(tuple, rig.matrix_world)) for rig in rigs],
        "objects": sorted(thing.name for thing in bpy.data.objects),
        "scenes": sorted(scene.name for scene in bpy.data.scenes),
        "meshes": sorted(mesh.name for mesh in bpy.data.meshes),
        "armatures": sorted(armature.name for armature in bpy.data.armatures),
    }


def test_the_same_skeleton_in_another_rest_pose_follows_exactly() -> None:
    source, target = place("doe").armature, place("copy").armature
    action = lively_action(source)
    compat.assign_action(source, action)
    repose_rest(target)
    target.scale = (2.5, 2.5, 2.5)
    target.rotation_euler = (0.2, 0.1, 1.2)
    source.rotation_euler = (0.0, 0.0, -0.7)
    source.location = (3, 4, 0)
    for number, bone in enumerate(target.pose.bones):
        bone.rotation_mode = ("QUATERNION", "XYZ", "ZYX", "AXIS_ANGLE")[number % 4]
    choose(source, None, target, feet="off", limits=False)
    assert bpy.ops.menagerie.retarget_bake() == {"FINISHED"}
    leg = 0.9
    for frame in range(1, FRAMES + 1, 3):
        theirs, ours = joints(source, frame), joints(target, frame)
        for name, (head, along) in theirs.items():
            if name != "root":
                assert np.degrees(np.arccos(np.clip(along @ ours[name][1], -1, 1))) < DEGREES, (name, frame)
                assert np.linalg.norm(head - ours[name][0]) < OF_LEG * leg, (name, frame)


def test_nothing_of_the_artists_changes() -> None:
    source, target = place("doe").armature, place("copy").armature
    own = lively_action(target, "mine")
    compat.assign_action(target, own)
    before_keys = [tuple(point.co) for curve in compat.curves_of(own) for point in curve.keyframe_points]
    compat.assign_action(source, lively_action(source, "theirs"))
    target.pose.bones["head"].rotation_mode = "YZX"
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = True
    bpy.context.scene.frame_set(7)
    bpy.context.view_layer.objects.active = target
    target.select_set(True)
    choose(source, lively_action(source, "other"), target)
    before = state(source, target)
    for operator in ("retarget_guess", "retarget_preview", "retarget_preview", "retarget_preview_end", "retarget_bake"):
        assert getattr(bpy.ops.menagerie, operator)() == {"FINISHED"}
    assert state(source, target) == before
    assert [tuple(point.co) for curve in compat.curves_of(own) for point in curve.keyframe_points] == before_keys
    assert target.animation_data.action == own
    assert not preview.is_on(target)
    assert sorted(action.name for action in bpy.data.actions if "preview" in action.name) == []
    assert "copy other" in bpy.data.actions and bpy.data.actions["copy other"].use_fake_user


def test_a_preview_shows_the_motion_and_its_end_brings_back_the_pose() -> None:
    source, target = place("doe").armature, place("copy").armature
    choose(source, lively_action(source), target, feet="off")
    target.pose.bones["neck.001"].rotation_quaternion = Euler((0.4, 0, 0)).to_quaternion()
    target.pose.bones["neck.001"].rotation_mode = "QUATERNION"
    bpy.context.view_layer.update()
    before = state(source, target)
    bpy.ops.menagerie.retarget_preview()
    assert target.animation_data.action is not None
    first, last = joints(target, 1)["head"][0], joints(target, FRAMES)["head"][0]
    assert np.linalg.norm(first - last) > 0.5
    choices.of(bpy.context).root = "in_place"  # followed at once
    first, last = joints(target, 1)["hips"][0], joints(target, FRAMES)["hips"][0]
    assert abs(first[1] - last[1]) < 0.1
    bpy.context.scene.frame_set(1)
    bpy.ops.menagerie.retarget_preview_end()
    bpy.context.scene.frame_set(before["frame"][0])
    assert state(source, target) == before


def test_travel_on_the_source_object_comes_to_the_root_or_to_the_object() -> None:
    source, target = place("doe").armature, place("copy").armature
    source.location, source.rotation_mode = (0, 0, 0), "XYZ"
    for frame, place_, turn in ((1, (0, 0, 0), 0.0), (11, (0.4, -1.0, 0), 0.5), (21, (1.5, -2.0, 0), 1.0)):
        source.location, source.rotation_euler = place_, (0, 0, turn)
        source.keyframe_insert("location", frame=frame)
        source.keyframe_insert("rotation_euler", frame=frame)
        source.pose.bones["head"].keyframe_insert("rotation_quaternion", frame=frame)
    choose(source, None, target, feet="off", root="bone")
    bpy.ops.menagerie.retarget_bake()
    for frame in (1, 6, 11, 16, 21):
        bpy.context.scene.frame_set(frame)
        moved = source.matrix_world.copy()
        here = target.pose.bones["root"].matrix @ target.data.bones["root"].matrix_local.inverted()
        assert np.abs(np.array(here) - np.array(moved)).max() < 0.01, frame
    target.animation_data.action = None
    choose(source, None, target, root="object")
    bpy.ops.menagerie.retarget_bake()
    for frame in (1, 6, 11, 16, 21):
        bpy.context.scene.frame_set(frame)
        assert np.abs(np.array(target.matrix_world) - np.array(source.matrix_world)).max() < 0.01, frame


def test_constraints_of_the_source_count() -> None:
    source, target = place("doe").armature, place("copy").armature
    aim = bpy.data.objects.new("aim", None)
    bpy.context.scene.collection.objects.link(aim)
    aim.location = (2, -3, 1)
    follow = source.pose.bones["neck.001"].constraints.new("DAMPED_TRACK")
    follow.target, follow.track_axis = aim, "TRACK_Y"
    action = lively_action(source)
    compat.assign_action(source, action)
    choose(source, None, target, feet="off", limits=False)
    bpy.ops.menagerie.retarget_bake()
    for frame in (1, 12, 25):
        theirs, ours = joints(source, frame), joints(target, frame)
        assert np.degrees(np.arccos(np.clip(theirs["neck.001"][1] @ ours["neck.001"][1], -1, 1))) < DEGREES


def bake_from_file(source: bpy.types.Object, path: Path) -> list[float]:
    """The file's motion on a copy of the source, which then moves as the source does and leaves nothing else. -> frames of its keys."""
    target = place("copy").armature
    chosen = choices.of(bpy.context)
    chosen.kind, chosen.path, chosen.feet, chosen.limits = "FILE", str(path), "off", False
    bpy.context.view_layer.objects.active = target
    before = state(source, target)
    assert bpy.ops.menagerie.retarget_bake() == {"FINISHED"}
    after = state(source, target)
    for record in (before, after):
        record.pop("actions"), record.pop("poses")
    assert after == before
    keys = sorted({round(point.co[0], 3) for curve in compat.curves_of(target.animation_data.action) for point in curve.keyframe_points})
    for number in (0, 10, 20):
        theirs, ours = joints(source, 1 + number), joints(target, keys[number])
        for name in ("thigh.L", "front_shin.R", "neck.002", "foot.R"):
            assert np.degrees(np.arccos(np.clip(theirs[name][1] @ ours[name][1], -1, 1))) < DEGREES, (name, number)
    return keys


def test_a_bvh_file_is_read_at_its_own_speed_and_leaves_nothing(tmp_path: Path) -> None:
    source = place("doe").armature
    compat.assign_action(source, lively_action(source))
    bpy.context.view_layer.objects.active = source
    source.select_set(True)
    path = tmp_path / "walk.bvh"
    bpy.context.scene.frame_end = FRAMES
    bpy.ops.export_anim.bvh(filepath=str(path), frame_start=1, frame_end=FRAMES, root_transform_only=True)
    text = path.read_text()
    path.write_text(text.replace(next(line for line in text.splitlines() if line.startswith("Frame Time")), "Frame Time: 0.0166667"))
    keys = bake_from_file(source, path)
    assert len(keys) == FRAMES
    assert keys[-1] - keys[0] == pytest.approx((FRAMES - 1) * 0.0166667 * 24, abs=0.01)


def test_an_fbx_file_turned_and_scaled_by_its_exporter_is_read(tmp_path: Path) -> None:
    source = place("doe").armature
    compat.assign_action(source, lively_action(source))
    bpy.context.view_layer.objects.active = source
    for thing in bpy.context.view_layer.objects:
        thing.select_set(thing == source)
    path = tmp_path / "walk.fbx"
    bpy.context.scene.frame_end = FRAMES
    bpy.ops.export_scene.fbx(
        filepath=str(path), use_selection=True, object_types={"ARMATURE"}, add_leaf_bones=False, bake_anim_simplify_factor=0
    )
    bake_from_file(source, path)


def test_bad_choices_are_named() -> None:
    source, target = place("doe").armature, place("copy").armature
    choose(source, lively_action(source), target)
    bpy.ops.menagerie.retarget_guess()
    actions = len(bpy.data.actions)
    rows = choices.of(bpy.context).rows
    rows[3].target = rows[2].target
    with pytest.raises(RuntimeError, match=rows[2].target.split(",")[0].replace(".", r"\.")):
        bpy.ops.menagerie.retarget_bake()
    assert len(bpy.data.actions) == actions
    rows[3].target = "no such bone"
    with pytest.raises(RuntimeError, match="no such bone"):
        bpy.ops.menagerie.retarget_bake()
    chosen = choices.of(bpy.context)
    chosen.kind, chosen.path = "FILE", "/nowhere/at all.bvh"
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.menagerie.retarget_bake()


def test_a_map_is_saved_edited_and_loaded(tmp_path: Path) -> None:
    source, target = place("doe").armature, place("copy").armature
    choose(source, lively_action(source), target)
    bpy.ops.menagerie.retarget_guess()
    rows = choices.of(bpy.context).rows
    wanted = [(row.part, row.source, row.target) for row in rows]
    assert len(wanted) == 27
    bpy.ops.menagerie.retarget_save_map(filepath=str(tmp_path / "map"))
    bpy.ops.menagerie.retarget_rows(remove=True)
    bpy.ops.menagerie.retarget_rows()
    assert [(row.part, row.source, row.target) for row in rows] != wanted
    bpy.ops.menagerie.retarget_load_map(filepath=str(tmp_path / "map.json"))
    assert [(row.part, row.source, row.target) for row in rows] == wanted
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(RuntimeError, match="no bone map"):
        bpy.ops.menagerie.retarget_load_map(filepath=str(tmp_path / "bad.json"))


def test_limits_are_the_rigs_own_or_our_names() -> None:
    rig = place("doe").armature
    assert sampling.read_rig(rig).limits is not None
    bone = rig.pose.bones["jaw"]
    bone.use_ik_limit_x, bone.ik_min_x, bone.ik_max_x = True, -0.1, 0.05
    read = sampling.read_rig(rig)
    assert np.allclose(read.limits[read.index["jaw"], 0], (-0.1, 0.05))


def test_the_panel_counts_constraints_that_act_and_none_of_add_ik() -> None:
    rig = place().armature
    ik.add_ik(bpy.context, rig)
    assert panel.bound_bones(rig) == 0
    for bone in ("head", "shin.L"):
        rig.pose.bones[bone].constraints.new("LIMIT_ROTATION")
    assert panel.bound_bones(rig) == 2
    rig.pose.bones["head"].constraints[-1].influence = 0.0
    rig.pose.bones["shin.L"].constraints[-1].mute = True
    assert panel.bound_bones(rig) == 0


def test_a_row_of_the_map_is_short_enough_to_be_read() -> None:
    assert panel.shortened("spine.001, spine.002, spine.003, chest") == "spine.001 +3"
    assert panel.shortened("head") == "head" and panel.shortened("  ") == ""
