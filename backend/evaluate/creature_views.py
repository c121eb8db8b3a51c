"""Pictures of a finished asset: over its photo, and from the side, back and front; and its posed points.

Everything is made from the asset alone (its own skeleton, skin, pose and camera), as another program would.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.render.cpu import interpolate, rasterize
from backend.rig.template import load_quadruped
from backend.types import Asset, Camera

VIEW_SIZE = 224


def bone_transforms(asset: Asset) -> NDArray[np.float64]:
    """(b, 4, 4) posed matrices of the bones in the photo pose (columns X, Y, Z, head)."""
    s = asset.skeleton
    rest = np.tile(np.eye(4), (len(s.names), 1, 1))
    y = s.tails - s.heads
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    z = s.z_axes
    rest[:, :3, 0], rest[:, :3, 1], rest[:, :3, 2], rest[:, :3, 3] = np.cross(y, z), y, z, s.heads
    posed = np.empty_like(rest)
    for b, parent in enumerate(s.parents):
        basis = np.eye(4)
        w, i, j, k = asset.photo_pose.rotations[b].astype(np.float64)
        basis[:3, :3] = [
            [1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j)],
            [2 * (i * j + w * k), 1 - 2 * (i * i + k * k), 2 * (j * k - w * i)],
            [2 * (i * k - w * j), 2 * (j * k + w * i), 1 - 2 * (i * i + j * j)],
        ]
        local = rest[b] if parent < 0 else np.linalg.inv(rest[parent]) @ rest[b]
        posed[b] = (np.eye(4) if parent < 0 else posed[parent]) @ local @ basis
    return posed @ np.linalg.inv(rest)


def posed_vertices(asset: Asset) -> NDArray[np.float32]:
    """(v, 3) the mesh in the photo pose, object frame."""
    transforms = bone_transforms(asset)
    v = np.concatenate([asset.mesh.vertices, np.ones((len(asset.mesh.vertices), 1))], 1)
    moved = np.einsum("vkij,vj->vki", transforms[asset.skin.bones], v)[..., :3]
    return np.ascontiguousarray((moved * asset.skin.weights[..., None]).sum(1), np.float32)


def posed_points(asset: Asset) -> dict[str, NDArray[np.float64]]:
    """The template's points by name, posed: each rides on the bone whose end it is (a tail before a head)."""
    transforms = bone_transforms(asset)
    index = {name: i for i, name in enumerate(asset.skeleton.names)}
    found: dict[str, NDArray[np.float64]] = {}
    for bone in load_quadruped().bones:
        if not bone.deform:
            continue
        b = index[bone.name]
        for name, at in ((bone.head, asset.skeleton.heads[b]), (bone.tail, asset.skeleton.tails[b])):
            if name is not None and name not in found:
                found[name] = transforms[b][:3, :3] @ at + transforms[b][:3, 3]
    return found


def _draw(vertices: NDArray[np.float32], asset: Asset, camera: Camera, background: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Textured and softly lit mesh over a background of the camera's size -> coverage, picture."""
    seen = torch.from_numpy(vertices @ camera.object_to_camera[:3, :3].T + camera.object_to_camera[:3, 3])
    z = seen[:, 2:]
    f = 2 * camera.focal_px / torch.tensor([camera.width, camera.height])
    near = float(z.min().clamp_min(1e-2)) * 0.5
    clip = torch.cat([seen[:, :2] * f, (z - 2 * near) * 1.0001, z], -1)[None].contiguous()
    faces = torch.from_numpy(asset.mesh.faces)
    rast = rasterize(clip, faces, (camera.height, camera.width))
    assert asset.mesh.uvs is not None
    corners = torch.from_numpy(asset.mesh.uvs.reshape(-1, 2))  # a corner is a vertex of its own here
    corner_faces = torch.arange(len(corners), dtype=torch.int32).reshape(-1, 3)
    normal = np.cross(vertices[asset.mesh.faces[:, 1]] - vertices[asset.mesh.faces[:, 0]], vertices[asset.mesh.faces[:, 2]] - vertices[asset.mesh.faces[:, 0]])
    smooth = np.zeros_like(vertices)
    for c in range(3):
        np.add.at(smooth, asset.mesh.faces[:, c], normal)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    toward = -(smooth @ camera.object_to_camera[:3, :3].T)[:, 2]
    light = (0.55 + 0.45 * np.clip(toward, 0, 1)).astype(np.float32)
    attributes = torch.cat([corners, torch.from_numpy(light[asset.mesh.faces.reshape(-1)])[:, None]], -1)[None].contiguous()
    values = interpolate(attributes, rast, corner_faces)[0].numpy()
    cover = rast[0, ..., 3].numpy() > 0
    size = asset.texture.base_color.shape[0]
    x = np.clip((values[..., 0] * size).astype(int), 0, size - 1)
    y = np.clip(((1 - values[..., 1]) * size).astype(int), 0, size - 1)
    colour = asset.texture.base_color[y, x] * values[..., 2:]
    return cover, np.where(cover[..., None], colour, background).astype(np.uint8)


def overlay_mask(asset: Asset, photo: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """-> which of the photo's pixels the posed mesh covers, and the mesh drawn half over the photo."""
    cover, drawn = _draw(posed_vertices(asset), asset, asset.camera, photo)
    blend = (0.35 * photo + 0.65 * drawn).astype(np.uint8)
    return cover, np.where(cover[..., None], blend, photo)


def side_views(asset: Asset) -> list[NDArray[np.uint8]]:
    """The posed creature from its left side, from behind on its right, and from the front, on grey."""
    vertices = posed_vertices(asset)
    middle, size = (vertices.max(0) + vertices.min(0)) / 2, float(np.linalg.norm(vertices.max(0) - vertices.min(0)))
    pictures = []
    for azimuth in (90.0, 225.0, 10.0):
        a = np.radians(azimuth)
        back = np.array([np.sin(a) * 0.97, 0.25, np.cos(a) * 0.97])  # from the object towards the camera
        back /= np.linalg.norm(back)
        right = np.cross([0, 1, 0], back)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, -np.cross(back, right), -back])  # OpenCV rows: right, down, forward
        pose = np.eye(4, dtype=np.float32)
        pose[:3, :3] = rotation
        pose[:3, 3] = -rotation @ middle + np.array([0, 0, 2.2 * size])
        camera = Camera(VIEW_SIZE, VIEW_SIZE, 2.0 * VIEW_SIZE, pose)
        grey = np.full((VIEW_SIZE, VIEW_SIZE, 3), 90, np.uint8)
        pictures.append(_draw(vertices, asset, camera, grey)[1])
    return pictures
