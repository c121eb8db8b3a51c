"""Small pictures of clips: one animal of 0 A.D. in one pose, seen from its left and a little from ahead and above.

Enters: the archive, an animal's and a clip's name. Leaves: a square PNG with transparency. The pose is the one that says most: the
widest stride, the lowest muzzle where it grazes.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage

from backend.data import quadrupeds
from backend.data.quadrupeds import Quadruped
from backend.data.zero_ad import Archive
from backend.render import cpu
from backend.rig.template import load_quadruped
from backend.types import ByteArray, FloatArray

SIDE = 128
"""Pixels."""
SHARPER = 3
"""Drawn so much larger, then made smaller: edges are smooth."""
COLOURS = 128
MARGIN = 1.06
TURN, RISE = np.radians(-28.0), np.radians(10.0)
"""Of the view, from a plain side view."""
LIGHT, AMBIENT = np.array([0.5, 0.8, 0.33]), 0.62
TIPS = ("front_tip.L", "front_tip.R", "hind_tip.L", "hind_tip.R")


def draw(archive: Archive, name: str, clip_name: str, kind: str) -> bytes:
    """PNG bytes. kind: as in ready_motions.json. Raises as `quadrupeds.load`."""
    animal = quadrupeds.load(archive, name)
    matrices = quadrupeds.skin_matrices(animal, archive.clip(f"quadraped/{clip_name}.dae"))
    points = np.stack([quadrupeds.posed_points(animal, each) for each in matrices])
    vertices = quadrupeds.pose(animal.vertices, quadrupeds.dense_weights(animal), matrices[telling_frame(points, kind)])
    picture = PillowImage.fromarray(paint(animal, vertices, quadrupeds.skin_image(archive, animal.skins[0])), "RGBA")
    buffer = io.BytesIO()
    small = picture.resize((SIDE, SIDE), PillowImage.Resampling.BOX)
    small.quantize(COLOURS, method=PillowImage.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def telling_frame(points: FloatArray, kind: str) -> int:
    """(t, 42, 3) -> the frame of the widest stride, or of the lowest muzzle."""
    index = load_quadruped().point_index
    if kind == "graze":
        return int(points[:, index["muzzle"], 1].argmin())
    if kind == "idle":
        return 0
    return int(np.ptp(points[:, [index[tip] for tip in TIPS], 2], axis=1).argmax())


def paint(animal: Quadruped, vertices: FloatArray, skin: ByteArray) -> ByteArray:
    """Vertices (v, 3) in any pose -> (s, s, 4), s = SIDE times SHARPER."""
    seen, light = view(vertices)
    faces = torch.from_numpy(np.ascontiguousarray(animal.faces, np.int32))
    clip = torch.from_numpy(seen)[None]
    size = SIDE * SHARPER
    hit = cpu.rasterize(clip, faces, (size, size))
    uvs = animal.uvs * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)
    where = cpu.interpolate(torch.from_numpy(np.ascontiguousarray(uvs, np.float32))[None], hit, faces)
    colour = cpu.texture(torch.from_numpy(skin[..., :3].astype(np.float32) / 255)[None], where)[0].numpy()
    normals = vertex_normals(vertices, animal.faces)
    bright = AMBIENT + (1 - AMBIENT) * (normals @ light).clip(0)
    shade = cpu.interpolate(torch.from_numpy(np.ascontiguousarray(bright[:, None], np.float32))[None], hit, faces)[0].numpy()
    covered = hit[0, ..., 3:].numpy() > 0
    return np.concatenate([255 * (1.15 * colour * shade).clip(0, 1), 255 * covered], -1).round().astype(np.uint8)


def view(vertices: FloatArray) -> tuple[FloatArray, NDArray[np.float64]]:
    """Vertices (v, 3), object frame -> clip coordinates (v, 4) that fill the picture, y down; the light's direction, object frame."""
    c, s, cr, sr = np.cos(TURN), np.sin(TURN), np.cos(RISE), np.sin(RISE)
    toward = np.array([cr * c, sr, -cr * s])  # from the animal to the viewer, at its left
    right = np.array([s, 0.0, c])
    up = np.cross(toward, right)
    if up[1] < 0:
        up, right = -up, -right
    flat = vertices @ np.stack([right, up, toward], -1)  # (v, 3)
    low, high = flat.min(0), flat.max(0)
    half = float((high - low)[:2].max()) / 2 * MARGIN
    clip = np.empty((len(vertices), 4), np.float32)
    clip[:, :2] = (flat[:, :2] - (low + high)[:2] / 2) / half * (1, -1)
    clip[:, 2] = -(flat[:, 2] - (low[2] + high[2]) / 2) / (high[2] - low[2])
    clip[:, 3] = 1
    return clip, LIGHT / np.linalg.norm(LIGHT)


def vertex_normals(vertices: FloatArray, faces: NDArray[np.int32]) -> NDArray[np.float64]:
    """(v, 3) unit, each the area-weighted mean of its faces'."""
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(total, faces[:, corner], across)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
