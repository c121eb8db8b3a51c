"""The creature's colours as the crop shows them: albedo over its rest shape under one lamp, both fitted.

3D-Fauna's netTexture (albedo at a rest point, the same on both sides) and netLight explain the pixels as
I = albedo (ambient + diffuse max(0, n.l)). `fit` moves the creature under its coat until they do; `surface` bakes what was found.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backend.methods.descent import Adam
from backend.methods.fauna.model import Fauna
from backend.render.cpu import interpolate
from backend.types import FloatArray

SAMPLES = 400
"""Pixels that one step compares; with more, as many steps come no nearer."""
SAFE = 0.95
"""Cover of a pixel that shows nothing but the animal."""
FEWEST = 50
"""Pixels below which nothing is fitted."""
RATES = {"field": 1e-3, "lamp": 2e-2}


@dataclass(frozen=True)
class Seen:
    """What the picture shows of the surface, a row a pixel: rest points, unit normals in the OpenGL camera frame, colours (n, 3)."""

    points: Tensor
    normals: Tensor
    colours: Tensor


class Coat:
    """Albedo and lamp, starting at the network's answer, and the picture that they are fitted to."""

    def __init__(self, model: Fauna, feature: Tensor, photo: Tensor, cover: Tensor, size: int) -> None:
        """feature: (1, F) `Perception.feat_out`; photo: (S, S, 3) crop in [0, 1]; cover: (S, S) mask; size: pixels a
        side of the pictures compared."""
        self.photo = functional.adaptive_avg_pool2d(photo.permute(2, 0, 1), size).permute(1, 2, 0)
        self.inside = functional.adaptive_avg_pool2d(cover[None], size)[0] > SAFE
        self.field = copy.deepcopy(model.netInstance.netTexture).requires_grad_(True)
        self.feature = feature.detach()
        direction, ambient, diffuse = (v[0].clone() for v in model.netInstance.netLight(self.feature))
        self.lamp = torch.cat([direction, torch.stack([ambient, diffuse])]).detach().requires_grad_(True)  # (5,)
        fields = {"params": self.field.parameters(), "lr": RATES["field"]}
        self.optimizer = Adam([fields, {"params": [self.lamp], "lr": RATES["lamp"]}])
        self.generator = torch.Generator().manual_seed(0)

    def look(self, rest: Tensor, camera: Tensor, faces: Tensor, rast: Tensor) -> Seen:
        """Rest vertices (V, 3), the same posed in the camera's frame (OpenCV), faces (F, 3), their picture (1, s, s, 4).

        Differentiable through the picture alone: what a pixel shows changes as the creature moves under it.
        """
        values = interpolate(torch.cat([rest, self.normals_of(camera, faces)], -1).detach()[None].contiguous(), rast, faces)[0]  # (s, s, 6)
        visible = (rast[0, ..., 3] > 0) & self.inside
        points, normals = values[visible].split(3, -1)
        return Seen(points, functional.normalize(normals, dim=-1), self.photo[visible])

    @staticmethod
    def normals_of(camera: Tensor, faces: Tensor) -> Tensor:
        """Of vertices (V, 3) in the camera's frame (OpenCV): unit (V, 3), OpenGL, as light is given."""
        return vertex_normals(camera, faces) * camera.new_tensor([1.0, -1.0, -1.0])

    def shading(self, normals: Tensor) -> Tensor:
        """Light (n,) on normals (n, 3)."""
        towards = functional.normalize(self.lamp[:3], dim=0)
        return self.lamp[3].clamp(0.2, 1.0) + self.lamp[4].clamp(0.0, 0.8) * (normals @ towards).clamp_min(0)

    def residual(self, seen: Seen) -> Tensor:
        """Mean absolute difference of some pixels' colours from the coat's; 0 where there are too few pixels."""
        if len(seen.points) < FEWEST:
            return torch.zeros(())
        pick = torch.randint(len(seen.points), (SAMPLES,), generator=self.generator)
        albedo = self.field(seen.points[pick][None], self.feature)[0, :, :3]
        return (albedo * self.shading(seen.normals[pick])[:, None] - seen.colours[pick]).abs().mean()

    def fit(self, seen: Seen) -> None:
        """One step of albedo and lamp alone."""
        self.optimizer.zero_grad()
        error = self.residual(seen)
        if error.requires_grad:
            error.backward()
            self.optimizer.step()

    @torch.no_grad()
    def mean_shading(self, seen: Seen) -> Tensor:
        """() over the pixels seen; 1 where they are too few."""
        return self.shading(seen.normals).mean() if len(seen.points) >= FEWEST else torch.ones(())

    @torch.no_grad()
    def albedo(self, points: FloatArray, light: Tensor) -> FloatArray:
        """Rest points (n, 3) -> sRGB values (n, 3) in [0, 1] under so much light (). A point and its mirror image are asked for once."""
        folded = np.abs(points) * (1, 0, 0) + points * (0, 1, 1)
        order = np.lexsort(folded.T)
        new = np.append(True, (np.diff(folded[order], axis=0) != 0).any(1))
        twin = np.empty(len(points), np.int64)
        twin[order] = np.cumsum(new) - 1
        own = torch.from_numpy(folded[order][new].astype(np.float32))
        parts = [self.field(part[None], self.feature)[0, :, :3] for part in own.split(65536)]
        return np.asarray((torch.cat(parts) * light).clamp(0, 1))[twin]


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """(V, 3), (F, 3) -> area-weighted unit normals (V, 3)."""
    a, b, c = (vertices[faces[:, i].long()] for i in range(3))
    face = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for i in range(3):
        total = total.index_add(0, faces[:, i].long(), face)
    return functional.normalize(total, dim=-1)
