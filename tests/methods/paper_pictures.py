"""A tiny prepared folder for the `paper` preset: two made-up species, elliptic masks, features that name the animal's two ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SHAPES, IMAGES = 28, 84


def write_pictures(folder: Path) -> None:
    """Shapes of two species in turn, three pictures each; the last two shapes are of a species that is never shown."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    species = np.array(["horse" if i % 2 else "lion" for i in range(SHAPES - 2)] + ["wolf", "wolf"])
    ball = rng.normal(size=(SHAPES, 200, 3))
    ball *= rng.uniform(0.6, 0.9, (SHAPES, 1, 1)) / np.linalg.norm(ball, axis=-1, keepdims=True)
    surface = (ball * np.array([0.5, 1, 2])).astype(np.float32)
    np.savez(folder / "shapes.npz", species=species, surface=surface, share=np.zeros(SHAPES, np.float32))
    shape = np.arange(IMAGES) % SHAPES
    camera = np.tile(np.eye(4, dtype=np.float32), (IMAGES, 1, 1))
    row, column = np.mgrid[:256, :256]
    masks = np.zeros((IMAGES, 256, 256), np.uint8)
    near, far = rng.normal(size=(2, IMAGES, 1, 1, 1)) * 0.1
    near = near + rng.normal(size=(1, 112, 16, 16)) * 0.1
    far = far + rng.normal(size=(1, 320, 8, 8)) * 0.1
    for i, a in enumerate(rng.uniform(0, 2 * np.pi, IMAGES)):
        turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        camera[i, :3, :3], camera[i, 2, 3] = np.diag([1, -1, -1]) @ turn, 10
        wide = 40 + 60 * abs(np.sin(a))
        masks[i][((column - 128) / wide) ** 2 + ((row - 128) / 45) ** 2 < 1] = 255
        near[i, :4] += np.sin(a) * np.linspace(-1, 1, 16)
        far[i, :4] += np.sin(a) * np.linspace(-1, 1, 8)
    np.save(folder / "images_mask.npy", masks)
    np.save(folder / "features_stride16.npy", near.astype(np.float16))
    np.save(folder / "features_stride32.npy", far.astype(np.float16))
    np.save(folder / "features_pooled.npy", rng.normal(size=(IMAGES, 1280)).astype(np.float16))
    split = np.where(shape < SHAPES - 2, "train", "val")
    pose = np.where(rng.random(IMAGES) < 0.1, "horse_lay 3", "horse_walk 7")
    np.savez(folder / "truth.npz", shape=shape, object_to_camera=camera, split=split, pose=pose, elevation=np.full(IMAGES, 0.1))
