"""The left half of a mesh as quads, by Blender's QuadriFlow, and two halves as one mesh again.

Enters: vertices and triangles, mirrored about x = 0 (what lies at x < 0 is not looked at). Leaves: the left half's quads, and the
whole with each vertex's twin. QuadriFlow's own symmetry leaves vertices beside the plane; cut open here, the edge of the half is
known, and put exactly onto it. Source: Huang et al., QuadriFlow: A Scalable and Robust Method for Quadrangulation, 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import bmesh
import bpy
import numpy as np

from ..link.errors import LinkError
from .surface import Array, Surface, vertex_normals

ON_PLANE = 1e-6
ON_RIM = 1e-4
"""How far from the plane the cut's edge may lie; any other open edge is a hole."""
SWELL = 1.0
"""In sides of a quad: see `swell`."""
REMEDY = "Look at it in Edit Mode: Select > All by Trait > Non Manifold shows holes and faces that meet wrongly."


@dataclass(frozen=True)
class Half:
    """vertices: (v, 3) with x >= 0; quads: (q, 4), counter-clockwise from outside; open_edge: indices of all vertices on x = 0."""

    vertices: Array
    quads: Array
    open_edge: Array


@contextmanager
def alone(context: bpy.types.Context, vertices: Array, faces: Array) -> Iterator[bpy.types.Object]:
    """An object of these vertices and faces in a scene of its own, where operators find nothing else; both are removed."""
    mesh = bpy.data.meshes.new("Menagerie quads")
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    thing = bpy.data.objects.new(mesh.name, mesh)
    scene = bpy.data.scenes.new(mesh.name)
    try:
        scene.collection.objects.link(thing)
        layer = scene.view_layers[0]
        layer.objects.active = thing
        with context.temp_override(scene=scene, view_layer=layer, object=thing, active_object=thing, selected_objects=[thing]):
            yield thing
    finally:
        mesh = thing.data
        bpy.data.batch_remove([scene, thing, mesh])


def cut_half(vertices: Array, triangles: Array) -> tuple[Array, Array]:
    """The part with x >= 0: (v, 3), (t, 3). Raises LinkError bad_request where the plane doesn't cut the mesh, or it has holes."""
    work = bmesh.new()
    try:
        made = [work.verts.new(place) for place in vertices.tolist()]
        for face in triangles.tolist():
            work.faces.new([made[corner] for corner in face])
        everything = [*work.verts, *work.edges, *work.faces]
        bmesh.ops.bisect_plane(work, geom=everything, dist=ON_PLANE, plane_co=(0, 0, 0), plane_no=(1, 0, 0), clear_inner=True)
        bmesh.ops.triangulate(work, faces=work.faces[:])
        loose = [vertex for vertex in work.verts if not vertex.link_faces]
        bmesh.ops.delete(work, geom=loose, context="VERTS")
        work.verts.index_update()
        places = np.array([vertex.co[:] for vertex in work.verts]).reshape(-1, 3)
        faces = np.array([[corner.index for corner in face.verts] for face in work.faces], np.int64).reshape(-1, 3)
    except ValueError as reason:  # two faces of the same corners
        raise LinkError("bad_request", "The mesh cannot be cut in halves: two of its faces are the same.", REMEDY) from reason
    finally:
        work.free()
    rim = find_open_edge(faces) if len(faces) else faces[:0, 0]
    if not len(rim):
        raise LinkError("bad_request", "The mesh doesn't lie on both sides of its middle, x = 0.", "Undo what moved it off its middle.")
    if np.abs(places[rim, 0]).max() > ON_RIM:
        raise LinkError("bad_request", "The mesh has holes.", REMEDY)
    return places, faces


def swell(vertices: Array, triangles: Array, quads: int) -> Array:
    """(v, 3) the open half blown up by `SWELL` of a quad's side, its open edge within the plane.

    QuadriFlow's quads are equally large everywhere. Of a leg, an ear, a tail this makes more than of a flank, so they get more and
    smaller quads, and one thinner than a quad isn't lost.
    """
    corners = vertices[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    side = np.sqrt(np.linalg.norm(normals, axis=1).sum() / 2 / quads)
    outward = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(outward, triangles[:, corner], normals)
    outward[find_open_edge(triangles), 0] = 0.0
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-12)
    return vertices + SWELL * side * outward


def remesh_half(context: bpy.types.Context, vertices: Array, triangles: Array, quads: int) -> Half:
    """The open half (of `cut_half`) as about `quads` faces. Raises LinkError bad_request where QuadriFlow cannot."""
    swollen = swell(vertices, triangles, quads)
    with alone(context, swollen, triangles) as thing:
        try:
            done = bpy.ops.object.quadriflow_remesh(
                use_mesh_symmetry=False, use_preserve_sharp=False, use_preserve_boundary=True, preserve_attributes=False,
                mode="FACES", target_faces=quads, seed=0,
            )  # fmt: skip
        except RuntimeError as reason:
            raise LinkError("bad_request", f"No quads can be made of this mesh: {str(reason).strip()}", REMEDY) from reason
        mesh = thing.data
        if done != {"FINISHED"} or any(len(face.vertices) != 4 for face in mesh.polygons):
            raise LinkError("bad_request", "No quads can be made of this mesh.", REMEDY)
        places = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", places)
        corners = np.empty(len(mesh.polygons) * 4, np.int32)
        mesh.polygons.foreach_get("vertices", corners)
    places, faces = places.reshape(-1, 3).astype(np.float64), corners.reshape(-1, 4)
    if signed_volume(places, faces) < 0:
        faces = faces[:, ::-1].copy()
    near = Surface(swollen, triangles).nearest(places, vertex_normals(places, faces))
    places = (vertices[triangles[near.triangles]] * near.weights[:, :, None]).sum(axis=1)
    return split_fins(Half(places, faces, find_open_edge(faces)))


def split_fins(half: Half) -> Half:
    """Gives a thin tail its thickness: where a quad spans from one side of the open edge to the other nothing can leave the plane, so
    every edge that crosses is cut in the middle, and with it the loop of quads that it belongs to, which stays all quads."""
    sides = np.sort(np.stack([half.quads, np.roll(half.quads, -1, axis=1)], axis=2), axis=2)  # (q, 4, 2)
    edges, edge_of, count = np.unique(sides.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
    edge_of = edge_of.reshape(-1, 4)
    cut = np.isin(edges, half.open_edge).all(axis=1) & (count == 2)
    reached = 0
    while reached < cut.sum():  # the edge across each quad too
        reached = cut.sum()
        across = cut[edge_of] | cut[np.roll(edge_of, 2, axis=1)]
        cut[edge_of[across]] = True
    if not reached:
        return half
    middle_of = np.full(len(edges), -1)
    middle_of[cut] = len(half.vertices) + np.arange(reached)
    vertices = [half.vertices, half.vertices[edges[cut]].mean(axis=1)]
    middles, quads = middle_of[edge_of], [half.quads[~cut[edge_of].any(axis=1)]]
    for turn in (0, 1):  # cut across one way
        two = cut[edge_of[:, turn]] & ~cut[edge_of[:, 1 - turn]]
        a, b, c, d = np.roll(half.quads[two], -turn, axis=1).T
        first, second = middles[two, turn], middles[two, turn + 2]
        quads += [np.stack([a, first, second, d], axis=1), np.stack([first, b, c, second], axis=1)]
    four = cut[edge_of].all(axis=1)
    centres = len(half.vertices) + reached + np.arange(four.sum())
    vertices.append(half.vertices[half.quads[four]].mean(axis=1))
    for corner in range(4):
        after, before = middles[four, corner], middles[four, corner - 1]
        quads.append(np.stack([half.quads[four, corner], after, centres, before], axis=1))
    made = np.concatenate(quads)
    return Half(np.concatenate(vertices), made, find_open_edge(made))


def signed_volume(vertices: Array, quads: Array) -> float:
    """Of the half, closed by the plane x = 0, which lends it none: positive where its quads look outward."""
    a, b, c, d = (vertices[quads[:, corner]] for corner in range(4))
    return float((np.cross(a, b) * c).sum() + (np.cross(a, c) * d).sum()) / 6


def find_open_edge(faces: Array) -> Array:
    """Indices of the vertices on edges that one face alone has, ascending. faces: (f, n)."""
    sides = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    pairs, count = np.unique(sides, axis=0, return_counts=True)
    return np.unique(pairs[count == 1])


def join_halves(half: Half) -> tuple[Array, Array, Array]:
    """-> vertices (v, 3) and quads (2q, 4), those of the left first in `half`'s order; mirror (v,): each vertex's twin."""
    count = len(half.vertices)
    own = np.setdiff1d(np.arange(count), half.open_edge)
    twin = np.arange(count)
    twin[own] = count + np.arange(len(own))
    vertices = np.concatenate([half.vertices, half.vertices[own] * [-1, 1, 1]])
    quads = np.concatenate([half.quads, twin[half.quads][:, [0, 3, 2, 1]]])
    return vertices, quads, np.concatenate([twin, own])
