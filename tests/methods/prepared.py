"""A tiny prepared folder as `backend.data.prepare` writes it: made-up shapes and pictures, for tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.rig.template import load_quadruped


def write_prepared(folder: Path, images: int = 24, shapes: int = 4, seed: int = 0) -> None:
    """Ellipsoids with points on them, random cameras, noise for pictures; a quarter of the pictures is validation."""
    rng = np.random.default_rng(seed)
    template = load_quadruped()
    centre, paired = len(template.centre_points), len(template.paired_points)
    middle = rng.uniform(-1, 1, (centre, 3)) * [0, 0.6, 1.6]
    half = np.concatenate([middle, rng.uniform(-1, 1, (paired, 3)) * [0.3, 0.6, 1.6] + [0.3, 0, 0]])
    rest = np.concatenate([half, half[centre:] * [-1, 1, 1]])
    rest = rest[None] * rng.uniform(0.9, 1.1, (shapes, 1, 1))
    x, y, z = np.meshgrid(np.arange(31) * 0.04, np.arange(121) * 0.04 - 2.4, np.arange(121) * 0.04 - 2.4, indexing="ij")
    sizes = rng.uniform(0.6, 0.9, shapes)
    sdf = np.stack([s - np.sqrt(x**2 + y**2 + (z / 2) ** 2) for s in sizes]).astype(np.float16)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "canonical_sdf.npy", sdf)
    names = [f"s{i}" for i in range(shapes)]
    girths = rng.uniform(-0.3, 0.3, (shapes, len(template.bones), 2)).astype(np.float32)
    np.savez(folder / "canonical.npz", names=names, points=rest.mean(0).astype(np.float32), girths=girths)
    split = np.array(["train"] * (shapes - 1) + ["val"])
    np.savez(folder / "shapes.npz", names=names, species=names,
             points=rest.astype(np.float32), split=split)  # fmt: skip
    shape = rng.integers(0, shapes - 1, images)
    pose = np.tile(np.eye(4, dtype=np.float32), (images, 1, 1))
    for i, a in enumerate(rng.uniform(0, 2 * np.pi, images)):
        turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        pose[i, :3, :3] = np.diag([1, -1, -1]) @ turn
        pose[i, 2, 3] = 10
    placed = rest[shape] @ pose[:, :3, :3].transpose(0, 2, 1) + pose[:, None, :3, 3]
    half = np.tan(np.radians(12.5))
    seen = (placed[..., :2] / placed[..., 2:] / half).astype(np.float32)
    rotations = np.zeros((images, len(template.bones), 4), np.float32)
    rotations[..., 0] = 1
    picture_split = np.array(["val" if i % 4 == 0 else "train" for i in range(images)])
    np.savez(
        folder / "truth.npz", shape=shape, object_to_camera=pose, fov=np.full(images, np.radians(25.0)), seen=seen,
        points=rest[shape].astype(np.float32), visibility=np.ones((images, rest.shape[1]), bool), rotations=rotations, split=picture_split,
    )  # fmt: skip
    np.save(folder / "images_rgb.npy", rng.integers(0, 255, (images, 256, 256, 3), dtype=np.uint8))
    np.save(folder / "images_mask.npy", np.full((images, 256, 256), 255, np.uint8))
