"""What the `paper` preset sees: masks, the frozen encoder's stored features, and their 16 principal components.

Enters a folder written by `backend.data.prepare` with stored features; leaves batches of one species or of several. Of the truth that lies
in the folder only species, clip and the camera's elevation are read here, and only to choose pictures by. Image positions in [-1, 1], y
down.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from backend.errors import MenagerieError

SPECIES: dict[str, tuple[str, ...]] = {
    "horse": ("horse",),
    "cattle": ("cattle", "sanga"),
    "elephant": ("bush elephant", "forest elephant", "Asian elephant"),
    "lion": ("lion",),
    "deer": ("deer",),
    "bear": ("bear", "polar bear"),
    "giraffe": ("giraffe",),
    "pig": ("pig", "boar"),
    "sheep": ("sheep",),
    "rabbit": ("rabbit",),
    "wolfhound": ("wolfhound",),
}
"""A species of the recipe -> those of the data set that it covers."""

COMPONENTS = 16
FEATURE_SIDE = 32
"""Side of the stored maps of components."""
HELD_OUT = 6
"""Of so many individuals (shapes) of a training species, one is kept for scoring."""
ABOVE = (0.0, 25.0)
"""Degrees that the camera stands above the animal in the pictures that are taken, as a photographer's mostly does."""
LYING = ("death", "sit", "lay", "lying")
"""Clips whose pictures are left out, as they are of the published set of photographs; and so are animals drawn toward another species."""
SPREAD = 8.0
"""Standard deviations of the first component that make up the range 0-1 of the targets."""


@dataclass(frozen=True)
class Batch:
    """B pictures.

    near (B, 112, 16, 16), far (B, 320, 8, 8), pooled (B, 1280): the encoder's taps at strides 16 and 32 and their end; mask (B, s, s) in
    [0, 1]; outside (B, s, s): distance to the mask, in sides of the picture; target (B, 16, s, s) in [0, 1]; box (B, 4): the
    mask's left, top, right, bottom in [-1, 1]; species (B,): numbers of the recipe's species, -1 for any other.
    """

    near: Tensor
    far: Tensor
    pooled: Tensor
    mask: Tensor
    outside: Tensor
    target: Tensor
    box: Tensor
    species: Tensor


def feature_maps(near: Tensor, far: Tensor, statistics: dict[str, Tensor], mask: Tensor) -> Tensor:
    """Taps -> (B, 432, 32, 32), each channel scaled to unit spread, each tap to unit weight, less the animal's own mean.

    mask: (B, 1, 32, 32). A picture's mean is mostly its coat; what is left tells the parts of the body apart.
    """
    size, maps = (FEATURE_SIDE, FEATURE_SIDE), []
    for name, tap in (("near", near), ("far", far)):
        scaled = (tap - statistics[f"{name}_mean"][:, None, None]) / statistics[f"{name}_spread"][:, None, None]
        scaled = scaled.clamp(-5, 5) / tap.shape[1] ** 0.5
        maps.append(functional.interpolate(scaled, size=size, mode="bilinear", align_corners=False))
    whole = torch.cat(maps, 1)
    inside = (mask > 0.5).float()
    mean = (whole * inside).sum((2, 3), keepdim=True) / inside.sum((2, 3), keepdim=True).clamp_min(1)
    return whole - mean


class Pictures:
    """Random access to the pictures of the recipe's species.

    train, held: species -> picture numbers; others: pictures of species that no training picture shows.
    variance: of the targets over the animals' pixels, summed over the components. fingerprint: of the pictures' species, individuals, split
    and ends of the encoder; a checkpoint knows by it what it was learnt from.
    """

    def __init__(self, folder: Path, species: tuple[str, ...], limit: int, side: int) -> None:
        for name in ("truth.npz", "shapes.npz", "images_mask.npy", "features_stride16.npy"):
            if not (folder / name).exists():
                raise MenagerieError("bad_request", f"{folder} holds no {name}.", "Prepare the pictures and store their features first.")
        unknown = [name for name in species if name not in SPECIES]
        if unknown:
            raise MenagerieError("bad_request", f"No species {unknown[0]!r}.", f"Choose from: {', '.join(SPECIES)}.")
        self.side = side
        self.masks = np.load(folder / "images_mask.npy", mmap_mode="r")
        names = {"near": "stride16", "far": "stride32", "pooled": "pooled"}
        self.taps = {name: np.load(folder / f"features_{stored}.npy", mmap_mode="r") for name, stored in names.items()}
        with np.load(folder / "truth.npz") as truth, np.load(folder / "shapes.npz") as shapes:
            individual = truth["shape"]
            split, kind = truth["split"].astype(str), shapes["species"].astype(str)[individual]
            upright = np.array([not any(word in clip for word in LYING) for clip in truth["pose"].astype(str)])
            above = np.degrees(truth["elevation"])
            shown = upright & (shapes["share"][individual] == 0) & (above >= ABOVE[0]) & (above <= ABOVE[1])
        self.species = species
        seen = hashlib.sha256(np.ascontiguousarray(self.taps["pooled"]).data)
        seen.update(json.dumps([individual.tolist(), split.tolist(), kind.tolist()]).encode())
        self.fingerprint = seen.hexdigest()
        self.train: dict[str, NDArray[np.int64]] = {}
        self.held: dict[str, NDArray[np.int64]] = {}
        self.kind = np.full(len(kind), -1)
        for number, name in enumerate(species):
            self.kind[np.isin(kind, SPECIES[name])] = number
            own = np.flatnonzero((self.kind == number) & (split == "train") & shown)
            away = np.isin(individual[own], np.unique(individual[own])[HELD_OUT // 2 :: HELD_OUT])
            if not away.any():
                raise MenagerieError("bad_request", f"Too few pictures of {name} in {folder}.", "Prepare more pictures.")
            self.train[name], self.held[name] = own[~away][:limit], own[away]
        self.others = np.flatnonzero((split == "val") & shown)
        self._seen: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self._learn_components()

    def taps_of(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """near, far, pooled of `Batch`."""
        near, far, pooled = (torch.from_numpy(np.stack([self.taps[n][i] for i in index])).float() for n in ("near", "far", "pooled"))
        return near, far, pooled

    def mask_of(self, index: NDArray[np.int64], side: int) -> Tensor:
        """(B, 1, side, side) in [0, 1]."""
        whole = torch.from_numpy(np.stack([self.masks[i] for i in index])).float()[:, None] / 255
        return functional.adaptive_avg_pool2d(whole, side)

    def _learn_components(self) -> None:
        """Statistics of the taps and the principal components of the maps, over the animals' pixels of some training pictures."""
        index = np.concatenate([own[:: max(1, len(own) // 80)] for own in self.train.values()])
        near, far, pooled = self.taps_of(index)
        mask = self.mask_of(index, FEATURE_SIDE)
        self.statistics: dict[str, Tensor] = {"pooled_mean": pooled.mean(0)}
        for name, tap in (("near", near), ("far", far)):
            inside = functional.adaptive_avg_pool2d(mask, tap.shape[-1])[:, 0] > 0.5
            values = tap.permute(0, 2, 3, 1)[inside]
            self.statistics[f"{name}_mean"], self.statistics[f"{name}_spread"] = values.mean(0), values.std(0).clamp_min(1e-3)
        maps = feature_maps(near, far, self.statistics, mask)
        values = maps.permute(0, 2, 3, 1)[mask[:, 0] > 0.5].double()
        centre = values.mean(0)
        spread, axes = torch.linalg.eigh((values - centre).T @ (values - centre) / len(values))
        axes = axes.flip(1)[:, :COMPONENTS]
        # An axis' sign is arbitrary: fix it, so that every machine learns the same targets.
        axes = axes * torch.sign(axes.gather(0, axes.abs().argmax(0, keepdim=True)))
        scale = SPREAD * spread[-1].sqrt()
        self.axes, self.centre = (axes / scale).float(), (centre @ axes / scale).float()
        targets = ((values - centre) @ axes / scale).clamp(-0.5, 0.5)
        self.variance = float(targets.var(0).sum())
        self.query_mean = self.statistics["pooled_mean"]

    def _see(self, picture: int) -> tuple[Tensor, Tensor, Tensor]:
        """Mask (s, s), distance outside it (s, s) and components (16, 32, 32) of one picture, kept once made."""
        if picture not in self._seen:
            index = np.array([picture])
            near, far, _ = self.taps_of(index)
            maps = feature_maps(near, far, self.statistics, self.mask_of(index, FEATURE_SIDE))
            target = torch.einsum("bchw,ck->bkhw", maps, self.axes)[0] - self.centre[:, None, None]
            mask = self.mask_of(index, self.side)[0, 0]
            outside = torch.from_numpy(distance_to(mask.numpy()))
            self._seen[picture] = mask.half(), outside.half(), (target.clamp(-0.5, 0.5) + 0.5).half()
        return self._seen[picture]

    def load(self, index: NDArray[np.int64], flip: NDArray[np.bool_] | None = None) -> Batch:
        """The pictures of some numbers, those of `flip` mirrored left to right."""
        near, far, pooled = self.taps_of(index)
        near = (near - self.statistics["near_mean"][:, None, None]) / self.statistics["near_spread"][:, None, None]
        far = (far - self.statistics["far_mean"][:, None, None]) / self.statistics["far_spread"][:, None, None]
        near, far = near.clamp(-5, 5), far.clamp(-5, 5)
        mask, outside, target = (torch.stack(part).float() for part in zip(*(self._see(int(i)) for i in index), strict=True))
        target = functional.interpolate(target, size=(self.side, self.side), mode="bilinear", align_corners=False)
        if flip is not None:
            turned = torch.from_numpy(flip)[:, None, None]
            mask, outside = (torch.where(turned, x.flip(-1), x) for x in (mask, outside))
            near, far, target = (torch.where(turned[..., None], x.flip(-1), x) for x in (near, far, target))
        return Batch(near, far, pooled, mask, outside, target, mask_boxes(mask), torch.from_numpy(self.kind[index]))


def distance_to(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """(s, s) in [0, 1] -> each pixel's distance to the mask in sides of the picture, 0 on it."""
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(mask < 0.5)
    return (distance / mask.shape[0]).astype(np.float32)


def mask_boxes(mask: Tensor) -> Tensor:
    """(B, s, s) -> left, top, right, bottom (B, 4) in [-1, 1]; the whole picture where nothing is inside."""
    side = mask.shape[-1]
    boxes = []
    for inside in mask > 0.5:
        columns, rows = torch.nonzero(inside.any(0))[:, 0], torch.nonzero(inside.any(1))[:, 0]
        if len(columns):
            boxes.append([float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)])
        else:
            boxes.append([0.0, 0.0, float(side), float(side)])
    return torch.tensor(boxes) / side * 2 - 1


def apparent_place(box: Tensor, focal: float, height: float) -> Tensor:
    """Where a thing of `height` object units stands whose mask has this box: (B, 4) -> (B, 3), OpenGL camera frame.

    The published recipe crops every picture by its box, so that all animals stand at one distance; these are not cropped again. The
    height and not the longer side decides: it hardly depends on the azimuth.
    """
    distance = focal * height / (box[:, 3] - box[:, 1]).clamp_min(0.05)
    middle = (box[:, :2] + box[:, 2:]) / 2
    return torch.stack([middle[:, 0] * distance / focal, -middle[:, 1] * distance / focal, -distance], -1)
