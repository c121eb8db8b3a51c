"""UV-unwrap a mesh: charts by xatlas, the left half only where the mesh is mirrored.

Enters: a `types.Mesh`, with `mirror` if its faces come in mirrored pairs. Leaves: the same mesh with a UV per corner.

A mirrored mesh is cut at x = 0. The left half's charts fill the atlas's left half (u < 1/2), and each right face has its
twin's UVs with u -> 1 - u: left and right have texels of their own, and a texel's twin on the other side is the same
row read from the other end. That halves xatlas's work (its charts grow slowly, its packing slower) and makes filling
by symmetry a flip of the picture.

xatlas packs into squares only; half an atlas is twice as high as wide. So charts are made first, squeezed to half their
height, packed without rotation into a square, and stretched back: gutters are then twice as high as wide.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xatlas
from numpy.typing import NDArray

from backend.types import FloatArray, IntArray, Mesh

GUTTER = 3
"""Texels between charts, at the least; filled by dilation, so that bilinear look-ups and two mip levels never see another chart."""
BORDER = 2
"""Texels left free along the border of the packed area."""
FILLINGS = (0.66, 0.62, 0.58, 0.54, 0.5, 0.46, 0.42, 0.38, 0.34, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.01)
"""Shares of the area that charts may cover, from the largest."""
LIKELY = FILLINGS.index(0.46)
"""Where the search for the largest that fits begins: animals' charts fit at 0.42 to 0.54, and each try costs up to a tenth of a second."""


def unwrap(mesh: Mesh, size: int = 1024) -> Mesh:
    """The mesh with `uvs` (f, 3, 2) in [0, 1] (v from the bottom), charts apart by `GUTTER` texels of a size x size texture.

    No two charts overlap. Deterministic. Raises ValueError if `mirror` is set but faces do not come in mirrored pairs.
    """
    if mesh.mirror is None:
        return replace(mesh, uvs=_atlas(mesh.vertices, mesh.faces, size, 1.0))
    left = mesh.vertices[mesh.faces][:, :, 0].sum(1) > 0
    twins = find_twin_faces(mesh.faces, mesh.mirror)
    if left.sum() * 2 != len(left) or (left == left[twins]).any():
        raise ValueError("a mirrored mesh has each face wholly on one side of x = 0, with its twin on the other")
    uvs = np.empty((len(mesh.faces), 3, 2), np.float32)
    uvs[left] = _atlas(mesh.vertices, mesh.faces[left], size, 2.0)
    right = np.flatnonzero(~left)
    for corner in range(3):
        # the twin's corner that is this corner's mirror image
        same = mesh.mirror[mesh.faces[right, corner]][:, None] == mesh.faces[twins[right]]
        uvs[right, corner] = uvs[twins[right], same.argmax(1)] * [-1, 1] + [1, 0]
    return replace(mesh, uvs=uvs)


def find_twin_faces(faces: IntArray, mirror: IntArray) -> NDArray[np.int64]:
    """(f,) index of each face's mirror image. Raises ValueError where a face has none."""
    own = np.sort(faces, axis=1)
    other = np.sort(mirror[faces], axis=1)
    order_own, order_other = (np.lexsort(a.T[::-1]) for a in (own, other))
    if not np.array_equal(own[order_own], other[order_other]):
        raise ValueError("the mesh has a mirror but its faces do not come in mirrored pairs")
    twins = np.empty(len(faces), np.int64)
    twins[order_other] = order_own
    return twins


def _atlas(vertices: FloatArray, faces: IntArray, size: int, squeeze: float) -> FloatArray:
    """UVs (f, 3, 2) of some faces inside [0, 1 / squeeze] x [0, 1]."""
    used, local = np.unique(faces, return_inverse=True)
    scale = float(np.ptp(vertices[used], axis=0).max()) or 1.0
    plane, corners = _charts(vertices[used] / np.float32(scale), local.reshape(-1, 3).astype(np.uint32))
    packed = _pack(plane * np.array([1.0, 1.0 / squeeze], np.float32), corners, int(size / squeeze) - 2 * BORDER)
    texels = (packed + BORDER) * np.array([1.0, squeeze], np.float32)
    return np.ascontiguousarray(texels[corners] / size, np.float32)


def _charts(vertices: FloatArray, faces: NDArray[np.uint32]) -> tuple[FloatArray, NDArray[np.uint32]]:
    """Flat charts: points (n, 2), all charts in one scale and one plane without overlap, and faces (f, 3) over them."""
    atlas = xatlas.Atlas()
    atlas.add_mesh(np.ascontiguousarray(vertices, np.float32), faces)
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.fix_winding = True
    packing.bruteForce = False  # thrown away: `_pack` places the charts
    packing.resolution = 1024
    atlas.generate(charts, packing)
    source, corners, uvs = atlas[0]
    if not np.array_equal(source[corners], faces):
        raise ValueError("xatlas reordered or dropped faces")
    return (uvs * np.array([atlas.width, atlas.height], np.float32)).astype(np.float32), corners


def _pack(points: FloatArray, faces: NDArray[np.uint32], side: int) -> FloatArray:
    """Place charts into a side x side square, as large as they fit: points (n, 2) -> texels (n, 2) in [0, side]."""
    a, b = points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]]
    area = float(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / 2
    packing = xatlas.PackOptions()
    packing.padding = GUTTER
    packing.resolution = side
    packing.rotate_charts = packing.rotate_charts_to_axis = False  # a turned chart would be stretched the wrong way
    packing.bruteForce = True

    def place(filling: float) -> FloatArray | None:
        packing.texels_per_unit = float(side * np.sqrt(filling / max(area, 1e-12)))
        atlas = xatlas.Atlas()
        atlas.add_uv_mesh(points, faces)
        atlas.generate(xatlas.ChartOptions(), packing)
        if atlas.atlas_count > 1 or max(atlas.width, atlas.height) > side:
            return None
        source, _, uvs = atlas[0]
        placed = np.zeros_like(points)
        placed[source] = uvs * np.array([atlas.width, atlas.height], np.float32)
        return placed

    best = place(FILLINGS[LIKELY])
    if best is None:
        tried = (place(filling) for filling in FILLINGS[LIKELY + 1 :])
        best = next((placed for placed in tried if placed is not None), None)
        if best is None:
            raise ValueError(f"the charts do not fit a texture half of {side} texels")
        return best
    for filling in reversed(FILLINGS[:LIKELY]):
        larger = place(filling)
        if larger is None:
            break
        best = larger
    return best
