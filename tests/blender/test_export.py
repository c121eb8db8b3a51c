"""Exports, read back by Blender's own importers: one root, no widget, the same bones, weights and keys; the artist's file as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Vector

from blender_addon import compat
from blender_addon.control.rigify import bake, make
from blender_addon.export import copies, export, names
from blender_addon.export.export import Choices, export_creature
from blender_addon.link.errors import LinkError
from blender_addon.scene.creature import Creature
from blender_addon.scene.place import place_asset
from tests.blender.button import everything
from tests.blender.creatures import empty_blender, evaluated_vertices, read_creature

NEAR = 1e-4
"""Of body length: vertices and joints after a round trip."""
WEIGHT = 1e-4


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    empty_blender()
    yield


def place() -> Creature:
    """A creature with an IK bone and a widget as the artist may have added."""
    creature = place_asset(bpy.context, read_creature(), name="Doe")
    rig = creature.armature
    from blender_addon.scene import armature as armatures

    with armatures.edit_mode(bpy.context, rig):
        bone = rig.data.edit_bones.new("hoof target")
        bone.head, bone.tail, bone.use_deform = (0, 0, 0), (0, 0, 0.1), False
    shape = bpy.data.objects.new("WGT hips", bpy.data.meshes.new("WGT hips"))
    rig.pose.bones["hips"].custom_shape = shape
    return creature


def weights(body: bpy.types.Object) -> dict[tuple[float, ...], dict[str, float]]:
    """Place at rest, rounded -> group -> weight; the same for a vertex that was split at a seam."""
    groups = [group.name for group in body.vertex_groups]
    return {
        tuple(round(x, 3) for x in body.matrix_world @ vertex.co): {groups[g.group]: g.weight for g in vertex.groups if g.weight > 1e-6}
        for vertex in body.data.vertices
    }


def read_back(path: Path) -> tuple[bpy.types.Object, bpy.types.Object]:
    """(armature, mesh) of the file, in an empty Blender."""
    empty_blender()
    kind = path.suffix
    if kind in (".glb", ".gltf"):
        bpy.ops.import_scene.gltf(filepath=str(path))
    elif kind == ".fbx":
        bpy.ops.import_scene.fbx(filepath=str(path))
    else:
        bpy.ops.wm.usd_import(filepath=str(path))
    things = [thing for thing in bpy.data.objects if not thing.name.startswith("Icosphere")]  # glTF's importer adds it
    rigs = [thing for thing in things if thing.type == "ARMATURE"]
    bodies = [thing for thing in things if thing.type == "MESH"]
    assert len(rigs) == 1 and len(bodies) == 1, [thing.name for thing in things]
    return rigs[0], bodies[0]


def keyed(action: bpy.types.Action) -> dict[str, int]:
    """Bone -> the most keys of a curve of it."""
    counts: dict[str, int] = {}
    for curve in compat.curves_of(action):
        if curve.data_path.startswith("pose.bones") and "rotation" in curve.data_path:
            bone = curve.data_path.split('"')[1]
            counts[bone] = max(counts.get(bone, 0), len(curve.keyframe_points))
    return counts


def spelled(name: str, form: str) -> str:
    """USD knows no dots in names."""
    return name.replace(".", "_") if form == "USD" else name


@pytest.mark.blender5
@pytest.mark.parametrize("form", export.FORMATS)
def test_read_back_there_are_one_root_the_same_bones_weights_and_keys(form: str, tmp_path: Path) -> None:
    creature = place()
    rig, size = creature.armature, 1.0
    wanted = {spelled(name, form) for name in rig.data.bones.keys()} - {"hoof target", "hoof_target"}
    joints = {spelled(bone.name, form): rig.matrix_world @ bone.head_local for bone in rig.data.bones}
    weighed = {at: {spelled(k, form): w for k, w in groups.items()} for at, groups in weights(creature.mesh).items()}
    action = creature.actions[0]
    frames = round(action.frame_range[1]) - round(action.frame_range[0]) + 1
    path = tmp_path / f"Doe{export.FORMATS[form]}"
    assert export_creature(bpy.context, rig, path, Choices(form, motion="ACTIONS")) == [action.name]
    again, body = read_back(path)
    again.data.pose_position = "REST"
    bpy.context.view_layer.update()
    assert set(again.data.bones.keys()) == wanted
    assert [bone.name for bone in again.data.bones if bone.parent is None] == ["root"]
    for bone in again.data.bones:
        assert (again.matrix_world @ bone.head_local - joints[bone.name]).length < NEAR * size
    found = weights(body)
    assert len(set(found) & set(weighed)) > 0.98 * len(weighed)  # the rest lies on a rounding's edge
    for at in set(found) & set(weighed):
        assert {k for k, w in found[at].items() if w > WEIGHT} == {k for k, w in weighed[at].items() if w > WEIGHT}
        assert all(abs(found[at][k] - w) < 10 * WEIGHT for k, w in weighed[at].items() if w > WEIGHT)
    played = [each for each in bpy.data.actions if keyed(each)]
    assert len(played) == 1
    counts = keyed(played[0])
    assert set(counts) == wanted and set(counts.values()) == {frames}
    assert not any("WGT" in thing.name for thing in (*bpy.data.objects, *bpy.data.meshes))


@pytest.mark.blender5
@pytest.mark.parametrize("form", export.FORMATS)
@pytest.mark.parametrize("motion", ("POSE", "PHOTO", "REST"))
def test_read_back_it_stands_in_the_pose_that_was_asked_for(form: str, motion: str, tmp_path: Path) -> None:
    creature = place()
    creature.armature.data.pose_position = "REST" if motion == "REST" else "POSE"
    wanted = evaluated_vertices(creature.mesh)
    creature.armature.data.pose_position = "POSE"
    if motion == "PHOTO":  # the artist has posed it since
        creature.armature.pose.bones["neck.001"].rotation_quaternion = (0.8, 0.6, 0, 0)
        assert np.abs(evaluated_vertices(creature.mesh) - wanted).max() > 0.05
    path = tmp_path / f"Doe{export.FORMATS[form]}"
    if form == "USD" and motion != "REST" and not compat.USD_KEEPS_POSE:
        with pytest.raises(LinkError) as caught:
            export_creature(bpy.context, creature.armature, path, Choices(form, motion=motion))
        assert caught.value.code == "usd_rests" and not path.exists()
        return
    export_creature(bpy.context, creature.armature, path, Choices(form, motion=motion))
    rig, body = read_back(path)
    bpy.context.scene.frame_set(bpy.context.scene.frame_current)
    found = evaluated_vertices(body)
    corners = [np.stack([each.min(0), each.max(0)]) for each in (wanted, found)]
    assert np.abs(corners[0] - corners[1]).max() < 1e-3
    images = [image for image in bpy.data.images if image.size[0] > 1]
    assert images, "no texture came along"


@pytest.mark.parametrize("form", ("GLTF", "FBX"))
def test_textures_lie_beside_the_file_where_that_is_asked_for(form: str, tmp_path: Path) -> None:
    choices = Choices(form, embed=False)
    path = tmp_path / f"Doe{choices.ending}"
    export_creature(bpy.context, place().armature, path, choices)
    assert len(list(tmp_path.glob("*.png"))) == 1


@pytest.mark.parametrize("form", ("GLTF", "FBX"))
@pytest.mark.parametrize(("style", "thigh", "spine"), (("UNITY", "thigh_L", "spine_001"), ("GODOT", "LeftThigh", "Spine1")))
def test_bones_and_weights_have_the_engines_names(form: str, style: str, thigh: str, spine: str, tmp_path: Path) -> None:
    path = tmp_path / f"Doe{export.FORMATS[form]}"
    export_creature(bpy.context, place().armature, path, Choices(form, style))
    rig, body = read_back(path)
    assert {thigh, spine} <= set(rig.data.bones.keys()) and {thigh, spine} <= {group.name for group in body.vertex_groups}
    assert not any("." in name for name in rig.data.bones.keys())


def test_two_names_that_would_become_one_stay_two() -> None:
    made = names.engine_names(["ear.L", "ear_L", "spine.001", "1st"], "UNITY")
    assert made == {"ear.L": "ear_L", "ear_L": "ear_L_2", "spine.001": "spine_001", "1st": "_1st"}
    assert names.engine_names(["front_thigh.R", "tail.010", "root"], "GODOT") == {
        "front_thigh.R": "RightFrontThigh", "tail.010": "Tail10", "root": "Root",
    }  # fmt: skip


@pytest.mark.parametrize("breaks", (False, True))
def test_the_artists_file_is_as_before_also_when_the_exporter_fails(breaks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    creature = place()
    rig = creature.armature
    rig.pose.bones["shin.L"].constraints.new("COPY_ROTATION").target = rig
    compat.assign_action(rig, creature.actions[0])
    bpy.context.scene.frame_set(3)

    def state() -> tuple[object, ...]:
        blocks = [bpy.data.objects, bpy.data.meshes, bpy.data.armatures, bpy.data.materials, bpy.data.images, bpy.data.actions]
        curves = [curve.data_path for curve in compat.curves_of(creature.actions[0])]
        return everything(), [b.name for kind in blocks for b in kind], [g.name for g in creature.mesh.vertex_groups], curves, (
            rig.animation_data.action, bpy.context.scene.frame_current, bpy.context.scene.name, list(rig.data.bones.keys()),
            [(bone.name, c.name) for bone in rig.pose.bones for c in bone.constraints],
        )  # fmt: skip

    before, vertices = state(), evaluated_vertices(creature.mesh)
    if breaks:

        def fail(*ignored: object) -> None:
            raise RuntimeError("Error: no room on the disk")

        monkeypatch.setitem(export.WRITERS, "GLTF", fail)
        with pytest.raises(LinkError) as caught:
            export_creature(bpy.context, rig, tmp_path / "a.glb", Choices(style="GODOT", motion="ACTIONS"))
        assert caught.value.code == "export_failed" and "no room" in caught.value.sentence
    else:
        export_creature(bpy.context, rig, tmp_path / "a.glb", Choices(style="GODOT", motion="ACTIONS"))
    assert state() == before and np.array_equal(evaluated_vertices(creature.mesh), vertices)


@pytest.mark.blender5
def test_a_creature_with_a_control_rig_leaves_without_it(tmp_path: Path) -> None:
    creature = place()
    rig = creature.armature
    control = make.make_control_rig(bpy.context, rig)
    torso = control.pose.bones["torso"]
    for frame in (1, 6):
        torso.location += Vector((0, 0, 0.05))
        torso.keyframe_insert("location", frame=frame)
    with pytest.raises(LinkError) as caught:
        export_creature(bpy.context, rig, tmp_path / "a.glb", Choices(motion="ACTIONS"))
    assert caught.value.code == "not_baked"
    baked = bake.bake(bpy.context, rig, control)
    assert baked in copies.actions_of(rig)
    export_creature(bpy.context, rig, tmp_path / "a.glb", Choices(motion="ACTIONS"))
    again, _ = read_back(tmp_path / "a.glb")
    assert [bone.name for bone in again.data.bones if bone.parent is None] == ["root"]
    assert not any(name.startswith(("MCH", "ORG", "DEF", "tweak")) for name in again.data.bones.keys())
    assert {max(keyed(action).values()) for action in bpy.data.actions if keyed(action)} >= {6}


def test_a_creature_without_actions_and_a_missing_folder_are_told(tmp_path: Path) -> None:
    creature = place()
    for action in creature.actions:
        bpy.data.actions.remove(action)
    with pytest.raises(LinkError) as caught:
        export_creature(bpy.context, creature.armature, tmp_path / "a.glb", Choices(motion="ACTIONS"))
    assert caught.value.code == "no_motion"
    with pytest.raises(LinkError) as caught:
        export_creature(bpy.context, creature.armature, tmp_path / "nowhere" / "a.glb", Choices())
    assert caught.value.code == "not_writable"


def test_a_blender_without_usd_or_with_an_exporter_switched_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        class app:
            class build_options:
                usd = False

        types = object()

    monkeypatch.setattr(export, "bpy", Without)
    for form, code in (("USD", "usd_missing"), ("FBX", "exporter_off"), ("GLTF", "exporter_off")):
        with pytest.raises(LinkError) as caught:
            export.exporter(form)
        assert caught.value.code == code
