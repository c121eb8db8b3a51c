"""Placing leaves everything of the artist's alone, whatever they are doing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.scene.place import place_asset
from tests.blender.creatures import empty_blender, evaluated_vertices, read_creature, save_photo

pytestmark = pytest.mark.blender5


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    empty_blender()
    yield


def add_cube(name: str = "Cube") -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = name
    return bpy.context.object


def add_rig() -> bpy.types.Object:
    bpy.ops.object.armature_add()
    return bpy.context.object


def state() -> dict[str, Any]:
    """What the artist would notice."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    return {
        "mode": bpy.context.mode,
        "scene": scene.name,
        "scenes": [scene.name for scene in bpy.data.scenes],
        "active": layer.objects.active and layer.objects.active.name,
        "selected": sorted(thing.name for thing in layer.objects if thing.select_get()),
        "modes": {thing.name: thing.mode for thing in layer.objects if thing.name in ("Cube", "Armature")},
        "active collection": layer.active_layer_collection.name,
        "excluded": {child.name: child.exclude for child in layer.layer_collection.children if not child.name.startswith("doe")},
        "frame": scene.frame_current,
        "camera": scene.camera,
        "size": (scene.render.resolution_x, scene.render.resolution_y),
        "cursor": tuple(scene.cursor.location),
        "pivot": scene.tool_settings.transform_pivot_point,
    }


def in_mode(mode: str, add: Callable[[], bpy.types.Object]) -> Callable[[], None]:
    def enter() -> None:
        add()
        bpy.ops.object.mode_set(mode=mode)

    return enter


def with_excluded_collection() -> None:
    hidden = bpy.data.collections.new("hidden")
    bpy.context.scene.collection.children.link(hidden)
    layer = bpy.context.view_layer.layer_collection.children["hidden"]
    bpy.context.view_layer.active_layer_collection = layer
    layer.exclude = True


def with_selection() -> None:
    add_cube("first")
    add_cube("Cube")
    bpy.data.objects["first"].select_set(True)
    bpy.context.scene.frame_set(42)


SITUATIONS: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "two objects selected": with_selection,
    "editing a mesh": in_mode("EDIT", add_cube),
    "sculpting": in_mode("SCULPT", add_cube),
    "painting weights": in_mode("WEIGHT_PAINT", add_cube),
    "painting a texture": in_mode("TEXTURE_PAINT", add_cube),
    "posing": in_mode("POSE", add_rig),
    "editing bones": in_mode("EDIT", add_rig),
    "excluded collection active": with_excluded_collection,
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_placing_changes_nothing_of_the_artists(situation: str, tmp_path: Path) -> None:
    SITUATIONS[situation]()
    before = state()
    placed = place_asset(bpy.context, read_creature(), save_photo(tmp_path), "doe")
    assert state() == before
    assert placed.armature.mode == placed.mesh.mode == "OBJECT"
    assert placed.mesh.visible_get()
    assert np.abs(evaluated_vertices(placed.mesh)).max() > 0.5


def test_an_edit_in_progress_is_not_lost() -> None:
    import bmesh

    cube = add_cube()
    bpy.ops.object.mode_set(mode="EDIT")
    work = bmesh.from_edit_mesh(cube.data)
    work.verts.ensure_lookup_table()
    work.verts[0].co = (5, 6, 7)
    place_asset(bpy.context, read_creature(), None, "doe")
    assert tuple(bmesh.from_edit_mesh(cube.data).verts[0].co) == (5, 6, 7)
    bpy.ops.object.mode_set(mode="OBJECT")
    assert tuple(cube.data.vertices[0].co) == (5, 6, 7)


def test_it_goes_into_the_scene_that_was_asked_for() -> None:
    other = bpy.data.scenes.new("other")
    before = state()
    placed = place_asset(bpy.context, read_creature(), None, "doe", scene=other)
    assert state() == before
    assert placed.collection.name in other.collection.children
    assert placed.collection.name not in bpy.context.scene.collection.children


def test_what_was_made_is_not_selected() -> None:
    placed = place_asset(bpy.context, read_creature(), None, "doe")
    assert not any(thing.select_get() for thing in placed.collection.objects)
    assert bpy.context.view_layer.objects.active is None
