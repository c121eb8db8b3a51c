"""Project the photo onto the texture: colours freed of the shading, and how far each can be trusted.

Enters: an unwrapped mesh, its vertices as posed in the photo, the photo's camera, the photo at full resolution, its mask.
Leaves: an albedo a texel and a confidence in [0, 1]: 0 where the photo doesn't show the texel (turned away, hidden by another
part, at the mask's rim or outside of it). Photo = albedo * shading in sRGB values, as 3D-Fauna models it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import minimum_filter

from backend.render.camera import projection, transform_points
from backend.render.cpu import interpolate, rasterize
from backend.texture.photo import build_pyramid
from backend.texture.texels import Texels, find_texels
from backend.types import ByteArray, Camera, FloatArray, Mask, Mesh

DEPTH_SIDE = 768
"""Pixels of the depth picture's longer side."""
DEPTH_MARGIN = 0.004
"""Depth by which a texel may lie behind the nearest surface, as a share of the body's diagonal."""
SLOPE_MARGIN = 2.0
"""Pixels of the depth picture over which a slanted surface may fall away from itself."""
LARGEST_SLOPE = 4.0
FACING = (0.15, 0.5)
"""Cosine between normal and line of sight at which confidence starts, and at which it is full."""
DARKEST_SHADING = 0.25
"""Shading is never divided by less: what is darker is noise."""


@dataclass(frozen=True)
class Baked:
    """texels: n of them; color: (n, 3) albedo in [0, 1], sRGB values; confidence: (n,) in [0, 1]; color is 0 where it is 0."""

    texels: Texels
    color: FloatArray
    confidence: FloatArray


def bake(
    mesh: Mesh, posed_vertices: FloatArray, camera: Camera, rgb: ByteArray, mask: Mask, shading: FloatArray | None = None, size: int = 1024
) -> Baked:
    """What the photo says about each texel.

    mesh: unwrapped, at rest; posed_vertices: (v, 3) object frame, as in the photo; rgb: (h, w, 3) uint8 sRGB; mask: (h, w);
    shading: (v,) or (v, 3) light that reaches each vertex, 1 where colours are as in the photo, or None.
    Raises ValueError if sizes do not fit or the mesh has no UVs.
    """
    if rgb.shape[:2] != (camera.height, camera.width):
        raise ValueError(f"a {rgb.shape[1]}x{rgb.shape[0]} photo is not the camera's {camera.width}x{camera.height}")
    if posed_vertices.shape != mesh.vertices.shape:
        raise ValueError(f"{posed_vertices.shape} posed vertices for {mesh.vertices.shape}")
    texels = find_texels(mesh, size)
    pyramid = build_pyramid(rgb, mask)
    seen = (posed_vertices @ camera.object_to_camera[:3, :3].T + camera.object_to_camera[:3, 3]).astype(np.float32)
    color, confidence = np.zeros((len(texels.rows), 3), np.float32), np.zeros(len(texels.rows), np.float32)
    if pyramid is None:
        return Baked(texels, color, confidence)
    points = texels.at(seen)  # (n, 3) camera frame
    normals = texels.at(vertex_normals(seen, mesh.faces))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    cosine = -np.einsum("nc,nc->n", normals, points) / np.maximum(np.linalg.norm(points, axis=1), 1e-9)
    facing = np.clip((cosine - FACING[0]) / (FACING[1] - FACING[0]), 0, 1)
    chosen = np.flatnonzero((facing > 0) & (points[:, 2] > 1e-6))
    chosen = chosen[_unhidden(seen, mesh, camera, points[chosen], cosine[chosen])]
    places = _project(points[chosen], camera)
    pixel_area = _photo_areas(seen, mesh, camera)[texels.face[chosen]]
    footprint = np.sqrt(pixel_area / np.maximum(texels.area[texels.face[chosen]], 1e-6))
    found, weight = pyramid.sample(places, footprint)
    if shading is not None:
        light = texels.at(np.asarray(shading, np.float32).reshape(len(seen), -1))[chosen]  # (n, 1 or 3)
        found = found / np.maximum(light, DARKEST_SHADING)
    trust = (facing[chosen] * weight).astype(np.float32)
    confidence[chosen] = trust
    color[chosen] = np.clip(found, 0, 1) * (trust > 0)[:, None]
    return Baked(texels, color, confidence)


def vertex_normals(vertices: FloatArray, faces: np.ndarray) -> FloatArray:
    """Area-weighted unit normals (v, 3) of vertices (v, 3)."""
    corners = vertices[faces]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    index = faces.ravel()
    total = np.stack([np.bincount(index, np.repeat(face[:, c], 3), len(vertices)) for c in range(3)], -1)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12), np.float32)


def _project(points: FloatArray, camera: Camera) -> FloatArray:
    """(n, 3) camera frame -> (n, 2) photo pixels."""
    plane = points[:, :2] / np.maximum(points[:, 2:], 1e-6) * camera.focal_px
    return np.asarray(plane + [camera.width / 2, camera.height / 2], np.float32)


def _photo_areas(seen: FloatArray, mesh: Mesh, camera: Camera) -> FloatArray:
    """(f,) area of each face in photo pixels."""
    corners = _project(seen, camera)[mesh.faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2, np.float32)


def _unhidden(seen: FloatArray, mesh: Mesh, camera: Camera, points: FloatArray, cosine: FloatArray) -> np.ndarray:
    """Indices into points (n, 3) that no other part of the mesh hides, judged in a depth picture of the animal's window."""
    ahead = seen[(seen[:, 2] > 1e-6) & np.isfinite(seen).all(1)]
    if len(ahead) == 0 or len(points) == 0:
        return np.zeros(0, np.int64)
    corners = _project(ahead, camera)
    low = np.maximum(np.floor(corners.min(0)), 0)
    high = np.minimum(np.ceil(corners.max(0)), [camera.width, camera.height])
    extent = high - low
    if (extent < 1).any():
        return np.zeros(0, np.int64)
    scale = DEPTH_SIDE / float(extent.max())
    width, height = (max(int(round(float(n) * scale)), 1) for n in extent)
    far, near = float(ahead[:, 2].max()), float(ahead[:, 2].min())
    clip = transform_points(
        torch.from_numpy(seen), projection(camera.focal_px, camera.width, camera.height, max(near * 0.5, far * 1e-4), far * 2)
    )
    # the whole photo's clip square -> the window's
    whole = np.array([camera.width, camera.height])
    stretch, shift = whole / extent, (whole - 2 * low) / extent - 1
    x, y = (clip[:, k] * float(stretch[k]) + clip[:, 3] * float(shift[k]) for k in range(2))
    clip = torch.stack([x, y, clip[:, 2], clip[:, 3]], -1)[None]
    faces = torch.from_numpy(mesh.faces)
    rast = rasterize(clip, faces, (height, width))
    depth = interpolate(torch.from_numpy(np.ascontiguousarray(seen[None, :, 2:])), rast, faces)[0, ..., 0].numpy()
    nearest = minimum_filter(np.where(rast[0, ..., 3].numpy() > 0, depth, np.inf), 3)
    at = ((_project(points, camera) - low) * [width / extent[0], height / extent[1]]).astype(np.int64)
    inside = ((at >= 0) & (at < [width, height])).all(1)
    at = at.clip(0, [width - 1, height - 1])
    slope = np.minimum(np.sqrt(np.maximum(1 / np.maximum(cosine, 1e-3) ** 2 - 1, 0)), LARGEST_SLOPE)
    pixel = points[:, 2] / (camera.focal_px * scale)  # side of a depth pixel in object units, at the point
    body = float(np.linalg.norm(np.ptp(seen, axis=0)))
    margin = DEPTH_MARGIN * body + SLOPE_MARGIN * pixel * slope
    return np.flatnonzero(inside & (points[:, 2] <= nearest[at[:, 1], at[:, 0]] + margin))
