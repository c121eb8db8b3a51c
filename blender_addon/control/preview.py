"""A picture of a creature in its pose, for the asset browser: drawn with numpy, so that no scene, camera or render engine is touched.

Enters: an evaluated mesh object and its base colour. Leaves: (side, side, 4) float RGBA, row 0 at the bottom, as previews want it.
Seen from before and to the animal's left, a little from above, without perspective. Every triangle is sampled densely enough for the
picture's pixels; the nearest sample wins a pixel.
"""

from __future__ import annotations

import math

import bpy
import numpy as np

from ..scene.asset_file import Array

SIDE = 256
"""Pixels a side."""
FINE = 2
"""Drawn this many times as large and averaged, which smooths the outline."""
MARGIN = 0.06
"""Of the picture's side, empty on every side."""
TURN, RISE = math.radians(52), math.radians(14)
"""Where it is seen from: sideways from straight ahead towards the animal's left, and above the horizon."""
LIGHT = (0.35, 0.45, 0.82)
"""Direction to the light: right, up, towards the viewer."""
AMBIENT = 0.45
"""Brightness of what the light doesn't reach."""
MOST_SAMPLES = 64
"""A triangle's samples along one side at most."""


def draw(body: bpy.types.Object, rig: bpy.types.Object, depsgraph: bpy.types.Depsgraph, image: bpy.types.Image | None) -> Array:
    """(SIDE, SIDE, 4) of a mesh as its modifiers leave it, wherever its rig stands; grey without an image."""
    shown = body.evaluated_get(depsgraph)
    mesh = shown.to_mesh()
    try:
        corners, uvs = triangles(mesh)
    finally:
        shown.to_mesh_clear()
    turned = np.array(rig.matrix_world.inverted() @ body.matrix_world, np.float64)
    return paint(corners @ turned[:3, :3].T, uvs, None if image is None else pixels_of(image))


def triangles(mesh: bpy.types.Mesh) -> tuple[Array, Array]:
    """(t, 3, 3) corners and (t, 3, 2) UVs of a mesh's triangles."""
    mesh.calc_loop_triangles()
    count = len(mesh.loop_triangles)
    vertices, loops = np.empty(count * 3, np.int32), np.empty(count * 3, np.int32)
    mesh.loop_triangles.foreach_get("vertices", vertices)
    mesh.loop_triangles.foreach_get("loops", loops)
    places = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", places)
    layer = mesh.uv_layers.active
    flat = np.zeros(len(mesh.loops) * 2, np.float32)
    if layer is not None:
        layer.data.foreach_get("uv", flat)
    return places.reshape(-1, 3)[vertices].reshape(-1, 3, 3).astype(np.float64), flat.reshape(-1, 2)[loops].reshape(-1, 3, 2)


def pixels_of(image: bpy.types.Image) -> Array:
    """(h, w, 3) float32 of an image, row 0 at the bottom."""
    pixels = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(image.size[1], image.size[0], image.channels)
    return pixels[..., :3] if image.channels >= 3 else np.repeat(pixels[..., :1], 3, axis=2)


def view_axes() -> Array:
    """(3, 3) rows right, up, towards the viewer, in the armature's axes; the animal faces -Y, its left is +X."""
    towards = np.array([math.sin(TURN) * math.cos(RISE), -math.cos(TURN) * math.cos(RISE), math.sin(RISE)])
    right = np.array([math.cos(TURN), math.sin(TURN), 0.0])
    return np.stack([right, np.cross(towards, right), towards])


def paint(corners: Array, uvs: Array, texture: Array | None) -> Array:
    """(t, 3, 3) corners in the armature's axes, (t, 3, 2) UVs, (h, w, 3) texture -> the picture."""
    side = SIDE * FINE
    seen = corners @ view_axes().T  # (t, 3, 3) right, up, towards
    low, high = seen[..., :2].min((0, 1)), seen[..., :2].max((0, 1))
    scale = side * (1 - 2 * MARGIN) / max(float((high - low).max()), 1e-9)
    seen[..., :2] = (seen[..., :2] - (low + high) / 2) * scale + side / 2
    seen[..., 2] *= scale
    normals = np.cross(seen[:, 1] - seen[:, 0], seen[:, 2] - seen[:, 0])  # (t, 3)
    facing = normals[:, 2] > 0
    seen, uvs, normals = seen[facing], uvs[facing], normals[facing]
    light = np.array(LIGHT) / np.linalg.norm(LIGHT)
    lit = np.clip(normals @ light / np.maximum(np.linalg.norm(normals, axis=1), 1e-12), 0, 1)
    shade = AMBIENT + (1 - AMBIENT) * lit  # (t,)
    owner, weights = sample(seen)
    points = np.einsum("nk,nkd->nd", weights, seen[owner])  # (n, 3)
    column = np.clip(points[:, 0].astype(np.int64), 0, side - 1)
    row = np.clip(points[:, 1].astype(np.int64), 0, side - 1)
    cell = row * side + column
    order = np.argsort(points[:, 2])
    nearest = np.full(side * side, -1)
    nearest[cell[order]] = order  # the last one written stays: the nearest of each pixel's samples
    cells = np.flatnonzero(nearest >= 0)
    best = nearest[cells]
    colours = np.full((len(best), 3), 0.6)
    if texture is not None:
        spot = np.einsum("nk,nkd->nd", weights[best], uvs[owner[best]]) % 1.0
        height, width = texture.shape[:2]
        colours = texture[(spot[:, 1] * height).astype(np.int64) % height, (spot[:, 0] * width).astype(np.int64) % width]
    picture = np.zeros((side * side, 4), np.float32)
    picture[cells, :3] = colours * shade[owner[best], None]
    picture[cells, 3] = 1
    blocks = picture.reshape(SIDE, FINE, SIDE, FINE, 4).sum((1, 3))  # (SIDE, SIDE, 4)
    covered = np.maximum(blocks[..., 3:], 1)
    return np.concatenate([blocks[..., :3] / covered, blocks[..., 3:] / FINE**2], -1).astype(np.float32)


def sample(seen: Array) -> tuple[Array, Array]:
    """(t, 3, 3) triangles in pixels -> which triangle each sample is of (n,), and its weights of the corners (n, 3).

    A triangle gets a grid somewhat finer than the pixels along its longest side."""
    sides = np.linalg.norm(seen[..., :2] - np.roll(seen[..., :2], 1, axis=1), axis=2).max(1)  # (t,)
    steps = np.clip(np.ceil(sides * 1.3).astype(np.int64), 1, MOST_SAMPLES)
    owners, weights = [], []
    for count in np.unique(steps):
        which = np.flatnonzero(steps == count)
        a, b = np.meshgrid(np.arange(count), np.arange(count))
        inside = a + b < count
        first, second = (a[inside] + 1 / 3) / count, (b[inside] + 1 / 3) / count  # (s,)
        grid = np.stack([1 - first - second, first, second], -1)  # (s, 3)
        owners.append(np.repeat(which, len(grid)))
        weights.append(np.tile(grid, (len(which), 1)))
    return np.concatenate(owners), np.concatenate(weights)
