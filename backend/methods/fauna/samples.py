"""Training samples: features stored once, truth, and points of the signed-distance grids.

Enters a folder written by `backend.data.prepare`; leaves batches of tensors in the model's conventions (OpenGL
camera, half-form rest shapes). The encoder is frozen, so its taps are computed once a picture and kept as fp16.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.model import Taps
from backend.observe.efficientnet import load_encoder
from backend.rig.rotations import quaternion_to_matrix
from backend.rig.template import load_quadruped

GRID_STEP = 0.04
GRID_ORIGIN = np.array([0.0, -2.4, -2.4], np.float32)
TAP_SHAPES = {"stride8": (40, 32, 32), "stride16": (112, 16, 16), "stride32": (320, 8, 8), "pooled": (1280,)}


def store_features(folder: Path, batch: int = 32) -> None:
    """Write features_<tap>.npy (N, ...) fp16 beside images_rgb.npy; goes on where an earlier run stopped."""
    images = np.load(folder / "images_rgb.npy", mmap_mode="r")
    count = len(images)
    mark = folder / "features_done.txt"
    done = int(mark.read_text()) if mark.exists() else 0
    if done >= count:
        return
    mode = "r+" if done else "w+"
    stores = {}
    for name, shape in TAP_SHAPES.items():
        path = folder / f"features_{name}.npy"
        stores[name] = np.lib.format.open_memmap(path, mode=mode, dtype=np.float16, shape=(count, *shape))
    encoder = load_encoder()
    with torch.inference_mode():
        for start in range(done, count, batch):
            stop = min(count, start + batch)
            pictures = torch.from_numpy(np.array(images[start:stop])).permute(0, 3, 1, 2).float() / 255  # (B, 3, 256, 256)
            with torch.autocast("cpu", torch.bfloat16):
                taps = encoder(pictures)
            for name, store in stores.items():
                store[start:stop] = getattr(taps, name).float().clamp(-6e4, 6e4).half().numpy()
            if (start // batch) % 50 == 49:
                for store in stores.values():
                    store.flush()
                mark.write_text(str(stop))
    for store in stores.values():
        store.flush()
    mark.write_text(str(count))


def restyle(taps: Taps, chance: float = 0.5, strength: float = 0.5) -> Taps:
    """Shift each channel's mean and spread at random, as far as the batch's own differ (Li et al., ICLR 2022: DSU).

    Photographs have other statistics than renders (fur, light, lens); heads that see them vary rely on them less.
    Each map of each picture is changed with `chance`, by `strength` standard deviations of the batch's statistics.
    """

    def change(x: Tensor) -> Tensor:  # (B, C, g, g)
        mean, spread = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True) + 1e-6
        draw = [strength * torch.randn_like(s) * s.std(0, keepdim=True) for s in (mean, spread)]
        other = (x - mean) / spread * (spread + draw[1]).clamp_min(0.2 * spread) + mean + draw[0]
        return torch.where(torch.rand(len(x), 1, 1, 1) < chance, other, x)

    pooled = taps.pooled + 0.3 * strength * torch.randn_like(taps.pooled) * taps.pooled.std(0, keepdim=True)
    return Taps(change(taps.stride8), change(taps.stride16), change(taps.stride32), pooled)


@dataclass(frozen=True)
class Batch:
    """Truth of B pictures.

    rotation, translation: OpenGL camera; points: posed, object frame; rest (B, P, 3), girth (B, n, 2): of the shape; rotations (B, b, 3, 3)
    of all bones.
    """

    taps: Taps
    shape: Tensor
    rotation: Tensor
    translation: Tensor
    points: Tensor
    rest: Tensor
    girth: Tensor
    visible: Tensor
    rotations: Tensor


class Samples:
    """Random access to the stored features and truth of one folder."""

    def __init__(self, folder: Path) -> None:
        truth = np.load(folder / "truth.npz")
        self.truth: dict[str, NDArray] = {name: truth[name] for name in truth.files}
        shapes = np.load(folder / "shapes.npz")
        self.names = [str(n) for n in shapes["names"]]
        canonical = np.load(folder / "canonical.npz")
        if [str(n) for n in canonical["names"]] != self.names:
            raise ValueError(f"{folder}: the canonical shapes are not those of the pictures")
        self.canonical = torch.from_numpy(canonical["points"])  # (42, 3)
        self.rest = torch.from_numpy(shapes["points"].astype(np.float32))  # (S, 42, 3)
        deform = [i for i, bone in enumerate(load_quadruped().bones) if bone.deform]
        self.girths = torch.from_numpy(canonical["girths"][:, deform])  # (S, n, 2)
        self.shape_split = np.array([str(s) for s in shapes["split"]])
        self.taps = {name: np.load(folder / f"features_{name}.npy", mmap_mode="r") for name in TAP_SHAPES}
        split = np.array([str(s) for s in self.truth["split"]])
        self.train = np.flatnonzero(split == "train")
        self.validation = np.flatnonzero(split == "val")
        flip = np.diag(np.array([1, -1, -1], np.float32))
        self.camera = self.truth["object_to_camera"].astype(np.float32).copy()  # (N, 4, 4) OpenCV
        self.camera[:, :3] = flip @ self.camera[:, :3]  # OpenGL

    def batch(self, index: NDArray[np.int64]) -> Batch:
        index = np.sort(index)
        taps = Taps(**{name: torch.from_numpy(np.asarray(store[index])).float() for name, store in self.taps.items()})
        shape = torch.from_numpy(self.truth["shape"][index].astype(np.int64))
        camera = torch.from_numpy(self.camera[index])
        return Batch(
            taps,
            shape,
            camera[:, :3, :3],
            camera[:, :3, 3],
            torch.from_numpy(self.truth["points"][index].astype(np.float32)),
            self.rest[shape],
            self.girths[shape],
            torch.from_numpy(self.truth["visibility"][index].astype(np.float32)),
            quaternion_to_matrix(torch.from_numpy(self.truth["rotations"][index].astype(np.float32))),
        )


class DistanceGrids:
    """The shapes on the mean skeleton: signed distances on half grids (S, 31, 121, 121), positive inside, sampled trilinearly.

    fingerprint: of the shapes' names, points and girths; a checkpoint knows by it what it was learnt from.
    """

    def __init__(self, folder: Path) -> None:
        self.grids = np.load(folder / "canonical_sdf.npy", mmap_mode="r")
        self.near: dict[int, NDArray[np.int64]] = {}
        template, canonical = load_quadruped(), np.load(folder / "canonical.npz")
        points = canonical["points"]
        if len(self.grids) != len(canonical["names"]):
            raise ValueError(f"{folder}: {len(self.grids)} canonical grids of {len(canonical['names'])} shapes")
        self.fingerprint = hashlib.sha256(b"".join(np.ascontiguousarray(canonical[key]).tobytes() for key in canonical.files)).hexdigest()
        bones = [b for b, bone in enumerate(template.bones) if bone.deform]
        self.heads, self.tails = points[template.head_points[bones]], points[template.tail_points[bones]]

    def value(self, shape: int, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """points (n, 3) -> (n,); outside the grid the distance to the grid is taken off the value at its border."""
        grid = self.grids[shape]
        size = np.array(grid.shape)
        p = np.concatenate([np.abs(points[:, :1]), points[:, 1:]], 1)
        cell = (p - GRID_ORIGIN) / GRID_STEP
        clamped = np.clip(cell, 0, size - 1.001)
        low = clamped.astype(np.int64)
        f = (clamped - low).astype(np.float32)
        out = np.zeros(len(p), np.float32)
        for corner in range(8):
            offset = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
            weight = np.prod(np.where(offset, f, 1 - f), 1)
            at = low + offset
            out += weight * grid[at[:, 0], at[:, 1], at[:, 2]].astype(np.float32)
        return out - np.linalg.norm(cell - clamped, axis=1) * GRID_STEP

    def sample(self, shape: int, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Half near the surface, a quarter about the bones, the rest in the grid's and the world box -> points (n, 3), values (n,).

        Legs are thin: without points about their bones a field can lose them at little cost.
        """
        if shape not in self.near:
            self.near[shape] = np.flatnonzero(np.abs(np.asarray(self.grids[shape], np.float32)) < 0.1).astype(np.int64)
        near = rng.choice(self.near[shape], count // 2)
        index = np.stack(np.unravel_index(near, self.grids[shape].shape), 1)
        close = GRID_ORIGIN + GRID_STEP * (index + rng.uniform(-0.5, 0.5, (len(near), 3)))
        bone, along = rng.integers(0, len(self.heads), count // 4), rng.uniform(0, 1, (count // 4, 1))
        inside = self.heads[bone] * (1 - along) + self.tails[bone] * along + rng.normal(0, 0.05, (count // 4, 3))
        middle = rng.uniform([0, -2.4, -2.4], [1.2, 2.4, 2.4], (count // 6, 3))
        far = rng.uniform([0, -3.5, -3.5], [3.5, 3.5, 3.5], (count - len(close) - len(inside) - len(middle), 3))
        points = np.concatenate([close, inside, middle, far]).astype(np.float32)
        points[:, 0] = np.abs(points[:, 0])
        return points, self.value(shape, points)
