"""A new creature stands where it is seen: beside what stands at the origin, its photo's view free, nothing of the artist's moved."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from blender_addon.link import session
from blender_addon.scene import room
from blender_addon.scene.creature import find_creature
from tests.blender.button import reconstruct
from tests.blender.creatures import evaluated_vertices, read_creature

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

NEAR = 4.0
"""Body lengths from the origin: beside the default cube, and no farther."""


def box(thing: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest corner in the world, as seen."""
    places = evaluated_vertices(thing)
    return places.min(0), places.max(0)


def apart(one: bpy.types.Object, other: bpy.types.Object) -> bool:
    """Whether the boxes of two meshes do not meet."""
    (low, high), (other_low, other_high) = box(one), box(other)
    return bool((low > other_high).any() or (high < other_low).any())


def test_in_the_start_file_it_stands_beside_the_cube_and_its_photo_shows_no_cube(tmp_path: Path) -> None:
    bpy.ops.wm.read_factory_settings()
    session.state.last_creature = ""
    before = {thing.name: thing.matrix_world.copy() for thing in bpy.context.scene.objects}
    assert set(before) == {"Camera", "Cube", "Light"}
    creature = find_creature(reconstruct(tmp_path))
    assert creature is not None and creature.camera is not None
    cube, scene = bpy.data.objects["Cube"], bpy.context.scene
    assert apart(creature.mesh, cube) and creature.armature.location.length < NEAR
    assert all(scene.objects[name].matrix_world == place for name, place in before.items())
    assert scene.camera == bpy.data.objects["Camera"] and cube.visible_get()
    width, height = session.read_record(creature.armature)["photo_size"]
    scene.render.resolution_x, scene.render.resolution_y = width, height
    corners = [world_to_camera_view(scene, creature.camera, cube.matrix_world @ Vector(corner)) for corner in cube.bound_box]
    assert all(not (0 < at.x < 1 and 0 < at.y < 1 and at.z > 0) for at in corners)
    second = find_creature(reconstruct(tmp_path))
    assert second is not None and apart(second.mesh, cube) and apart(second.mesh, creature.mesh)


def test_in_an_empty_scene_it_stands_at_the_origin(tmp_path: Path) -> None:
    assert reconstruct(tmp_path).location.length == 0


@pytest.mark.parametrize(
    ("make", "scale", "hidden"),
    [
        ("plane", (1, 1, 1), False),  # ground at its feet
        ("cube", (20, 20, 8), False),  # a room around it
        ("cube", (1, 1, 1), True),
    ],
)
def test_ground_rooms_and_what_is_hidden_leave_it_at_the_origin(make: str, scale: tuple[int, int, int], hidden: bool) -> None:
    getattr(bpy.ops.mesh, f"primitive_{make}_add")(size=2)
    bpy.context.object.scale = scale
    bpy.context.object.hide_set(hidden)
    assert room.free_spot(read_creature(), bpy.context.view_layer) == (0, 0, 0)


def test_in_a_crowd_it_at_least_stands_free() -> None:
    """Columns everywhere: every photo would show some."""
    bpy.ops.mesh.primitive_cylinder_add(radius=0.05, depth=3)
    column = bpy.context.object
    for x in np.arange(-18, 19, 3.0):
        for y in np.arange(-18, 19, 3.0):
            copy = column.copy()
            copy.location = (x, y, 0)
            bpy.context.scene.collection.objects.link(copy)
    asset = read_creature()
    spot = room.free_spot(asset, bpy.context.view_layer)
    low, high = asset.vertices.min(0) + spot, asset.vertices.max(0) + spot
    boxes = np.array(list(room.obstacles(bpy.context.view_layer, asset.vertices.min(0), asset.vertices.max(0))))
    assert len(boxes) == 170 and not room.meets(low, high, boxes) and any(spot)


def test_update_leaves_it_where_it_stands(tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    rig = reconstruct(tmp_path)
    spot = rig.location.copy()
    assert spot.length > 0
    bpy.context.view_layer.objects.active = rig
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    creature = find_creature(rig)
    assert rig.location == spot and creature is not None and creature.camera is not None
