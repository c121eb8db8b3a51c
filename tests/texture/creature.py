"""A small mirrored creature with a known coat, and photographs of it."""

from __future__ import annotations

import numpy as np
import torch

from backend.render.camera import camera_projection, transform_points
from backend.render.cpu import antialias, interpolate, rasterize
from backend.texture.bake import vertex_normals
from backend.types import Camera, FloatArray, Mesh

BACKGROUND = (0, 255, 0)
"""A colour that no part of the coat comes near to."""


def lobed_body(around: int = 24, rings: int = 40) -> Mesh:
    """Three lobes along Z that hide each other when seen from the front; 4 * around * rings triangles, mirrored in x."""
    theta = np.pi * np.arange(1, rings + 1) / (rings + 1)
    phi = np.linspace(-np.pi / 2, np.pi / 2, around + 1)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    radius = np.sin(t) * (0.7 + 0.3 * np.cos(6 * t))
    half = np.stack([radius * np.cos(p), radius * np.sin(p), 2 * np.cos(t)], -1)
    half[:, [0, -1], 0] = 0
    poles = np.array([[0, 0, 2.1], [0, 0, -2.1]])
    points = np.concatenate([half.reshape(-1, 3), poles]).astype(np.float32)
    step = around + 1
    i, j = (a.ravel() for a in np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij"))
    a = i * step + j
    k, front, back = np.arange(around), len(points) - 2, len(points) - 1
    last = (rings - 1) * step
    faces = np.concatenate(
        [
            np.stack([a, a + step, a + 1], -1),
            np.stack([a + 1, a + step, a + step + 1], -1),
            np.stack([k, k + 1, np.full(around, front)], -1),
            np.stack([last + k + 1, last + k, np.full(around, back)], -1),
        ]
    )
    plane = points[:, 0] == 0
    twin = np.where(plane, np.arange(len(points)), 0)
    twin[~plane] = len(points) + np.arange((~plane).sum())
    mirrored = points[~plane] * [-1, 1, 1]
    mirror = np.concatenate([twin, np.flatnonzero(~plane)])
    return Mesh(
        np.concatenate([points, mirrored]).astype(np.float32),
        np.concatenate([faces, twin[faces][:, ::-1]]).astype(np.int32),
        mirror=mirror.astype(np.int32),
    )


def coat(points: FloatArray) -> FloatArray:
    """Albedo (n, 3) of rest points (n, 3), mirrored in x: red 0.5-0.9, green 0.2-0.45, blue 0.1-0.5."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    red = 0.7 + 0.2 * np.sin(4 * z + 2 * x)
    green = 0.325 + 0.125 * np.sin(5 * y + z)
    return np.stack([red, green, 0.3 + 0.2 * np.cos(3 * z - 4 * y)], -1).astype(np.float32)


def view(degrees: float, width: int = 900, height: int = 600, focal: float = 900.0, shift: tuple[float, float] = (0.0, 0.0)) -> Camera:
    """A camera that sees the animal's left side at 90 degrees and its face at 0, six units away, a little from above."""
    yaw, pitch = np.deg2rad(degrees), np.deg2rad(12)
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1, -1, -1]) @ about_x @ about_y
    pose[:3, 3] = [*shift, 6]
    return Camera(width, height, focal, pose.astype(np.float32))


def light(mesh: Mesh) -> FloatArray:
    """(v,) shading by a lamp from above."""
    normals = vertex_normals(mesh.vertices, mesh.faces)
    return (0.65 + 0.35 * np.maximum(normals @ np.array([0.3, 0.9, 0.3]), 0)).astype(np.float32)


def photograph(mesh: Mesh, camera: Camera, shading: FloatArray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """rgb (h, w, 3) uint8 before `BACKGROUND`, and the mask (h, w), both antialiased."""
    vertices, faces = torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.faces)
    clip = transform_points(vertices, camera_projection(camera, 0.5, 20.0))[None]
    rast = rasterize(clip, faces, (camera.height, camera.width))
    places = interpolate(vertices[None], rast, faces)[0].numpy()
    cover = (rast[..., 3:] > 0).float()
    color = coat(places.reshape(-1, 3)).reshape(places.shape)
    if shading is not None:
        color = color * interpolate(torch.from_numpy(shading[None, :, None]), rast, faces)[0].numpy()
    color = np.where(cover[0].numpy() > 0, color, np.array(BACKGROUND) / 255).astype(np.float32)
    blended = antialias(torch.from_numpy(color)[None], rast, clip, faces)[0].numpy()
    mask = antialias(cover, rast, clip, faces)[0, ..., 0].numpy()
    return np.round(blended.clip(0, 1) * 255).astype(np.uint8), mask.clip(0, 1)
