"""The posed mesh over its photo, through the recovered camera: the picture that shows whether a result is right.

Enters a photo and an asset (object frame); leaves (h, w, 3) uint8 sRGB at the photo's size, at most `LONGEST` pixels
long. The texture is drawn over the photo with a shade that shows the form, and its outline as a light line.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture

from backend.render.camera import camera_projection, transform_points
from backend.render.cpu import interpolate, rasterize, texture
from backend.rig.posing import pose_mesh
from backend.types import Asset, ByteArray, Image

LONGEST = 2048
"""Pixels of the overlay's longer side at most; the asset's camera holds at any size."""

OPACITY = 0.7
"""Share of the mesh in the mixture."""

OUTLINE = (255, 220, 60)
"""sRGB of the silhouette's line."""


def draw_overlay(image: Image, asset: Asset) -> ByteArray:
    """The photo with the asset in its photo pose drawn over it."""
    height, width = image.rgb.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    photo = np.asarray(Picture.fromarray(image.rgb).resize((size[1], size[0]), Picture.Resampling.BOX)) if scale < 1 else image.rgb
    colour, cover = draw_posed(asset, size)
    mixed = np.where(cover[..., None], OPACITY * colour + (1 - OPACITY) * photo, photo)
    mixed[outline(cover, max(1, round(max(size) / 600)))] = OUTLINE
    return np.rint(mixed).astype(np.uint8)


def draw_posed(asset: Asset, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """-> colour (h, w, 3) in 0..255 and cover (h, w) of the posed mesh in the asset's camera at size (h, w)."""
    mesh = asset.mesh
    vertices = torch.from_numpy(pose_mesh(mesh, asset.skeleton, asset.skin, asset.photo_pose))
    depth = transform_points(vertices, torch.as_tensor(asset.camera.object_to_camera, dtype=torch.float32))[:, 2]
    far = float(depth.max().clamp_min(1e-3))
    near = max(0.5 * float(depth.min()), 1e-3 * far)
    clip = transform_points(vertices[None], camera_projection(asset.camera, near, 2 * far))
    faces = torch.from_numpy(np.ascontiguousarray(mesh.faces, np.int32))
    with torch.no_grad():
        rast = rasterize(clip, faces, size)
        cover = rast[0, ..., 3].numpy() > 0
        corners = torch.arange(3 * len(faces), dtype=torch.int32).reshape(-1, 3)
        shade = face_shade(vertices, faces)[:, None, None].expand(-1, 3, 1)  # (F, 3, 1): one shade a face
        assert mesh.uvs is not None
        uvs = torch.from_numpy(np.ascontiguousarray(mesh.uvs, np.float32))
        attributes = torch.cat([uvs, shade], -1).reshape(1, -1, 3).contiguous()
        values = interpolate(attributes, rast, corners)
        pixels = torch.from_numpy(np.ascontiguousarray(asset.texture.base_color)).float()[None]
        # uv has its origin at the lower left, the texture's row 0 is the top.
        colour = texture(pixels, torch.stack([values[..., 0], 1 - values[..., 1]], -1).contiguous()) * values[..., 2:]
    return colour[0].numpy(), cover


def face_shade(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """(F,) brightness of each face under a light from above: the form shows where the texture is plain."""
    a, b, c = (vertices[faces[:, i].long()] for i in range(3))
    normal = torch.linalg.cross(b - a, c - a)
    up = normal[:, 1] / normal.norm(dim=-1).clamp_min(1e-12)
    return 0.85 + 0.15 * up


def outline(cover: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """(h, w): the covered pixels within `width` of an uncovered one."""
    inside = cover
    for _ in range(width):
        padded = np.pad(inside, 1, mode="edge")
        inside = inside & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(cover & ~inside)
