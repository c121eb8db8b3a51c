"""Weights of a mesh's vertex groups: read, carried over to other vertices, mirrored, written.

Conventions: a table is (v, g) float64, one column a vertex group in the object's order. Groups of bones are normalised to four
influences a vertex; an artist's other groups are carried as they are.
"""

from __future__ import annotations

import bmesh
import bpy
import numpy as np

from .surface import Array, Nearest

INFLUENCES = 4


def read_weights(mesh: bpy.types.Mesh, groups: int) -> Array:
    """(v, groups) of a mesh that is in no edit mode."""
    table = np.zeros((len(mesh.vertices), groups))
    for vertex in mesh.vertices:
        for influence in vertex.groups:
            if influence.group < groups:
                table[vertex.index, influence.group] = influence.weight
    return table


def write_weights(mesh: bpy.types.Mesh, table: Array) -> None:
    """Fills the deform layer of a mesh."""
    work = bmesh.new()
    try:
        work.from_mesh(mesh)
        layer = work.verts.layers.deform.verify()
        work.verts.ensure_lookup_table()
        rows, columns = np.nonzero(table > 0)
        for row, column, weight in zip(rows.tolist(), columns.tolist(), table[rows, columns].tolist(), strict=True):
            work.verts[row][layer][column] = weight
        work.to_mesh(mesh)
    finally:
        work.free()


def carry_weights(table: Array, triangles: Array, near: Nearest) -> Array:
    """(n, g): the old mesh's weights where the new vertices lie on it."""
    return (table[triangles[near.triangles]] * near.weights[:, :, None]).sum(axis=1)


def flipped_columns(names: list[str]) -> Array:
    """(g,) for each group the group of the other side, itself where there is none."""
    return np.array([names.index(other) if (other := bpy.utils.flip_name(name)) in names else k for k, name in enumerate(names)])


def mirror_weights(table: Array, mirror: Array, flip: Array, bones: Array) -> Array:
    """The left half's weights as those of the whole, exactly symmetric and, for the columns in `bones`, at most four that sum to 1.

    table: (h, g) of the left half's vertices, which come first; mirror: (v,) twins; flip: (g,); bones: (g,) bool. -> (v, g).
    """
    middle = np.flatnonzero(mirror[: len(table)] == np.arange(len(table)))
    table = table.copy()
    table[middle] = (table[middle] + table[middle][:, flip]) / 2
    fill_gaps(table, bones)
    kept = strongest(table[:, bones])
    of_bones = np.flatnonzero(bones)
    flip_bones = np.searchsorted(of_bones, flip[of_bones])
    for row in middle:
        kept[row] = strongest_pairs(table[row, bones], flip_bones)
    table[:, bones] = kept / kept.sum(axis=1, keepdims=True)
    whole = np.empty((len(mirror), table.shape[1]))
    whole[: len(table)] = table
    right = np.arange(len(table), len(mirror))
    whole[right] = table[mirror[right]][:, flip]
    return whole


def fill_gaps(table: Array, bones: Array) -> None:
    """In place: a vertex that no bone holds gets the mean of those that one holds."""
    empty = table[:, bones].sum(axis=1) <= 0
    if empty.any() and not empty.all():
        table[np.ix_(empty, bones)] = table[np.ix_(~empty, bones)].mean(axis=0)


def strongest(table: Array) -> Array:
    """(v, b) with all but the four largest of each row at 0."""
    if table.shape[1] <= INFLUENCES:
        return table.copy()
    least = np.partition(table, -INFLUENCES, axis=1)[:, -INFLUENCES, None]
    kept = np.where(table >= least, table, 0.0)
    for row in np.flatnonzero((kept > 0).sum(axis=1) > INFLUENCES):  # equal ones at the border
        kept[row, np.argsort(-kept[row], kind="stable")[INFLUENCES:]] = 0.0
    return kept


def strongest_pairs(row: Array, flip: Array) -> Array:
    """(b,) of a vertex on the middle: at most four, a left bone never without its right one."""
    kept, room = np.zeros_like(row), INFLUENCES
    for column in np.argsort(-row, kind="stable").tolist():
        needed = {column, int(flip[column])}
        if row[column] <= 0 or len(needed) > room or kept[column] > 0:
            continue
        for one in needed:
            kept[one] = row[column]
        room -= len(needed)
    return kept
