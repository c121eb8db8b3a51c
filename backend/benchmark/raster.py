"""The CPU rasteriser against Open3D's ray caster: the same picture of the same mesh, timed in turn in one run.

Both get the vertices as a numpy array and leave triangle ids, barycentrics and depth as arrays; both use two threads.
Ours: projection and rasterisation. Open3D's: copying the mesh in, building its tree (a posed mesh is new every time) and
casting one ray a pixel; its rays are made once, outside of the clock.
"""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np
import torch

from backend.render import cpu
from backend.render.camera import projection, transform_points
from backend.render.threads import torch_threads
from backend.types import FloatArray, IntArray

SIZE = 256
FOCAL = 350.0
DISTANCE = 3.2
THREADS = 2


def bumpy_ball(around: int = 100, rings: int = 50) -> tuple[FloatArray, IntArray]:
    """A closed ball with limbs of bumps, 2 * around * rings triangles: vertices (v, 3), faces (f, 3)."""
    theta = np.pi * np.arange(1, rings + 1) / (rings + 1)
    phi = 2 * np.pi * np.arange(around) / around
    t, p = np.meshgrid(theta, phi, indexing="ij")  # (rings, around)
    radius = 1.0 + 0.12 * np.sin(5 * p) * np.sin(t) ** 2 + 0.1 * np.cos(4 * t)
    ball = np.stack([radius * np.sin(t) * np.cos(p), radius * np.cos(t), radius * np.sin(t) * np.sin(p)], -1)
    vertices = np.concatenate([ball.reshape(-1, 3), [[0, 1.1, 0], [0, -1.1, 0]]])
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    a, b = i * around + j, i * around + (j + 1) % around
    quads = np.concatenate([np.stack([a, b, a + around], -1), np.stack([b, b + around, a + around], -1)]).reshape(-1, 3)
    k = np.arange(around)
    last = (rings - 1) * around
    north = np.stack([(k + 1) % around, k, np.full(around, rings * around)], -1)
    south = np.stack([last + k, last + (k + 1) % around, np.full(around, rings * around + 1)], -1)
    return vertices.astype(np.float32), np.concatenate([quads, north, south]).astype(np.int32)


def raster_ratio(repeats: int = 31) -> dict[str, Any]:
    """Time ours over Open3D's, median of pairs.

    Returns ratio, ours_ms, open3d_ms (medians), same_ids (share of all pixels), coverage (share that the mesh covers),
    triangles, depth_error (largest, relative, where ids agree), threads and pairs.
    """
    open3d: Any = importlib.import_module("open3d")  # a development dependency: the product does without

    vertices, faces = bumpy_ball()
    vertices = vertices + np.array([0, 0, DISTANCE], np.float32)  # camera frame
    triangles = torch.from_numpy(faces)
    clip_matrix = projection(FOCAL, SIZE, SIZE, 0.1, 20.0)
    intrinsics = np.array([[FOCAL, 0, SIZE / 2], [0, FOCAL, SIZE / 2], [0, 0, 1]])
    # create_rays_pinhole shoots through (i + 0.5), as our pixel centres lie
    rays = open3d.t.geometry.RaycastingScene.create_rays_pinhole(open3d.core.Tensor(intrinsics), open3d.core.Tensor(np.eye(4)), SIZE, SIZE)

    def draw(points: FloatArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rast = cpu.rasterize(transform_points(torch.from_numpy(points), clip_matrix)[None], triangles, (SIZE, SIZE))[0].numpy()
        return rast[..., 3].astype(np.int32) - 1, rast[..., :2], rast[..., 2]

    def cast(points: FloatArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scene = open3d.t.geometry.RaycastingScene(nthreads=THREADS)
        scene.add_triangles(open3d.core.Tensor(points), open3d.core.Tensor(faces.astype(np.uint32)))
        hit = scene.cast_rays(rays, nthreads=THREADS)
        return hit["primitive_ids"].numpy(), hit["primitive_uvs"].numpy(), hit["t_hit"].numpy()

    with torch_threads(THREADS):
        ids, _, ndc = draw(vertices)
        hits, _, depth = cast(vertices)
        cast(vertices)
        ours, theirs = [], []
        for _ in range(repeats):
            start = time.perf_counter()
            draw(vertices)
            middle = time.perf_counter()
            cast(vertices)
            ours.append(middle - start)
            theirs.append(time.perf_counter() - middle)
    hits = np.where(hits == open3d.t.geometry.RaycastingScene.INVALID_ID, -1, hits.astype(np.int64))
    agree = (ids == hits) & (ids >= 0)
    a, b = float(clip_matrix[2, 2]), float(clip_matrix[2, 3])
    error = np.abs(b / (ndc[agree].astype(np.float64) - a) / depth[agree] - 1.0)
    return {
        "ratio": float(np.median(np.array(ours) / np.array(theirs))),
        "ours_ms": float(np.median(ours) * 1e3),
        "open3d_ms": float(np.median(theirs) * 1e3),
        "same_ids": float((ids == hits).mean()),
        "coverage": float((ids >= 0).mean()),
        "triangles": len(faces),
        "depth_error": float(error.max()),
        "threads": THREADS,
        "pairs": repeats,
    }
