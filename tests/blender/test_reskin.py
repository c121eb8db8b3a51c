"""Bones moved in Edit Mode are noticed, and Re-skin finds weights for them: the real service's, of a made-up creature."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.link.errors import LinkError
from blender_addon.ops import reskin
from blender_addon.panels import correct
from blender_addon.scene import skin
from blender_addon.scene.creature import Creature, find_creature
from blender_addon.scene.place import BONES
from tests.blender.button import drawn, everything, reconstruct

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]


@pytest.fixture
def creature(tmp_path: Path) -> Creature:
    found = find_creature(reconstruct(tmp_path))
    assert found is not None
    return found


def move_elbow(creature: Creature, by: tuple[float, float, float] = (0.0, 0.04, 0.06)) -> None:
    """The left elbow, in Edit Mode, by armature units."""
    bpy.context.view_layer.objects.active = creature.armature
    bpy.ops.object.mode_set(mode="EDIT")
    joint = creature.armature.data.edit_bones["front_thigh.L"]
    joint.tail = [a + b for a, b in zip(joint.tail, by, strict=True)]
    bpy.ops.object.mode_set(mode="OBJECT")


def names(creature: Creature) -> list[str]:
    return list(creature.armature[BONES])


def weights(creature: Creature) -> np.ndarray:
    """(v, groups) of the mesh."""
    body = creature.mesh
    found = np.zeros((len(body.data.vertices), len(body.vertex_groups)))
    for vertex in body.data.vertices:
        for group in vertex.groups:
            found[vertex.index, group.group] = group.weight
    return found


def places(creature: Creature) -> np.ndarray:
    return np.array([tuple(vertex.co) for vertex in creature.mesh.data.vertices])


def test_nothing_is_offered_while_the_bones_stand(creature: Creature) -> None:
    assert skin.moved_bones(creature.armature, names(creature)) == []
    assert "menagerie.reskin" not in drawn(correct.MENAGERIE_PT_correct)
    bone = creature.armature.pose.bones["neck.001"]
    bone.rotation_quaternion = (0.8, 0.6, 0, 0)
    assert skin.moved_bones(creature.armature, names(creature)) == [], "a pose moves no bone"


def test_a_moved_bone_offers_re_skin_and_gets_weights(creature: Creature) -> None:
    assert bpy.ops.menagerie.reskin() == {"FINISHED"}  # the made-up creature's own weights are made-up as well
    before, stood = weights(creature), places(creature)
    mine = creature.mesh.vertex_groups.new(name="mine")
    mine.add([0, 1], 0.5, "REPLACE")
    move_elbow(creature)
    assert skin.moved_bones(creature.armature, names(creature)) == ["front_thigh.L", "front_shin.L"]
    assert "menagerie.reskin" in drawn(correct.MENAGERIE_PT_correct)
    things = everything()
    assert bpy.ops.menagerie.reskin() == {"FINISHED"}
    after = weights(creature)
    sides = stood[:, 0]
    assert np.abs(after[:, :-1] - before)[sides > 0.01].max() > 0.05
    assert np.abs(after[:, :-1] - before)[sides < -0.01].max() < 0.01, "the other side's bones stand where they stood"
    assert np.allclose(after[:, :-1].sum(1), 1, atol=1e-4) and (after[:, :-1] > 0).sum(1).max() <= 4
    assert after[:2, -1].tolist() == [0.5, 0.5], "a group of the artist's own stays"
    assert np.array_equal(places(creature), stood) and everything() == things
    assert skin.moved_bones(creature.armature, names(creature)) == []
    assert "menagerie.reskin" not in drawn(correct.MENAGERIE_PT_correct)


def test_a_result_that_comes_while_the_mesh_is_edited_waits(creature: Creature) -> None:
    move_elbow(creature)
    assert bpy.ops.menagerie.reskin() == {"FINISHED"}
    errand = reskin.Errand(creature.armature.name, [], Path("gone"), 0, None, [])
    bpy.context.view_layer.objects.active = creature.mesh
    bpy.ops.object.mode_set(mode="EDIT")
    reskin.current = errand
    reskin.put_in_if_free(errand)
    assert reskin.ready() is errand and "Ready: Place Weights" in drawn(correct.MENAGERIE_PT_correct)
    bpy.ops.object.mode_set(mode="OBJECT")
    reskin.forget()


def test_a_mesh_that_was_opened_is_refused_and_keeps_its_weights(creature: Creature) -> None:
    move_elbow(creature)
    bpy.context.view_layer.objects.active = creature.mesh
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    bpy.ops.object.mode_set(mode="OBJECT")
    creature.mesh.data.polygons[0].select = True
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_mode(type="FACE")
    bpy.ops.mesh.delete(type="FACE")
    bpy.ops.object.mode_set(mode="OBJECT")
    before = weights(creature)
    with pytest.raises(RuntimeError, match="isn't closed"):
        bpy.ops.menagerie.reskin()
    assert np.array_equal(weights(creature), before)
    assert skin.moved_bones(creature.armature, names(creature))


def test_a_bone_that_is_gone_is_named(creature: Creature) -> None:
    bpy.context.view_layer.objects.active = creature.armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = creature.armature.data.edit_bones
    bones.remove(bones["jaw"])
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(RuntimeError, match="bone jaw is gone"):
        bpy.ops.menagerie.reskin()


@pytest.mark.parametrize("damage", ["cut", "sum", "bone", "shape"])
def test_a_damaged_answer_is_refused(tmp_path: Path, damage: str) -> None:
    bones, shares = np.zeros((5, 4), np.int32), np.zeros((5, 4), np.float32)
    shares[:, 0] = 1
    if damage == "sum":
        shares[2, 0] = 0.5
    elif damage == "bone":
        bones[1, 1] = 7
    elif damage == "shape":
        shares = shares[:, :3]
    data = skin.pack({"skin.bones": bones, "skin.weights": shares}, '{"bones": ["hips"]}')
    path = tmp_path / "skin.safetensors"
    path.write_bytes(data[:-4] if damage == "cut" else data)
    with pytest.raises(LinkError) as refusal:
        skin.read_skin(path)
    assert refusal.value.code == "asset_damaged"
