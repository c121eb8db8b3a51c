"""A creature's mesh made anew of quads: the object with its triangles enters, a second mesh datablock for it leaves.

At rest, in the object's own space, mirrored about x = 0: the left side decides. The steps stand in `make_quads`, each in a module of
its own. Nothing of the object changes; `wardrobe.wear` puts the new mesh on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from ..link.errors import LinkError
from ..scene.mesh import UV_LAYER
from ..scene.place import base_image
from . import bake, fit, halves, layout, skin, unwrap
from .surface import Array, Surface, split_quads, vertex_normals

QUADS = 4600
"""Faces that are asked for by default."""
FEWEST, MOST = 3600, 5200
"""Bounds of what may be asked for: QuadriFlow gives up to a sixth more or fewer, so 3,000 to 6,000."""
SHARPER, LARGEST_SIDE = 2, 4096
"""The new texture's side over the old one's: no colour between two texels gets lost on the way. And its limit in pixels."""


def make_quads(context: bpy.types.Context, body: bpy.types.Object, rig: bpy.types.Object, quads: int = QUADS) -> bpy.types.Mesh:
    """A mesh of about `quads` faces with UVs, seams, weights, and the texture that goes with them as its `TEXTURE`; used by nothing yet.

    Raises LinkError bad_request where the mesh is no closed surface or cannot be remeshed; nothing is left then.
    """
    old, held = body.data, held_weights(body, rig)
    vertices, triangles, loops, owners = read_triangles(old)
    cut_vertices, cut_triangles = halves.cut_half(vertices, triangles)
    half = halves.remesh_half(context, cut_vertices, cut_triangles, quads // 2)
    fitted = fit.fit_half(half.vertices, half.quads, half.open_edge, Surface(cut_vertices, cut_triangles))
    half = halves.Half(fitted.astype(np.float32).astype(np.float64), half.quads, half.open_edge)
    places, faces, mirror = halves.join_halves(half)
    surface = Surface(vertices, triangles)
    carried = skin.carry_weights(held.table, surface.triangles, surface.nearest(half.vertices, vertex_normals(half.vertices, half.quads)))
    weights = skin.mirror_weights(carried, mirror, skin.flipped_columns(held.names), held.bones)
    seams = unwrap.find_seams(half, left_limbs(rig, body, weights[half.quads].mean(axis=1)))
    uvs = layout.lay_out(unwrap.unwrap_half(context, half, seams), unwrap.find_islands(half.quads, seams))
    seams |= {tuple(sorted((int(mirror[a]), int(mirror[b])))) for a, b in seams}
    owner_of_quad = owners[surface.nearest(places[faces].mean(axis=1)).triangles]
    made = build_mesh(f"{old.name} quads", places, faces, uvs, seams, half.open_edge)
    made.polygons.foreach_set("material_index", material_indices(old)[owner_of_quad])
    skin.write_weights(made, weights)
    image = carried_texture(body, surface, loops, places, faces, uvs)
    if image is not None:
        made[TEXTURE] = image
    return made


TEXTURE = "menagerie_texture"
"""Custom property of a mesh: the base colour image that goes with its UVs."""


def read_triangles(mesh: bpy.types.Mesh) -> tuple[Array, Array, Array, Array]:
    """vertices (v, 3), triangles (t, 3), their corners' indices among the mesh's (t, 3), and the face each is of (t,)."""
    mesh.calc_loop_triangles()
    count = len(mesh.loop_triangles)
    vertices = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", vertices)
    triangles, loops, owners = np.empty(count * 3, np.int32), np.empty(count * 3, np.int32), np.empty(count, np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    mesh.loop_triangles.foreach_get("loops", loops)
    mesh.loop_triangles.foreach_get("polygon_index", owners)
    return vertices.reshape(-1, 3).astype(np.float64), triangles.reshape(-1, 3), loops.reshape(-1, 3), owners


def material_indices(mesh: bpy.types.Mesh) -> Array:
    """(f,) of its faces."""
    found = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("material_index", found)
    return found


@dataclass(frozen=True)
class Held:
    """names: of the g vertex groups; bones: (g,) bool, those of bones that deform; table: (v, g)."""

    names: list[str]
    bones: Array
    table: Array


def held_weights(body: bpy.types.Object, rig: bpy.types.Object) -> Held:
    """What holds the old mesh. Raises LinkError bad_request where no bone's group holds anything."""
    names = [group.name for group in body.vertex_groups]
    bones = np.array([bool(name in rig.data.bones and rig.data.bones[name].use_deform) for name in names])
    table = skin.read_weights(body.data, len(names))
    if not bones.any() or not table[:, bones].any():
        raise LinkError("bad_request", f"{body.name} has no weights of {rig.name}'s bones.", "Undo what removed its vertex groups.")
    return Held(names, bones, table)


def left_limbs(rig: bpy.types.Object, body: bpy.types.Object, weights: Array) -> list[unwrap.Limb]:
    """The limbs of the left side, by the last deforming bone of each; weights: (q, g) of the quads. One that is a single bone on a
    bone with several others, as an ear is, stands apart."""
    to_body = np.array(body.matrix_world.inverted() @ rig.matrix_world)
    names = [group.name for group in body.vertex_groups]
    found = []
    for bone in rig.data.bones:
        tip = (to_body @ [*bone.tail_local, 1.0])[:3]
        if not bone.use_deform or deforming(bone.children) or bpy.utils.flip_name(bone.name) == bone.name or tip[0] <= 0:
            continue
        apart = np.zeros(len(weights), bool)
        if bone.parent is not None and len(deforming(bone.parent.children)) > 1 and bone.name in names:
            apart = weights[:, names.index(bone.name)] > 0.5
        found.append(unwrap.Limb(tip, apart))
    return found


def deforming(bones: Sequence[bpy.types.Bone]) -> list[bpy.types.Bone]:
    """Those of them that bend a mesh."""
    return [bone for bone in bones if bone.use_deform]


def build_mesh(
    name: str, vertices: Array, quads: Array, uvs: Array, seams: set[tuple[int, int]], middle: Array
) -> bpy.types.Mesh:
    """A mesh datablock that nothing uses yet. middle: vertices on x = 0; edges among them are seams too."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    mesh.loops.add(quads.size)
    mesh.loops.foreach_set("vertex_index", quads.astype(np.int32).ravel())
    mesh.polygons.add(len(quads))
    mesh.polygons.foreach_set("loop_start", np.arange(0, quads.size, 4, dtype=np.int32))
    mesh.uv_layers.new(name=UV_LAYER, do_init=False).uv.foreach_set("vector", uvs.astype(np.float32).ravel())
    mesh.shade_smooth()
    mesh.update(calc_edges=True)
    pairs = np.empty(len(mesh.edges) * 2, np.int32)
    mesh.edges.foreach_get("vertices", pairs)
    pairs = np.sort(pairs.reshape(-1, 2), axis=1)
    on_middle = np.isin(pairs, middle).all(axis=1)
    cut = np.array([tuple(pair) in seams for pair in pairs.tolist()]) | on_middle
    mesh.edges.foreach_set("use_seam", cut)
    return mesh


def carried_texture(
    body: bpy.types.Object, surface: Surface, loops: Array, places: Array, quads: Array, uvs: Array
) -> bpy.types.Image | None:
    """The old base colour for the new UVs, packed; None where the material shows none of ours."""
    image, layer = base_image(body), body.data.uv_layers.active
    if image is None or layer is None or not len(image.pixels):
        return None
    width, height = image.size
    picture = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(picture)
    picture = picture.reshape(height, width, image.channels)
    flat = np.empty(len(body.data.loops) * 2, np.float32)
    layer.uv.foreach_get("vector", flat)
    side = min(SHARPER * max(width, height), LARGEST_SIDE)
    half = slice(0, len(uvs) // 2)
    new_uvs = np.stack([uvs[half][:, [0, 1, 2]], uvs[half][:, [0, 2, 3]]], axis=1).reshape(-1, 3, 2)
    old_uvs = flat.reshape(-1, 2)[loops].astype(np.float64)
    made = bake.bake(surface, old_uvs, picture, places, split_quads(quads[half]), new_uvs, side)
    fresh = bpy.data.images.new(f"{image.name} quads", side, side, alpha=image.channels == 4, float_buffer=image.is_float)
    fresh.colorspace_settings.name = image.colorspace_settings.name
    if made.shape[2] != 4:
        made = np.concatenate([made[:, :, :3], np.ones((side, side, 1), np.float32)], axis=2)
    fresh.pixels.foreach_set(np.ascontiguousarray(made).ravel())
    fresh.update()
    fresh.pack()
    return fresh
