"""After an Update the control rig is made anew for the new bones, and what the artist has set on its controls is still there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon import compat
from blender_addon.control.rigify import make, names, skeleton
from blender_addon.link import session
from blender_addon.ops import place as placing
from blender_addon.scene.asset_file import AssetFile
from blender_addon.scene.creature import Creature, control_rig_of
from blender_addon.scene.place import place_asset
from tests.blender.button import everything
from tests.blender.creatures import evaluated_vertices, read_creature

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

NEAR = 1e-4
"""Of body length: bones at rest."""
MEAN, WORST = 2e-3, 1e-2
"""Of body length: a driven mesh from the plain armature's."""


def other_asset() -> AssetFile:
    """The same animal, longer and lower, looking down."""
    asset, stretch = read_creature(), np.float32([1.1, 1.3, 0.9])
    turns = asset.photo_rotations.copy()
    turns[asset.bone_names.index("neck.001")] = np.float32([np.cos(0.2), np.sin(0.2), 0, 0])
    return replace(
        asset, vertices=asset.vertices * stretch, heads=asset.heads * stretch, tails=asset.tails * stretch, photo_rotations=turns
    )


def standing() -> tuple[Creature, bpy.types.Object]:
    """A creature with its control rig."""
    creature = place_asset(bpy.context, read_creature(), name="Doe")
    return creature, make.make_control_rig(bpy.context, creature.armature)


def update(creature: Creature, asset: AssetFile, folder: Path) -> None:
    """As a finished Update is placed."""
    plan = session.Plan(str(folder / "doe.png"), str(folder), {}, bpy.context.scene.name, "Doe", target=creature.armature.name)
    placing.put(bpy.context, plan, asset, folder, {}, [])


def fits(control: bpy.types.Object, rig: bpy.types.Object) -> bool:
    """Whether the control rig's skeleton rests where the creature's does."""
    return all(
        np.abs(np.array(control.data.bones[names.skeleton_bone(bone.name)].matrix_local) - np.array(bone.matrix_local)).max() < NEAR
        for bone in rig.data.bones
    )


def animate(control: bpy.types.Object) -> bpy.types.Action:
    """Keys on the torso and a foot, in two frames."""
    for frame, step in ((1, 0.0), (9, 0.2)):
        for name in ("torso", "front_foot_ik.L"):
            control.pose.bones[name].location.z = step
            control.pose.bones[name].keyframe_insert("location", frame=frame)
    return control.animation_data.action


def test_what_was_set_on_the_controls_is_still_there(tmp_path: Path) -> None:
    creature, control = standing()
    action = animate(control)
    kept = {(c.data_path, c.array_index): [tuple(k.co) for k in c.keyframe_points] for c in compat.curves_of(action)}
    track = control.animation_data.nla_tracks.new()
    track.name = "nod"
    strip = compat.new_strip(track, "nod", 30, action)
    strip.repeat, strip.mute = 2.0, True
    head = control.pose.bones["head"]
    head.constraints.new("LIMIT_ROTATION").name = "the artist's own"
    head["mood"] = 0.7
    control.pose.bones[names.switch_bone("hind leg.R")][names.IK_FK] = 1.0
    control.pose.bones["head"].rotation_quaternion = (0.98, 0.2, 0, 0)
    control.data.collections_all["torso FK"].is_visible = True
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    bpy.context.scene.collection.objects.link(camera)
    look = camera.constraints.new("TRACK_TO")
    look.target, look.subtarget = control, "head"
    layer = bpy.context.view_layer
    layer.objects.active = control
    bpy.ops.object.mode_set(mode="POSE")
    name, hidden, before = control.name, creature.armature.hide_get(), everything()

    update(creature, other_asset(), tmp_path)

    new = control_rig_of(creature.armature)
    assert session.state.error is None and new is not None and new.name == name and everything() == before
    assert fits(new, creature.armature) and len(skeleton.ties(creature.armature)) > 30
    assert layer.objects.active == new and new.mode == "POSE" and new.select_get() and creature.armature.hide_get() == hidden
    assert new.animation_data.action == action and compat.slot_of(new) is not None or not compat.HAS_SLOTS
    assert kept == {(c.data_path, c.array_index): [tuple(k.co) for k in c.keyframe_points] for c in compat.curves_of(action)}
    again = new.animation_data.nla_tracks["nod"].strips[0]
    assert (again.action, again.frame_start, again.repeat, again.mute) == (action, 30, 2.0, True)
    assert "the artist's own" in new.pose.bones["head"].constraints and new.pose.bones["head"]["mood"] == 0.7
    assert new.pose.bones[names.switch_bone("hind leg.R")][names.IK_FK] == 1.0
    assert tuple(new.pose.bones["head"].rotation_quaternion) == pytest.approx((0.98, 0.2, 0, 0))
    assert new.data.collections_all["torso FK"].is_visible and look.target == new
    heights = []
    for frame in (1, 9):
        bpy.context.scene.frame_set(frame)
        heights.append(evaluated_vertices(creature.mesh)[:, 2].max())
    assert heights[1] - heights[0] > 0.1
    bpy.ops.object.mode_set(mode="OBJECT")
    make.remove_control_rig(bpy.context, creature.armature)
    assert not creature.armature.hide_get() and not skeleton.ties(creature.armature)


def test_an_untouched_control_rig_shows_the_new_photos_pose(tmp_path: Path) -> None:
    asset = other_asset()
    plain = evaluated_vertices(place_asset(bpy.context, asset, name="plain").mesh)
    creature, control = standing()
    assert make.is_untouched(control)
    update(creature, asset, tmp_path)
    apart = np.linalg.norm(evaluated_vertices(creature.mesh) - plain, axis=1)
    assert apart.mean() < MEAN and apart.max() < WORST
    assert make.is_untouched(control_rig_of(creature.armature))


def test_where_rigify_fails_the_result_stands_and_the_old_controls_keep_their_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    creature, control = standing()
    action = animate(control)
    asset, name = other_asset(), control.name
    monkeypatch.setattr(names, "PIVOT", 9)
    update(creature, asset, tmp_path)
    assert session.state.error is not None and session.state.error["code"] == "rigify_failed"
    assert control_rig_of(creature.armature) == control and control.name == name and control.animation_data.action == action
    assert not skeleton.ties(creature.armature) and len(creature.mesh.data.vertices) == len(asset.vertices)
    make.remove_control_rig(bpy.context, creature.armature)
    assert control_rig_of(creature.armature) is None and action.use_fake_user


def test_in_another_mode_the_result_waits_and_the_bones_still_follow(tmp_path: Path) -> None:
    creature, control = standing()
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="SCULPT")
    ties = len(skeleton.ties(creature.armature))
    rests = [Matrix(bone.matrix_local) for bone in creature.armature.data.bones]
    with pytest.raises(placing.LinkError) as caught:
        update(creature, other_asset(), tmp_path)
    assert caught.value.code in placing.MENDABLE and len(skeleton.ties(creature.armature)) == ties
    assert [bone.matrix_local for bone in creature.armature.data.bones] == rests and control_rig_of(creature.armature) == control
    bpy.ops.object.mode_set(mode="OBJECT")
