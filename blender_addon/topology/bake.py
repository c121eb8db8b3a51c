"""A texture for other UVs: each texel takes the old texture's colour at the nearest point of the old surface.

Enters: the left half's triangles with UVs (the right half's are their mirror in space about x = 0, on the texture about u = 1/2), the
old surface with its UVs and picture. Leaves: a picture (h, w, 4), row 0 at the bottom as Blender has it. Texels just past an edge of
the UVs are looked up too, on the surface's continuation, so that a seam shows nothing when the texture is filtered; those farther out
repeat the nearest colour.
"""

from __future__ import annotations

import numpy as np

from .surface import Array, Nearest, Surface

REACH = 1.5
"""How far past a triangle, in texels, colours are looked up."""
BLEED = 24
"""How far past that the nearest colour is repeated, in texels: for smaller versions of the picture."""
EQUAL = 1e-5
"""Vertices that are twins mirror each other this well."""
CHUNK = 1 << 18
"""Texels that are looked up at once, for memory's sake."""


def bake(surface: Surface, uvs: Array, picture: Array, vertices: Array, triangles: Array, new_uvs: Array, side: int) -> Array:
    """surface with uvs (t, 3, 2) of its triangles and picture (h, w, c) -> (side, side, c) for the left half's triangles (n, 3) of
    vertices with new_uvs (n, 3, 2), and for the right half."""
    texels, owners, shares = cover(new_uvs, side)
    twins = mirrored_triangles(surface)
    corners, over = vertices[triangles], np.array([-1, 1, 1])
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    left, right = np.empty((len(texels), picture.shape[2]), np.float32), np.empty((len(texels), picture.shape[2]), np.float32)
    for first in range(0, len(texels), CHUNK):
        part = slice(first, first + CHUNK)
        places = (vertices[triangles[owners[part]]] * shares[part, :, None]).sum(axis=1)
        near = surface.nearest(places, facing[owners[part]])
        left[part] = sample(picture, at(uvs, near))
        far = mirrored(near, *twins) if twins is not None else surface.nearest(places * over, facing[owners[part]] * over)
        right[part] = sample(picture, at(uvs, far))
    made = np.empty((side * side, picture.shape[2]), np.float32)
    made[:] = (left.mean(axis=0) + right.mean(axis=0)) / 2
    rows, columns = np.divmod(texels, side)
    made[rows * side + side - 1 - columns] = right
    made[texels] = left
    bleed(made, np.union1d(texels, rows * side + side - 1 - columns), side)
    return made.reshape(side, side, -1)


def at(uvs: Array, near: Nearest) -> Array:
    """(m, 2) the UVs there."""
    return (uvs[near.triangles] * near.weights[:, :, None]).sum(axis=1)


def mirrored_triangles(surface: Surface) -> tuple[Array, Array] | None:
    """For each triangle its twin across x = 0 (t,), and for each corner of that which corner of the first it is (t, 3). None where
    the surface is not its own mirror image: then nearest points of the right half are looked up on their own."""
    place_of = {tuple(place): index for index, place in enumerate((surface.vertices / EQUAL).round().astype(np.int64).tolist())}
    over = ((surface.vertices * [-1, 1, 1]) / EQUAL).round().astype(np.int64).tolist()
    twin = np.array([place_of.get(tuple(place), -1) for place in over])
    if (twin < 0).any():
        return None
    triangle_of = {tuple(sorted(corners)): index for index, corners in enumerate(surface.triangles.tolist())}
    wanted = twin[surface.triangles]
    found = np.array([triangle_of.get(tuple(sorted(corners)), -1) for corners in wanted.tolist()])
    if (found < 0).any():
        return None
    return found, (surface.triangles[found][:, :, None] == wanted[:, None, :]).argmax(axis=2)


def mirrored(near: Nearest, twins: Array, corners: Array) -> Nearest:
    """The same points on the other side; twins and corners of `mirrored_triangles`."""
    weights = np.take_along_axis(near.weights, corners[near.triangles], axis=1)
    return Nearest(twins[near.triangles], weights, near.places * [-1, 1, 1])


def cover(uvs: Array, side: int) -> tuple[Array, Array, Array]:
    """Which texels the triangles' UVs (n, 3, 2) cover or come near: flat indices (m,), the triangle each lies deepest in (m,), its
    barycentric weights there (m, 3), negative past an edge."""
    depth = np.full(side * side, -np.inf, np.float32)
    owner = np.full(side * side, -1, np.int32)
    points = uvs * side - 0.5  # texel centres are whole numbers
    low = np.clip(np.floor(points.min(axis=1) - REACH), 0, side - 1).astype(int)
    high = np.clip(np.ceil(points.max(axis=1) + REACH), 0, side - 1).astype(int)
    edges = edge_distances(points)
    for index in range(len(points)):
        (left, bottom), (right, top) = low[index], high[index]
        columns, rows = np.arange(left, right + 1), np.arange(bottom, top + 1)
        slope_u, slope_v, offset = edges[index]  # each (3,)
        inside = slope_u[:, None, None] * columns + (slope_v[:, None] * rows + offset[:, None])[:, :, None]  # (3, rows, columns)
        least = inside.min(axis=0)
        flat = rows[:, None] * side + columns
        better = (least >= -REACH) & (least > depth[flat])
        depth[flat[better]], owner[flat[better]] = least[better], index
    texels = np.flatnonzero(owner >= 0)
    owners = owner[texels]
    centres = np.stack([texels % side, texels // side], axis=1)
    return texels, owners, barycentric(centres, points[owners])


def edge_distances(points: Array) -> Array:
    """(n, 3, 2) corners -> (n, 3, 3): for the three edges (slope along u, slope along v, offset) of the distance from each, positive
    inside whichever way round the triangle is; of a triangle without area nothing is inside."""
    begin, end = points, np.roll(points, -1, axis=1)
    along = end - begin
    length = np.maximum(np.linalg.norm(along, axis=2), 1e-9)
    normal = np.stack([-along[..., 1], along[..., 0]], axis=2) / length[..., None]
    first, second = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    normal *= np.where(area < 0, -1.0, 1.0)[:, None, None]
    offset = -(normal * begin).sum(axis=2)
    offset[np.abs(area) < 1e-9] = -np.inf
    return np.stack([normal[..., 0], normal[..., 1], offset], axis=1)


def barycentric(points: Array, corners: Array) -> Array:
    """points (m, 2), corners (m, 3, 2) -> (m, 3) weights that sum to 1."""
    first, second, rest = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    v = (rest[:, 0] * second[:, 1] - rest[:, 1] * second[:, 0]) / area
    w = (first[:, 0] * rest[:, 1] - first[:, 1] * rest[:, 0]) / area
    return np.stack([1 - v - w, v, w], axis=1)


def sample(picture: Array, uvs: Array) -> Array:
    """(h, w, c), (m, 2) -> (m, c) between the four nearest texels; past the border the border's."""
    height, width = picture.shape[:2]
    x, y = np.clip(uvs[:, 0] * width - 0.5, 0, width - 1), np.clip(uvs[:, 1] * height - 0.5, 0, height - 1)
    left, bottom = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    right, top = np.minimum(left + 1, width - 1), np.minimum(bottom + 1, height - 1)
    across, up = (x - left).astype(np.float32)[:, None], (y - bottom).astype(np.float32)[:, None]
    below = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    above = picture[top, left] * (1 - across) + picture[top, right] * across
    return below * (1 - up) + above * up


def bleed(made: Array, texels: Array, side: int) -> None:
    """In place: repeats the colours of `texels` outward, one ring a time. made: (side * side, c)."""
    filled = np.zeros(side * side, bool)
    filled[texels] = True
    front = texels
    for _ in range(BLEED):
        row, column = np.divmod(front, side)
        reached, sources = [], []
        for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            fits = (row + down >= 0) & (row + down < side) & (column + right >= 0) & (column + right < side)
            there = front[fits] + down * side + right
            free = ~filled[there]
            reached.append(there[free])
            sources.append(front[fits][free])
        front, first = np.unique(np.concatenate(reached), return_index=True)
        made[front] = made[np.concatenate(sources)[first]]
        filled[front] = True
