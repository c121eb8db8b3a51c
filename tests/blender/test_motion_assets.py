"""All ready motions in the Asset Browser, none of them applied first; one that is applied there takes the creature's proportions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from blender_addon import compat, paths
from blender_addon.motions import apply, assets, library
from blender_addon.motions.action import READY
from blender_addon.ops.apply_motion_asset import MENAGERIE_OT_apply_motion_asset
from blender_addon.panels import motion_assets, motions
from blender_addon.scene.creature import ROLE
from blender_addon.scene.place import place_asset
from tests.blender.button import drawn, everything
from tests.blender.creatures import read_creature

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

PATIENCE_SECONDS = 30.0
"""For writing; two quiet cores take four."""


@pytest.fixture
def folder(add_on: None) -> Iterator[Path]:
    """The library's folder; the preferences are as before afterwards."""
    libraries = bpy.context.preferences.filepaths.asset_libraries
    before = {known.name for known in libraries}
    yield paths.user_folder("assets", "motions")
    for known in [known for known in libraries if known.name not in before]:
        libraries.remove(known)


def press() -> None:
    assert bpy.ops.menagerie.add_motion_library() == {"FINISHED"}


def loaded(folder: Path) -> dict[str, bpy.types.Action]:
    """Every asset of the library's file, appended: name of its motion -> action."""
    with bpy.data.libraries.load(str(folder / assets.FILE), assets_only=True) as (there, here):
        here.actions = there.actions
    return {action.asset_data[assets.PROPERTY]: action for action in here.actions}


def test_the_button_writes_every_motion_and_leaves_the_artists_file_as_it_was(folder: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="SCULPT")
    before, cube = everything(), bpy.context.object
    start = time.process_time()
    press()
    assert time.process_time() - start < PATIENCE_SECONDS
    assert everything() == before and bpy.context.object == cube and cube.mode == "SCULPT" and cube.select_get()
    bpy.ops.object.mode_set(mode="OBJECT")
    shared = library.load()
    made = loaded(folder)
    assert set(made) == set(shared.motions) and len(made) == 20
    listed = (folder / assets.CATALOGS).read_text("utf-8")
    for name, action in made.items():
        motion, data = shared.motions[name], action.asset_data
        assert action.name.split(".")[0] == motion.label and action.use_cyclic and action.frame_end > action.frame_start
        assert data.author == shared.credit and data.license == shared.licence and "0 A.D." in data.copyright
        assert f"{data.catalog_id}:Motions/{motion.kind.capitalize()}:" in listed
        preview = np.empty(len(action.preview.image_pixels_float), np.float32)
        action.preview.image_pixels_float.foreach_get(preview)
        assert len(preview) > 64 * 64 * 4 and preview.std() > 0.05
        rotations = [curve for curve in compat.curves_of(action) if curve.data_path.endswith("rotation_quaternion")]
        assert any(len(curve.keyframe_points) > 2 for curve in rotations)


def test_the_library_is_listed_once(folder: Path) -> None:
    assert not assets.is_registered(bpy.context, folder) and "menagerie.add_motion_library" in drawn_for_a_creature()
    for _ in range(2):
        press()
    libraries = [known for known in bpy.context.preferences.filepaths.asset_libraries if Path(known.path) == folder]
    assert len(libraries) == 1 and libraries[0].name == assets.LIBRARY and assets.is_registered(bpy.context, folder)


def drawn_for_a_creature() -> list[str]:
    creature = place_asset(bpy.context, read_creature(), None, "beast")
    bpy.context.view_layer.objects.active = creature.armature
    return drawn(motions.MENAGERIE_PT_motions)


def test_an_asset_that_is_applied_takes_the_creatures_proportions(folder: Path) -> None:
    press()
    creature = place_asset(bpy.context, read_creature(), None, "beast")
    bpy.context.view_layer.objects.active = creature.armature
    chosen = SimpleNamespace(id_type="ACTION", metadata=loaded(folder)["wolf_walk"].asset_data)
    operator = MENAGERIE_OT_apply_motion_asset
    assert not bpy.ops.menagerie.apply_motion_asset.poll()  # no Asset Browser here
    context = SimpleNamespace(asset=chosen, object=creature.armature, scene=bpy.context.scene)
    assert operator.poll(context) and motion_assets.is_motion(context)
    assert operator.execute(SimpleNamespace(), context) == {"FINISHED"}
    action = creature.armature.animation_data.action
    made = action.menagerie_motion
    assert action[ROLE] == READY and (made.motion, made.owner) == ("wolf_walk", creature.armature.name)
    assert made.stamp != loaded(folder)["wolf_walk"].menagerie_motion.stamp


def test_an_asset_that_is_assigned_by_hand_has_its_sliders(folder: Path) -> None:
    press()
    creature = place_asset(bpy.context, read_creature(), None, "beast")
    bpy.context.view_layer.objects.active = rig = creature.armature
    action = loaded(folder)["horse_walk"]
    compat.assign_action(rig, action)
    before = action.menagerie_motion.stamp
    assert apply.current(rig) == action
    action.menagerie_motion.speed = 1.5  # made anew, for this creature
    assert action.menagerie_motion.stamp != before and len(compat.curves_of(action)) > 50


def test_where_nothing_can_be_written_it_is_said_and_no_library_is_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*ignored: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(assets.os, "replace", full)
    before = everything()
    with pytest.raises(RuntimeError, match="can't be written"):
        press()
    assert everything() == before and not assets.is_registered(bpy.context, folder)
