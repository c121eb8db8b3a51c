"""Quads: on creatures of photos clean, symmetric, true to shape, weights and texture; kept beside the triangles, through Update too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bmesh
import bpy
import numpy as np
import pytest
from mathutils import Matrix, Quaternion
from PIL import Image as Picture
from PIL import ImageDraw

from blender_addon import topology
from blender_addon.link import session
from blender_addon.panels import topology as topology_panel
from blender_addon.scene.creature import Creature, find_creature
from blender_addon.scene.place import base_image, base_node, place_asset
from blender_addon.topology import bake, halves, layout, quads, skin, unwrap
from blender_addon.topology.surface import Surface, nearest_weights
from tests.blender.button import drawn, everything
from tests.blender.creatures import creature as made_up
from tests.blender.creatures import empty_blender, evaluated_vertices, read_creature
from tests.blender.photo_creatures import photo_creatures

NAMES = ("dog", "elephant", "horse")
QUAD_SHARE = 0.95
POSES, VIEWS, SIDE = 20, 3, 512
SWING = 0.2
"""Of each bone in the random poses: standard deviation, radians."""
LEAST_IOU = 0.98
FAR = 0.015
"""How far any point of the triangles may be from the quads, in body lengths (mean: a tenth)."""
COLOUR_ERROR, WORST_COLOUR_ERROR = 0.01, 0.1
"""Mean, and of the 99th percentile: sRGB 0..1."""
OVERLAP = 2e-3
"""Share of the texture that two faces may both claim."""


def read_mesh(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """vertices (v, 3), faces (f, n), UVs per corner (f, n, 2), of a mesh with faces all of one kind."""
    vertices = np.array([vertex.co[:] for vertex in mesh.vertices])
    faces = np.array([face.vertices[:] for face in mesh.polygons])
    uvs = np.array([corner.vector[:] for corner in mesh.uv_layers[0].uv]).reshape(*faces.shape, 2)
    return vertices, faces, uvs


def triangles_of(uvs: np.ndarray) -> np.ndarray:
    """(f, 3 or 4, 2) -> (t, 3, 2)."""
    return uvs if uvs.shape[1] == 3 else np.stack([uvs[:, [0, 1, 2]], uvs[:, [0, 2, 3]]], axis=1).reshape(-1, 3, 2)


def pixels_of(image: bpy.types.Image) -> np.ndarray:
    """(h, w, 3), row 0 at the bottom."""
    flat = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(flat)
    return flat.reshape(image.size[1], image.size[0], -1)[:, :, :3]


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Creature]]:
    """Three creatures of photos in one file, each in quads with its triangles as the spare."""
    empty_blender()
    patch = pytest.MonkeyPatch()
    patch.setattr(quads, "SHARPER", 1)  # a quarter of the texels: the time of a test
    creatures = {name: place_asset(bpy.context, asset) for name, asset in photo_creatures(*NAMES).items()}
    for creature in creatures.values():
        topology.put_on_quads(bpy.context, creature.mesh, creature.armature, topology.QUADS)
    yield creatures
    patch.undo()


@pytest.fixture(params=NAMES)
def creature(made: dict[str, Creature], request: pytest.FixtureRequest) -> Creature:
    return made[request.param]


@pytest.mark.blender5
def test_it_is_a_closed_mesh_of_three_to_six_thousand_quads(creature: Creature) -> None:
    mesh = creature.mesh.data
    sizes = np.array([len(face.vertices) for face in mesh.polygons])
    assert (sizes == 4).mean() >= QUAD_SHARE and 3000 <= len(sizes) <= 6000
    sides = np.sort([[*pair] for face in mesh.polygons for pair in face.edge_keys], axis=1)
    assert (np.unique(sides, axis=0, return_counts=True)[1] == 2).all(), "every edge has two faces"
    assert not mesh.validate() and all(face.use_smooth for face in mesh.polygons)
    vertices, faces, _ = read_mesh(mesh)
    assert halves.signed_volume(vertices, faces) > 0, "faces look outward"


@pytest.mark.blender5
def test_left_and_right_are_the_same_to_the_last_bit(creature: Creature) -> None:
    vertices, faces, uvs = read_mesh(creature.mesh.data)
    place = {tuple(vertex): index for index, vertex in enumerate(vertices.tolist())}
    mirror = np.array([place[(-x or 0.0, y, z)] for x, y, z in vertices.tolist()])
    kept = {frozenset(face) for face in faces.tolist()}
    assert kept == {frozenset(face) for face in mirror[faces].tolist()}
    names = [group.name for group in creature.mesh.vertex_groups]
    table = skin.read_weights(creature.mesh.data, len(names))
    flip = [names.index(bpy.utils.flip_name(name)) for name in names]
    assert (table[mirror][:, flip] == table).all()
    half = len(faces) // 2
    assert np.abs(uvs[:half][:, [0, 3, 2, 1]] * [-1, 1] + [1, 0] - uvs[half:]).max() < 1e-6


def test_every_vertex_has_at_most_four_weights_that_sum_to_one(creature: Creature) -> None:
    bones = creature.armature.data.bones
    assert all(group.name in bones for group in creature.mesh.vertex_groups)
    table = skin.read_weights(creature.mesh.data, len(creature.mesh.vertex_groups))
    assert ((table > 0).sum(axis=1) <= 4).all() and np.abs(table.sum(axis=1) - 1).max() < 1e-5


def test_at_rest_every_point_of_the_triangles_is_near(creature: Creature) -> None:
    vertices, faces, _ = read_mesh(creature.mesh.data)
    old_vertices, old_faces, _ = read_mesh(topology.spare_of(creature.mesh))
    for points, onto in ((old_vertices, Surface(vertices, faces)), (vertices, Surface(old_vertices, old_faces))):
        far = np.linalg.norm(points - onto.nearest(points).places, axis=1)
        assert far.max() < FAR and far.mean() < FAR / 10


def silhouette(points: np.ndarray, faces: np.ndarray, view: int, low: np.ndarray, scale: float) -> np.ndarray:
    """(SIDE, SIDE) bool seen along one axis; of a closed surface the faces that look one way cover all that it covers."""
    corners = ((np.delete(points, view, axis=1) - np.delete(low, view)) * scale)[faces]  # (f, n, 2)
    one, other = corners[:, 2] - corners[:, 0], corners[:, -1] - corners[:, 1]
    flat = corners[one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0] > 0].reshape(-1, 2 * faces.shape[1])
    picture = Picture.new("1", (SIDE, SIDE))
    pen = ImageDraw.Draw(picture)
    for corners in flat.tolist():
        pen.polygon(corners, fill=1)
    return np.asarray(picture)


def test_posed_they_look_like_the_triangles(creature: Creature) -> None:
    rig, body = creature.armature, creature.mesh
    other = body.copy()  # the same modifiers on the old mesh
    bpy.context.scene.collection.objects.link(other)
    other.data = topology.spare_of(body)
    before = [(bone.name, bone.rotation_quaternion.copy()) for bone in rig.pose.bones]
    random, shares = np.random.default_rng(0), []
    new, old = read_mesh(body.data)[1], read_mesh(other.data)[1]
    for _ in range(POSES):
        for bone in rig.pose.bones:
            axis = random.normal(size=3)
            bone.rotation_quaternion = Quaternion((axis / np.linalg.norm(axis)).tolist(), random.normal() * SWING)
        shown, wanted = evaluated_vertices(body), evaluated_vertices(other)
        low, scale = wanted.min(axis=0), SIDE / np.ptp(wanted, axis=0).max()
        for view in range(VIEWS):
            got, should = silhouette(shown, new, view, low, scale), silhouette(wanted, old, view, low, scale)
            shares.append((got & should).sum() / (got | should).sum())
    for name, rotation in before:
        rig.pose.bones[name].rotation_quaternion = rotation
    bpy.data.objects.remove(other)
    assert min(shares) >= LEAST_IOU, f"worst {min(shares):.4f}, mean {np.mean(shares):.4f}"


@pytest.mark.blender5
def test_the_texture_shows_the_same_coat(creature: Creature) -> None:
    old_mesh, image = topology.spare_of(creature.mesh), base_image(creature.mesh)
    vertices, faces, uvs = read_mesh(creature.mesh.data)
    old_vertices, old_faces, old_uvs = read_mesh(old_mesh)
    random = np.random.default_rng(1)
    chosen, shares = random.integers(len(old_faces), size=20000), random.dirichlet([1, 1, 1], 20000)
    points = (old_vertices[old_faces[chosen]] * shares[:, :, None]).sum(axis=1)
    near = Surface(vertices, faces).nearest(points)
    new_uvs = triangles_of(uvs)[near.triangles]
    got = bake.sample(pixels_of(image), (new_uvs * near.weights[:, :, None]).sum(axis=1))
    should = bake.sample(pixels_of(old_mesh["menagerie_texture"]), (old_uvs[chosen] * shares[:, :, None]).sum(axis=1))
    error = np.abs(got - should).mean(axis=1)
    assert error.mean() < COLOUR_ERROR and np.quantile(error, 0.99) < WORST_COLOUR_ERROR, (error.mean(), np.quantile(error, 0.99))
    assert image.packed_file is not None


def test_the_uvs_are_inside_and_no_two_faces_share_a_place(creature: Creature) -> None:
    uvs = read_mesh(creature.mesh.data)[2]
    assert uvs.min() > 0 and uvs.max() < 1
    side = 512
    corners = triangles_of(uvs[: len(uvs) // 2]) * side - 0.5  # texel centres are whole numbers
    claims = np.zeros((side, side), int)
    low, high = np.floor(corners.min(axis=1)).astype(int), np.ceil(corners.max(axis=1)).astype(int) + 1
    for (left, bottom), (right, top), (slope_u, slope_v, offset) in zip(low, high, bake.edge_distances(corners), strict=True):
        rows, columns = np.mgrid[bottom:top, left:right]
        distances = slope_u[:, None, None] * columns + slope_v[:, None, None] * rows + offset[:, None, None]
        claims[bottom:top, left:right] += (distances > 0.05).all(axis=0)
    assert (claims > 1).sum() < OVERLAP * (claims > 0).sum()


@pytest.mark.blender5
def test_mode_selection_scenes_and_the_pose_stay(made: dict[str, Creature]) -> None:
    creature = made["dog"]
    bpy.context.view_layer.objects.active = creature.armature
    creature.armature.select_set(True)
    bpy.ops.object.mode_set(mode="POSE")
    pose = [bone.matrix_basis.copy() for bone in creature.armature.pose.bones]
    before = everything()
    topology.put_on_quads(bpy.context, creature.mesh, creature.armature, 3600)
    assert everything() == before, "the earlier quads and their texture are gone"
    assert bpy.context.mode == "POSE" and bpy.context.object == creature.armature and creature.armature.select_get()
    assert [bone.matrix_basis for bone in creature.armature.pose.bones] == pose
    assert 3000 <= len(creature.mesh.data.polygons) <= 6000
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer quads, faster; of a made-up creature."""
    monkeypatch.setattr(quads, "SHARPER", 1)


def place(folder: Path) -> bpy.types.Object:
    """A made-up creature as a job would have left it."""
    rig = place_asset(bpy.context, read_creature()).armature
    session.write_record(rig, plan_for(rig, folder), {}, (64, 64))
    return rig


def plan_for(rig: bpy.types.Object, folder: Path) -> session.Plan:
    return session.Plan("photo.png", str(folder), {}, bpy.context.scene.name, "doe", rig.name)


def update(rig: bpy.types.Object, folder: Path) -> None:
    """The result of an Update arrives: another mesh of the same creature."""
    (folder / "asset.safetensors").write_bytes(made_up(2500)[1])
    session.state.ready.append((plan_for(rig, folder), {"out": str(folder), "report": {}}))
    assert bpy.ops.menagerie.place() == {"FINISHED"}


def whole(rig: bpy.types.Object) -> Creature:
    found = find_creature(rig)
    assert found is not None
    return found


@pytest.mark.blender5
@pytest.mark.usefixtures("add_on", "quick")
def test_back_to_triangles_and_to_quads_again_loses_nothing(tmp_path: Path) -> None:
    rig = place(tmp_path)
    body = whole(rig).mesh
    triangles, image = body.data, base_image(body)
    node = base_node(body.data.materials[0])
    before = everything()
    assert bpy.ops.menagerie.make_quads(faces=3600) == {"FINISHED"}
    made, new_image = body.data, base_image(body)
    assert topology.wears_quads(body) and made != triangles and new_image != image and node.image == new_image
    assert [modifier.type for modifier in body.modifiers] == ["ARMATURE"] and body.parent == rig
    after = everything()
    assert {kind for kind in after if after[kind] != before[kind]} == {"meshes", "images"}
    body.data.materials.append(bpy.data.materials.new("hooves"))
    assert bpy.ops.menagerie.swap_topology() == {"FINISHED"}
    assert body.data == triangles and node.image == image and not topology.wears_quads(body)
    assert [slot.name for slot in body.data.materials][1:] == ["hooves"]
    assert [group.name for group in body.vertex_groups] == [group.name for group in body.vertex_groups if group.name in rig.data.bones]
    assert bpy.ops.menagerie.swap_topology() == {"FINISHED"}
    assert body.data == made and node.image == new_image and len(body.vertex_groups)


@pytest.mark.blender5
@pytest.mark.usefixtures("add_on", "quick")
def test_update_makes_the_quads_anew(tmp_path: Path) -> None:
    rig = place(tmp_path)
    body = whole(rig).mesh
    bpy.ops.menagerie.make_quads(faces=3600)
    names, first = everything(), body.data.as_pointer()
    update(rig, tmp_path)
    assert session.state.error is None and topology.wears_quads(body) and body.data.as_pointer() != first
    assert everything() == names, "no earlier mesh or texture stays"
    assert len(topology.spare_of(body).polygons) > 2000, "the spare is the new result"
    bpy.ops.menagerie.swap_topology()
    update(rig, tmp_path)
    assert not topology.wears_quads(body) and topology.spare_of(body) is None, "who shows triangles gets triangles"


@pytest.mark.usefixtures("add_on", "quick")
def test_a_duplicate_keeps_what_it_wears(tmp_path: Path) -> None:
    rig = place(tmp_path)
    bpy.ops.menagerie.make_quads(faces=3600)
    body = whole(rig).mesh
    for linked in (False, True):
        bpy.ops.object.select_all(action="DESELECT")
        for thing in (rig, body):
            thing.select_set(True)
        bpy.context.view_layer.objects.active = rig
        bpy.ops.object.duplicate(linked=linked)
        twin = whole(bpy.context.object).mesh
        assert twin != body and topology.wears_quads(twin)
        shown = base_image(body)
        assert bpy.ops.menagerie.swap_topology() == {"FINISHED"}
        assert not topology.wears_quads(twin) and topology.wears_quads(body)
        assert base_image(body) == shown and base_image(twin) != shown
        topology.swap(body)
        assert body.data != twin.data and base_image(body) != base_image(twin)
        topology.swap(body)
        assert topology.wears_quads(body) and not topology.wears_quads(twin)


@pytest.mark.blender5
@pytest.mark.usefixtures("add_on", "quick")
def test_the_panel_says_what_is_worn_and_offers_the_other(tmp_path: Path) -> None:
    place(tmp_path)
    panel = topology_panel.MENAGERIE_PT_topology
    assert "Quads" in drawn(panel) and "Back to Triangles" not in drawn(panel)
    bpy.ops.menagerie.make_quads(faces=3600)
    assert "Back to Triangles" in drawn(panel) and "Make Quads Anew" in drawn(panel)
    bpy.ops.menagerie.swap_topology()
    assert "Back to Quads" in drawn(panel)


@pytest.mark.usefixtures("add_on", "quick")
def test_what_cannot_be_remeshed_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    rig = place(tmp_path)
    body = whole(rig).mesh
    bpy.context.view_layer.objects.active = body
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="is being edited"):
        bpy.ops.menagerie.make_quads()
    bpy.ops.object.mode_set(mode="OBJECT")
    whole_mesh = body.data
    body.data = whole_mesh.copy()
    body.vertex_groups.clear()
    with pytest.raises(RuntimeError, match="no weights"):
        bpy.ops.menagerie.make_quads()
    body.data = whole_mesh
    for aside in (-9, 18):
        body.data.transform(Matrix.Translation((aside, 0, 0)))
        with pytest.raises(RuntimeError, match="both sides of its middle"):
            bpy.ops.menagerie.make_quads()
    body.data.transform(Matrix.Translation((-9, 0, 0)))
    remove_a_face(body.data)
    with pytest.raises(RuntimeError, match="has holes"):
        bpy.ops.menagerie.make_quads()
    assert everything()["scenes"] == 1 and not topology.wears_quads(body) and topology.spare_of(body) is None


def remove_a_face(mesh: bpy.types.Mesh) -> None:
    """The one farthest to the left."""
    work = bmesh.new()
    work.from_mesh(mesh)
    face = max(work.faces, key=lambda one: one.calc_center_median().x)
    bmesh.ops.delete(work, geom=[face], context="FACES")
    work.to_mesh(mesh)
    work.free()


def test_nearest_points_lie_on_faces_edges_and_corners() -> None:
    corner = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], float)
    for point, weights in (((0.25, 0.25, 3), (0.5, 0.25, 0.25)), ((0.5, -1, 0), (0.5, 0.5, 0)), ((-1, -1, 1), (1, 0, 0))):
        assert np.allclose(nearest_weights(np.array([point], float), corner), [weights])


def test_a_fin_that_cannot_leave_the_plane_gets_a_loop_in_its_middle() -> None:
    """Three quads side by side, the outer two with corners on the open edge alone."""
    grid = np.array([[0, y, z] for y in range(4) for z in range(2)], float)
    strip = halves.Half(grid, np.array([[0, 2, 3, 1], [2, 4, 5, 3], [4, 6, 7, 5]]), np.arange(8))
    split = halves.split_fins(strip)
    assert len(split.quads) == 6 and len(split.vertices) == 12
    inner = np.setdiff1d(np.arange(12), split.open_edge)
    assert np.allclose(split.vertices[inner], [[0, 1, 0.5], [0, 2, 0.5]])


def test_small_islands_find_room_beside_the_large_one() -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    uvs = np.stack([square * [1, 2], square * 0.3])
    placed = layout.lay_out(uvs, np.array([0, 1]))
    assert placed.min() > 0 and placed.max() < 1 and np.allclose(placed[:2, :, 0] + placed[2:][:, [0, 3, 2, 1], 0], 1)
    low, high = placed.min(axis=1), placed.max(axis=1)
    for one in range(4):
        for other in range(one):
            assert (high[one] < low[other]).any() or (high[other] < low[one]).any()
    assert np.ptp(placed[1], axis=0) / np.ptp(placed[0], axis=0) == pytest.approx([0.3, 0.15])


def test_seams_part_islands() -> None:
    strip = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6]])
    assert unwrap.find_islands(strip, set()).tolist() == [0, 0, 0]
    assert unwrap.find_islands(strip, {(2, 6)}).tolist() == [0, 0, 1]
