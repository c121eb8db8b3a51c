"""Pictures of a finished asset: over its photo, and from the side, back and front; and its posed points.

Everything is made from the asset alone (its own skeleton, skin, pose and camera), as another program would.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.render.cpu import interpolate, rasterize
from backend.rig.posing import pose_mesh, skin_transforms
from backend.rig.template import load_quadruped
from backend.types import Asset, Camera

VIEW_SIZE = 224


def posed_points(asset: Asset) -> dict[str, NDArray[np.float64]]:
    """The template's points by name, posed: each rides on the bone whose end it is (a tail before a head)."""
    transforms = skin_transforms(asset.skeleton, asset.photo_pose)
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


def _draw(
    vertices: NDArray[np.float32], asset: Asset, camera: Camera, background: NDArray[np.uint8]
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
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
    a, b, c = (vertices[asset.mesh.faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    smooth = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(smooth, asset.mesh.faces[:, i], normal)
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
    cover, drawn = _draw(pose_mesh(asset.mesh, asset.skeleton, asset.skin, asset.photo_pose), asset, asset.camera, photo)
    blend = (0.35 * photo + 0.65 * drawn).astype(np.uint8)
    return cover, np.where(cover[..., None], blend, photo)


def side_views(asset: Asset) -> list[NDArray[np.uint8]]:
    """The posed creature from its left side, from behind on its right, and from the front, on grey."""
    vertices = pose_mesh(asset.mesh, asset.skeleton, asset.skin, asset.photo_pose)
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
