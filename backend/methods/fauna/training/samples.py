"""Training samples: features stored once, truth, and points of the signed-distance grids.

Enters a folder written by `backend.data.prepare`; leaves batches of tensors in the model's conventions (OpenGL
camera, half-form rest shapes). The encoder is frozen, so its taps are computed once a picture and kept as fp16.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.data.distances import ORIGIN, STEP, trilinear
from backend.data.images import FIELD_OF_VIEW
from backend.data.prepare import prepare
from backend.methods.fauna.encoder import Taps
from backend.methods.fauna.training.chances import chances
from backend.rig.rotations import quaternion_to_matrix
from backend.rig.template import load_quadruped
from backend.training import features
from backend.training.features import CPU, path_of

MOST_HELD = 9 * 2**30
"""Bytes of features that are kept in memory."""
USED = tuple(field.name for field in fields(Taps))
"""Of what is stored; the paper's preset uses all."""


def fill_folder(
    folder: Path, source: Path, images: int, variants: int, seed: int, workers: int = 2, held_out: tuple[str, ...] | None = None
) -> None:
    """Prepare pictures from 0 A.D.'s archive (`backend.data.prepare`), unless the folder holds some."""
    if not (folder / "truth.npz").exists():
        prepare(source, folder, images, variants, seed, held_out, workers=workers)


def store_features(folder: Path, device: torch.device = CPU) -> None:
    """Of the pictures that `backend.data.prepare` wrote; goes on where an earlier run stopped."""
    pictures = np.load(folder / "images_rgb.npy", mmap_mode="r")
    features.store_features(folder, pictures, hashlib.sha256((folder / "truth.npz").read_bytes()).hexdigest(), device)


def restyle(taps: Taps, chance: float = 0.5, strength: float = 0.5) -> Taps:
    """Shift each channel's mean and spread at random, as far as the batch's own differ (Li et al., ICLR 2022: DSU).

    Photographs have other statistics than renders (fur, light, lens); heads that see them vary rely on them less.
    Each map of each picture is changed with `chance`, by `strength` standard deviations of the batch's statistics.
    """

    return Taps(*(restyle_map(tap, chance, strength) for tap in (taps.stride8, taps.stride16, taps.stride32)))


def restyle_map(x: Tensor, chance: float = 0.5, strength: float = 0.5) -> Tensor:
    """`restyle` of one of the maps, (B, C, g, g)."""
    mean, spread = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True) + 1e-6
    draw = [strength * torch.randn_like(s) * s.std(0, keepdim=True) for s in (mean, spread)]
    other = (x - mean) / spread * (spread + draw[1]).clamp_min(0.2 * spread) + mean + draw[0]
    return torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < chance, other, x)


@dataclass(frozen=True)
class Batch:
    """Truth of B pictures.

    rotation, translation: OpenGL camera, as seen 25 degrees wide; points: posed, object frame; seen (B, P, 2): in the picture;
    rest (B, P, 3), girth (B, n, 2): of the shape; rotations (B, b, 3, 3) of all bones.
    """

    taps: Taps
    shape: Tensor
    rotation: Tensor
    translation: Tensor
    points: Tensor
    seen: Tensor
    rest: Tensor
    girth: Tensor
    visible: Tensor
    rotations: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        if device.type == "cpu":
            return self
        taps = Taps(*(value.to(device) for value in vars(self.taps).values()))
        return Batch(taps, *(value.to(device) for name, value in vars(self).items() if name != "taps"))


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
        paths = {name: path_of(folder, name) for name in USED}
        # Read at random, a mapped file comes from the disk again and again where the system takes idle pages back.
        fits = sum(path.stat().st_size for path in paths.values()) < MOST_HELD
        self.taps = {name: np.load(path, mmap_mode=None if fits else "r") for name, path in paths.items()}
        split = np.array([str(s) for s in self.truth["split"]])
        self.train = np.flatnonzero(split == "train")
        self.validation = np.flatnonzero(split == "val")
        flip = np.diag(np.array([1, -1, -1], np.float32))
        self.camera = self.truth["object_to_camera"].astype(np.float32).copy()  # (N, 4, 4) OpenCV
        # The model takes every crop to be 25 degrees wide: from as much nearer or farther, the animal is as large there.
        self.camera[:, 2, 3] *= np.tan(self.truth["fov"] / 2) / np.tan(FIELD_OF_VIEW / 2)
        self.camera[:, :3] = flip @ self.camera[:, :3]  # OpenGL
        rest = self.rest.numpy()[self.truth["shape"][self.train]]
        self.chances = chances(self.camera[self.train, :3, 2], self.truth["points"][self.train], rest)

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of pictures to learn from."""
        return rng.choice(self.train, count, p=self.chances)

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """Stored features and truth of some pictures, in ascending order."""
        index = np.sort(index)
        stored = {name: torch.from_numpy(np.asarray(store[index])).float() for name, store in self.taps.items()}
        shape = torch.from_numpy(self.truth["shape"][index].astype(np.int64))
        camera = torch.from_numpy(self.camera[index])
        return Batch(
            Taps(**stored),
            shape,
            camera[:, :3, :3],
            camera[:, :3, 3],
            torch.from_numpy(self.truth["points"][index].astype(np.float32)),
            torch.from_numpy(self.truth["seen"][index].astype(np.float32)),
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
        """points (n, 3) -> (n,)."""
        return trilinear(self.grids[shape], points)

    def sample(self, shape: int, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Half near the surface, a quarter about the bones, the rest in the grid's and the world box -> points (n, 3), values (n,).

        Legs are thin: without points about their bones a field can lose them at little cost.
        """
        if shape not in self.near:
            self.near[shape] = np.flatnonzero(np.abs(np.asarray(self.grids[shape], np.float32)) < 0.1).astype(np.int64)
        near = rng.choice(self.near[shape], count // 2)
        index = np.stack(np.unravel_index(near, self.grids[shape].shape), 1)
        close = ORIGIN + STEP * (index + rng.uniform(-0.5, 0.5, (len(near), 3)))
        bone, along = rng.integers(0, len(self.heads), count // 4), rng.uniform(0, 1, (count // 4, 1))
        inside = self.heads[bone] * (1 - along) + self.tails[bone] * along + rng.normal(0, 0.05, (count // 4, 3))
        middle = rng.uniform([0, -2.4, -2.4], [1.2, 2.4, 2.4], (count // 6, 3))
        far = rng.uniform([0, -3.5, -3.5], [3.5, 3.5, 3.5], (count - len(close) - len(inside) - len(middle), 3))
        points = np.concatenate([close, inside, middle, far]).astype(np.float32)
        points[:, 0] = np.abs(points[:, 0])
        return points, self.value(shape, points)
