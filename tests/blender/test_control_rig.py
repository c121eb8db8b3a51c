"""The control rig: Rigify succeeds on the photos' creatures, the skeleton follows it exactly, and removing it brings back what was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import addon_utils
import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Vector

from blender_addon import compat
from blender_addon.control.rigify import bake, legs, make, names, skeleton, snap
from blender_addon.control.rigify.apart import scene_apart
from blender_addon.link import session
from blender_addon.link.errors import LinkError
from blender_addon.panels import control_rig
from blender_addon.panels import export as export_panel
from blender_addon.scene import armature as armatures
from blender_addon.scene.asset_file import AssetFile
from blender_addon.scene.creature import Creature, control_rig_of
from blender_addon.scene.place import place_asset, update_asset
from tests.asset.creature import TEMPLATE
from tests.blender.button import drawn, everything
from tests.blender.creatures import empty_blender, evaluated_vertices, read_creature
from tests.blender.photo_creatures import NAMES, photo_creatures

POSES = 20
MEAN, WORST = 2e-3, 1e-2
"""Of body length: how far the driven mesh may be from the plain armature's."""
SNAPPED = 1e-3
"""Of body length: how far a leg's joints and skin may go in being switched."""
UNMOVED = 1e-5
LIMITS = {
    bone["name"].replace(".L", side): bone["limits"]
    for bone in json.loads(TEMPLATE.read_text(encoding="utf-8"))["bones"]
    for side in (".L", ".R")
    if bone["limits"] is not None
}
"""Bone -> its least and greatest turns about X, Y and Z in degrees."""


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    empty_blender()
    yield


def place(asset: AssetFile | None = None, name: str | None = None) -> Creature:
    return place_asset(bpy.context, read_creature() if asset is None else asset, name=name)


def turn_at_random(rig: bpy.types.Object, random: np.random.Generator) -> None:
    """A pose within the template's limits."""
    for name, limits in LIMITS.items():
        if name in rig.pose.bones:
            turns = [np.radians(random.uniform(*limit)) for limit in limits]
            rig.pose.bones[name].rotation_quaternion = Euler(turns).to_quaternion()
    rig.pose.bones["root"].location = random.uniform(-0.2, 0.2, 3).tolist()


def snap_apart(control: bpy.types.Object, pose: snap.Pose) -> None:
    """Snaps without evaluating any mesh."""
    with scene_apart(bpy.context) as scene:
        scene.collection.objects.link(control)
        snap.snap(control, pose)


def off(vertices: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vertices - others, axis=1)


def standing(rig: bpy.types.Object) -> dict[str, Matrix]:
    return snap.pose_of(rig)


def farthest(pose: snap.Pose, other: snap.Pose, bone: str) -> float:
    return max(abs(a - b) for row, beside in zip(pose[bone], other[bone], strict=True) for a, b in zip(row, beside, strict=True))


def body(rig: bpy.types.Object) -> float:
    return (rig.data.bones["chest"].tail_local - rig.data.bones["hips"].head_local).length


@pytest.mark.blender5
@pytest.mark.parametrize("photo", NAMES)
def test_the_creature_of_each_photo_follows_its_control_rig_as_it_follows_its_own_bones(photo: str) -> None:
    asset = photo_creatures(photo)[photo]
    plain, driven = place(asset, "plain"), place(asset, "driven")
    before = evaluated_vertices(driven.mesh)
    control = make.make_control_rig(bpy.context, driven.armature)
    photo_off = off(evaluated_vertices(driven.mesh), before) / body(driven.armature)
    assert photo_off.mean() < MEAN and photo_off.max() < WORST
    random = np.random.default_rng(NAMES.index(photo))
    for _ in range(POSES):
        turn_at_random(plain.armature, random)
        snap_apart(control, standing(plain.armature))
        apart = off(evaluated_vertices(driven.mesh), evaluated_vertices(plain.mesh)) / body(driven.armature)
        assert apart.mean() < MEAN and apart.max() < WORST


@pytest.mark.blender5
def test_a_creature_without_tail_jaw_and_ears_gets_a_control_rig() -> None:
    creature = place()
    with armatures.edit_mode(bpy.context, creature.armature):
        for name in ("jaw", "ear.L", "ear.R", *names.TAIL[::-1]):
            bones = creature.armature.data.edit_bones
            bones.remove(bones[name])
    before = standing(creature.armature)
    make.make_control_rig(bpy.context, creature.armature)
    after = standing(creature.armature)
    assert max(farthest(before, after, bone) for bone in before) < 1e-4


def test_a_tail_of_one_bone_gets_one_control() -> None:
    creature = place()
    with armatures.edit_mode(bpy.context, creature.armature):
        for name in names.TAIL[:0:-1]:
            creature.armature.data.edit_bones.remove(creature.armature.data.edit_bones[name])
    before = standing(creature.armature)
    control = make.make_control_rig(bpy.context, creature.armature)
    assert names.fk_control("tail.001") in control.pose.bones
    assert max(farthest(before, standing(creature.armature), bone) for bone in before) < 1e-4


@pytest.mark.blender5
@pytest.mark.parametrize("leg", names.LEGS)
def test_a_moved_foot_moves_its_leg_and_girdle_alone(leg: str) -> None:
    rig = place().armature
    control = make.make_control_rig(bpy.context, rig)
    before = standing(rig)
    foot = names.LEGS[leg][2]
    control.pose.bones[names.sided(foot, "_ik")].location += Vector((0.02, 0.05, 0.06))
    after = standing(rig)
    own = {*names.LEGS[leg], f"shoulder.{leg[-1]}"}
    assert all(farthest(before, after, bone) < UNMOVED for bone in before if bone not in own)
    assert all(farthest(before, after, bone) > 0.01 for bone in names.LEGS[leg])


@pytest.mark.parametrize("photo", ("dog", "horse"))
def test_legs_go_from_ik_to_fk_and_back_where_they_stand(photo: str) -> None:
    creature = place(photo_creatures(photo)[photo])
    control = make.make_control_rig(bpy.context, creature.armature)
    size, before = body(creature.armature), evaluated_vertices(creature.mesh)
    for leg in names.LEGS:
        assert not legs.is_fk(control, leg)  # so it was made
    for fk in (True, False, True):
        for leg in names.LEGS:
            assert legs.switch(control, leg, to_fk=fk) < SNAPPED * size and legs.is_fk(control, leg) == fk
        assert off(evaluated_vertices(creature.mesh), before).max() < SNAPPED * size


@pytest.mark.parametrize("leg", names.LEGS)
def test_tweak_controls_of_a_leg_move_the_skeleton(leg: str) -> None:
    rig = place().armature
    control = make.make_control_rig(bpy.context, rig)
    before = standing(rig)
    control.pose.bones[names.tweak(names.LEGS[leg][1])].location.x += 0.03
    after = standing(rig)
    assert farthest(before, after, names.LEGS[leg][0]) > 0.01 and farthest(before, after, names.LEGS[leg][1]) > 0.01
    assert farthest(before, after, "chest") < UNMOVED


@pytest.mark.blender5
@pytest.mark.parametrize("mode", ("OBJECT", "POSE"))
def test_removing_it_brings_back_exactly_what_was(mode: str) -> None:
    creature = place()
    rig, other = creature.armature, creature.mesh
    own = rig.pose.bones["head"].constraints.new("LIMIT_ROTATION")
    layer = bpy.context.view_layer
    layer.objects.active = rig
    rig.select_set(True)
    other.select_set(True)
    bpy.ops.object.mode_set(mode=mode)
    enabled = set(bpy.context.preferences.addons.keys())
    dirty = bpy.context.preferences.is_dirty

    def state() -> tuple[object, ...]:
        channels = [tuple(np.array(bone.matrix_basis).ravel()) for bone in rig.pose.bones]
        constraints = [(bone.name, c.name) for bone in rig.pose.bones for c in bone.constraints]
        selected = {thing.name for thing in layer.objects if thing.select_get()}
        shown = (rig.hide_get(), rig.show_in_front, bpy.context.scene.name, layer.objects.active, bpy.context.mode, rig.mode)
        things = {**everything(), "texts": len(bpy.data.texts)}
        return channels, constraints, selected, shown, things, set(bpy.data.objects), [c.name for c in rig.data.collections_all]

    before, vertices = state(), evaluated_vertices(creature.mesh)
    control = make.make_control_rig(bpy.context, rig)
    assert layer.objects.active == control and control.mode == mode and control.select_get() and rig.hide_get()
    assert set(bpy.context.preferences.addons.keys()) - enabled == {"rigify"} and bpy.context.preferences.is_dirty == dirty
    control.pose.bones["torso"].location.x += 0.3
    assert off(evaluated_vertices(creature.mesh), vertices).mean() > 0.1
    make.remove_control_rig(bpy.context, rig)
    assert state() == before and own.name == "Limit Rotation"
    assert np.array_equal(evaluated_vertices(creature.mesh), vertices)
    assert set(bpy.context.preferences.addons.keys()) == enabled and not addon_utils.check("rigify")[1]
    assert bpy.context.preferences.is_dirty == dirty


def test_rigify_stays_on_where_the_artist_had_it_on() -> None:
    addon_utils.enable("rigify", default_set=True)
    rig = place().armature
    make.make_control_rig(bpy.context, rig)
    make.remove_control_rig(bpy.context, rig)
    assert addon_utils.check("rigify")[1]
    addon_utils.disable("rigify", default_set=True)


def test_it_stands_where_the_creature_stands_and_goes_with_it() -> None:
    creature = place()
    creature.armature.matrix_world = Matrix.Translation((3, -2, 1)) @ Euler((0.2, 0.3, 1.0)).to_matrix().to_4x4() @ Matrix.Scale(2, 4)
    before = evaluated_vertices(creature.mesh)
    control = make.make_control_rig(bpy.context, creature.armature)
    assert off(evaluated_vertices(creature.mesh), before).max() < 1e-3
    creature.armature.location.x += 1
    assert off(evaluated_vertices(creature.mesh), before + [1, 0, 0]).max() < 1e-3
    control.location.z += 0.5  # in the creature's own, twice as large
    assert off(evaluated_vertices(creature.mesh), before).mean() > 1


def edited(change: str) -> bpy.types.Object:
    """A creature with one thing wrong."""
    rig = place().armature
    with armatures.edit_mode(bpy.context, rig):
        bones = rig.data.edit_bones
        if change == "rig_bones_missing":
            bones.remove(bones["toe.L"])
        elif change == "rig_bones_apart":
            bones["shin.L"].use_connect = False
            bones["shin.L"].head.y += 0.05
        elif change == "rig_leg_straight":
            start, end = bones["thigh.L"].head.copy(), bones["shin.L"].tail.copy()
            bones["thigh.L"].tail = (start + end) / 2
        elif change == "rig_bone_short":
            bones["ear.L"].tail = bones["ear.L"].head + Vector((0, 0, 2e-6))
    if change == "rig_has_ik":
        rig.pose.bones["shin.L"].constraints.new("IK")
    if change == "control_rig_exists":
        make.make_control_rig(bpy.context, rig)
    return rig


@pytest.mark.parametrize(
    "code",
    ("rig_bones_missing", "rig_bones_apart", "rig_leg_straight", "rig_bone_short", "rig_has_ik", "control_rig_exists"),
)
def test_what_would_fail_is_said_before_anything_is_made(code: str) -> None:
    rig = edited(code)
    before = everything()
    with pytest.raises(LinkError) as caught:
        make.make_control_rig(bpy.context, rig)
    assert caught.value.code == code and caught.value.remedy
    assert everything() == before and not rig.hide_get() or code == "control_rig_exists"


def test_when_rigify_fails_nothing_of_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = place().armature
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="POSE")
    monkeypatch.setattr(names, "PIVOT", 9)
    before = everything()
    with pytest.raises(LinkError) as caught:
        make.make_control_rig(bpy.context, rig)
    assert caught.value.code == "rigify_failed" and "pivot" in caught.value.sentence
    assert everything() == before and not bpy.data.texts and rig.mode == "POSE" and not addon_utils.check("rigify")[1]


def test_a_blender_without_rigify_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = place().armature
    monkeypatch.setattr("blender_addon.control.rigify.addon.MODULE", "rigify_that_is_not_there")
    with pytest.raises(LinkError) as caught:
        make.make_control_rig(bpy.context, rig)
    assert caught.value.code == "rigify_missing"
    assert "rigify_that_is_not_there" not in bpy.context.preferences.addons


@pytest.mark.blender5
def test_a_baked_action_plays_the_same_without_the_control_rig() -> None:
    creature = place()
    rig = creature.armature
    rig.pose.bones["tail.002"].rotation_mode = "YZX"
    control = make.make_control_rig(bpy.context, rig)
    foot, torso = control.pose.bones["front_foot_ik.L"], control.pose.bones["torso"]
    for frame, step in ((1, 0.0), (9, 0.15)):
        foot.location.y += step
        torso.location.z += step / 4
        for bone in (foot, torso):
            bone.keyframe_insert("location", frame=frame)
        control.pose.bones["tail.002" if "tail.002" in control.pose.bones else names.fk_control("tail.002")].rotation_quaternion.x += step
        control.pose.bones[names.fk_control("tail.002")].keyframe_insert("rotation_quaternion", frame=frame)
    control.pose.bones["head"].rotation_quaternion.z += 0.2  # not keyed
    scene = bpy.context.scene
    scene.frame_set(4)
    control.pose.bones["head"].rotation_quaternion.z += 0.2
    unkeyed = control.pose.bones["head"].rotation_quaternion.copy()
    wanted = {}
    for frame in range(1, 10):
        scene.frame_set(frame)
        wanted[frame] = evaluated_vertices(creature.mesh)
    scene.frame_set(4)
    action = bake.bake(bpy.context, rig, control)
    assert scene.frame_current == 4 and control.pose.bones["head"].rotation_quaternion == unkeyed
    assert bake.bake(bpy.context, rig, control) == action and tuple(action.frame_range) == (1, 9)
    make.remove_control_rig(bpy.context, rig)
    compat.assign_action(rig, action)
    for frame, vertices in wanted.items():
        scene.frame_set(frame)
        assert off(evaluated_vertices(creature.mesh), vertices).max() < 1e-4


def test_nothing_animated_is_nothing_to_bake() -> None:
    rig = place().armature
    control = make.make_control_rig(bpy.context, rig)
    with pytest.raises(LinkError) as caught:
        bake.bake(bpy.context, rig, control)
    assert caught.value.code == "nothing_animated"


def test_other_bones_are_refused_while_a_control_rig_stands() -> None:
    creature = place()
    make.make_control_rig(bpy.context, creature.armature)
    heads = [bone.head_local.copy() for bone in creature.armature.data.bones]
    with pytest.raises(LinkError) as caught:
        update_asset(bpy.context, creature, read_creature())
    assert caught.value.code == "control_rig_exists"
    assert [bone.head_local for bone in creature.armature.data.bones] == heads


def test_a_control_rig_deleted_by_hand_leaves_a_creature_that_can_be_let_go() -> None:
    creature = place()
    rig = creature.armature
    bpy.data.objects.remove(make.make_control_rig(bpy.context, rig))
    make.remove_control_rig(bpy.context, rig)
    assert not skeleton.ties(rig) and not rig.hide_get() and control_rig_of(rig) is None


def placed_by_the_add_on(folder: Path) -> bpy.types.Object:
    """A creature with the record of a job, as the panel knows it."""
    rig = place().armature
    plan = session.Plan(str(folder / "ram.png"), str(folder), {"seed": 0}, bpy.context.scene.name, "ram")
    session.write_record(rig, plan, {}, (96, 64))
    return rig


@pytest.mark.usefixtures("add_on")
class TestWithTheAddOn:
    """Through the operators and the panel, as the artist does."""

    def test_buttons_make_switch_bake_and_remove(self, tmp_path: Path) -> None:
        rig = placed_by_the_add_on(tmp_path)
        assert "menagerie.make_control_rig" in drawn(control_rig.MENAGERIE_PT_control_rig)
        assert bpy.ops.menagerie.make_control_rig() == {"FINISHED"}
        control = control_rig_of(rig)
        said = drawn(control_rig.MENAGERIE_PT_control_rig)
        assert {"menagerie.switch_leg", "menagerie.bake_control_rig", "menagerie.remove_control_rig", "torso FK"} <= set(said)
        assert bpy.ops.menagerie.switch_leg(leg="hind leg.L", to="FK") == {"FINISHED"}
        assert [leg for leg in names.LEGS if legs.is_fk(control, leg)] == ["hind leg.L"]
        with pytest.raises(RuntimeError, match="has no action"):
            bpy.ops.menagerie.bake_control_rig()
        control.pose.bones["torso"].keyframe_insert("location", frame=1)
        assert bpy.ops.menagerie.bake_control_rig() == {"FINISHED"}
        assert bpy.ops.menagerie.remove_control_rig() == {"FINISHED"}
        assert control_rig_of(rig) is None and any(action.name.endswith("baked") for action in bpy.data.actions)

    def test_where_rigify_would_crash_fitting_again_is_refused_before_it_begins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        placed_by_the_add_on(tmp_path)
        bpy.ops.menagerie.make_control_rig()
        monkeypatch.setattr(compat, "RIGIFY_HOLDS", False)
        for operator in (bpy.ops.menagerie.update, bpy.ops.menagerie.flip_heading, bpy.ops.menagerie.swap_legs):
            with pytest.raises(RuntimeError, match="has a control rig"):
                operator()
        assert session.state.job is None and session.state.error["code"] == "control_rig_exists"
        bpy.ops.menagerie.remove_control_rig()
        assert session.again(bpy.context, swap_legs=True).settings["swap_legs"]

    def test_a_creature_is_exported_by_its_button(self, tmp_path: Path) -> None:
        placed_by_the_add_on(tmp_path)
        assert "menagerie.export_creature" in drawn(export_panel.MENAGERIE_PT_export)
        path = tmp_path / "ram.fbx"
        assert bpy.ops.menagerie.export_creature(filepath=str(path), form="GLTF", style="GODOT") == {"FINISHED"}
        assert path.with_suffix(".glb").stat().st_size > 1000 and not path.exists()
