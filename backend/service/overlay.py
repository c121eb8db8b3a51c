"""The posed mesh over its photo, through the recovered camera: the picture that shows whether a result is right.

Enters a photo and an asset (object frame); leaves (h, w, 3) uint8 sRGB at the photo's own size. The texture is drawn over the
photo with a shade that shows the form, and its outline as a light line. Work goes by strips of rows: 48 megapixels need
little more than the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d
from torch import Tensor

from backend.render.camera import camera_projection, transform_points
from backend.render.cpu import interpolate, rasterize, texture
from backend.rig.posing import pose_mesh
from backend.types import Asset, ByteArray, Image

STRIP_PIXELS = 2_000_000
"""Pixels that are drawn at a time."""

OPACITY = 0.7
"""Share of the mesh in the mixture."""

CUT_OUT = 128
"""Grey behind an animal that was cut out: what a file holds where it is transparent was never meant to be seen."""

OUTLINE = (255, 220, 60)
"""sRGB of the silhouette's line."""

LINE_SHARE = 600
"""The line is as thick as the photo's longer side over this."""


@dataclass(frozen=True)
class Drawing:
    """An asset in its photo pose, ready to be drawn at `size` (h, w) strip by strip.

    clip: (1, V, 4); faces: (F, 3) int32; attributes: (1, 3F, 3) u, v from the top and a shade per corner; picture: (1, s, s, 3)
    texture in 0..255; rows: those between which the mesh lies.
    """

    size: tuple[int, int]
    clip: Tensor
    faces: Tensor
    attributes: Tensor
    picture: Tensor
    rows: tuple[int, int]

    def strip(self, top: int, bottom: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Rows [top, bottom) -> colour (n, w, 3) in 0..255 and cover (n, w)."""
        height, rows = self.size[0], bottom - top
        x, y, z, w = self.clip.unbind(-1)
        y = y * (height / rows) + w * ((height - 2 * top) / rows - 1)
        rast = rasterize(torch.stack([x, y, z, w], -1), self.faces, (rows, self.size[1]))
        corners = torch.arange(3 * len(self.faces), dtype=torch.int32).reshape(-1, 3)
        values = interpolate(self.attributes, rast, corners)
        colour = texture(self.picture, values[..., :2].contiguous()) * values[..., 2:]
        return colour[0].numpy(), rast[0, ..., 3].numpy() > 0


def prepare_drawing(asset: Asset, size: tuple[int, int]) -> Drawing:
    """The asset in its camera at size (h, w), whose aspect is the photo's."""
    mesh = asset.mesh
    assert mesh.uvs is not None
    vertices = torch.from_numpy(pose_mesh(mesh, asset.skeleton, asset.skin, asset.photo_pose))
    depth = transform_points(vertices, torch.as_tensor(asset.camera.object_to_camera, dtype=torch.float32))[:, 2]
    far = float(depth.max().clamp_min(1e-3))
    near = max(0.5 * float(depth.min()), 1e-3 * far)
    clip = transform_points(vertices[None], camera_projection(asset.camera, near, 2 * far))
    faces = torch.from_numpy(np.ascontiguousarray(mesh.faces, np.int32))
    shade = face_shade(vertices, faces)[:, None, None].expand(-1, 3, 1)  # (F, 3, 1): one shade a face
    uvs = torch.from_numpy(np.ascontiguousarray(mesh.uvs, np.float32))
    # uv has its origin at the lower left, the texture's row 0 is the top.
    attributes = torch.cat([uvs[..., :1], 1 - uvs[..., 1:], shade], -1).reshape(1, -1, 3).contiguous()
    picture = torch.from_numpy(np.ascontiguousarray(asset.texture.base_color)).float()[None]
    rows = (0, size[0])
    if float(depth.min()) > near:  # nothing is cut by the near plane: the vertices bound the picture
        y = ((clip[0, :, 1] / clip[0, :, 3]).clamp(-1, 1) + 1) * (size[0] / 2)
        rows = max(0, int(y.min()) - 1), min(size[0], int(y.max()) + 2)
    return Drawing(size, clip, faces, attributes, picture, rows)


def draw_overlay(image: Image, asset: Asset) -> ByteArray:
    """The photo with the asset in its photo pose drawn over it, at full resolution."""
    height, width = image.rgb.shape[:2]
    drawing = prepare_drawing(asset, (height, width))
    result, cover = visible_photo(image), np.zeros((height, width), bool)
    for top, bottom in strips(drawing):
        colour, inside = drawing.strip(top, bottom)
        cover[top:bottom] = inside
        under = result[top:bottom][inside]
        result[top:bottom][inside] = np.rint(np.float32(OPACITY) * colour[inside] + np.float32(1 - OPACITY) * under)
    result[outline(cover, max(1, round(max(height, width) / LINE_SHARE)))] = OUTLINE
    return result


def visible_photo(image: Image) -> ByteArray:
    """A copy of the photo's colours (h, w, 3), over `CUT_OUT` where it is transparent."""
    result = image.rgb.copy()
    if image.alpha is not None:
        for top in range(0, len(result), 256):
            part = result[top : top + 256]
            share = image.alpha[top : top + 256, :, None] * np.float32(1 / 255)
            part[:] = np.rint(part * share + np.float32(CUT_OUT) * (1 - share))
    return result


def draw_posed(asset: Asset, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """-> colour (h, w, 3) in 0..255 and cover (h, w) of the posed mesh in the asset's camera at size (h, w)."""
    return prepare_drawing(asset, size).strip(0, size[0])


def strips(drawing: Drawing) -> list[tuple[int, int]]:
    """Rows (top, bottom) of the strips that hold the mesh."""
    rows = max(1, STRIP_PIXELS // drawing.size[1])
    first, end = drawing.rows
    return [(top, min(top + rows, end)) for top in range(first, end, rows)]


def face_shade(vertices: Tensor, faces: Tensor) -> Tensor:
    """(F,) brightness of each face under a light from above: the form shows where the texture is plain."""
    a, b, c = (vertices[faces[:, i].long()] for i in range(3))
    normal = torch.linalg.cross(b - a, c - a)
    up = normal[:, 1] / normal.norm(dim=-1).clamp_min(1e-12)
    return 0.85 + 0.15 * up


def outline(cover: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """(h, w): the covered pixels within `width` of an uncovered one."""
    inside = cover.view(np.uint8)
    for axis in (0, 1):
        inside = minimum_filter1d(inside, 2 * width + 1, axis, mode="nearest")
    return np.asarray(cover & (inside == 0))
