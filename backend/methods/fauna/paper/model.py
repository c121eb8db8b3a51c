"""The network of the `paper` preset: bank, base SDF, feature field; viewpoint, articulation, deformation.

The encoder is frozen and its taps are stored; `PaperFauna` begins behind it. A batch's code is the mean over its
pictures: one base shape a batch, as published. OpenGL camera frame; image positions in [-1, 1], y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.fauna.articulation import Articulation
from backend.methods.fauna.fields import deformation_field, displace
from backend.methods.fauna.heads import ConvHead
from backend.methods.fauna.model import Base
from backend.methods.fauna.paper.config import PAPER_SIZES, Open, Recipe
from backend.methods.fauna.paper.pictures import Batch, apparent_place
from backend.methods.fauna.paper.skinning import Bones, find_bones, limit, pose
from backend.methods.fauna.paper.surface import Grid, Mesh, march
from backend.methods.fauna.paper.viewpoint import ViewHead, Views

NEAR, FAR = 112, 320
"""Channels of the encoder's taps at strides 16 and 32."""
HEIGHT = 2.0
"""Of every animal as its mask's box shows it, object units."""


@dataclass(frozen=True)
class Seen:
    """What one forward pass sees: codes (B, code_dim) of each picture, feature (B, F), key_map (B, C, g, g), views."""

    codes: Tensor
    feature: Tensor
    key_map: Tensor
    views: Views


class PaperFauna(nn.Module):
    """`base`: what a category shares; the rest: what an image adds."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        config = PAPER_SIZES
        self.config = config
        self.base = Base(config)
        # The published field isn't mirrored; then each side of the body may take its own end for the head.
        self.base.netDINO.symmetric = True
        self.near_neck = nn.Conv2d(NEAR + 1, config.key_channels, 1)
        self.far_neck = nn.Conv2d(FAR, config.key_channels, 1, bias=False)
        self.feature_head = ConvHead(config.key_channels, config.head_channels, config.feature_dim, config.grid, norm=True)
        single = "hypotheses" in recipe.without
        self.view_head = ViewHead(config, recipe.elevation, single, len(recipe.species))
        self.articulation = Articulation(config)
        self.deformation = deformation_field(config)
        self.register_buffer("query_mean", torch.zeros(config.query_dim))
        self.focal = 1 / math.tan(math.radians(config.crop_fov_degrees / 2))

    def perceive(self, batch: Batch, gates: Open) -> Seen:
        """Everything that needs no shape. The feature is zero until bones or instances read it: its head is a third of the work."""
        size = (self.config.grid, self.config.grid)
        far = functional.interpolate(self.far_neck(batch.far), size=size, mode="bilinear", align_corners=False)
        cover = functional.adaptive_avg_pool2d(batch.mask[:, None], size)
        key_map = self.near_neck(torch.cat([batch.near, cover], 1)) + far
        assert isinstance(self.query_mean, Tensor)
        codes = self.base(batch.pooled - self.query_mean)
        place = apparent_place(batch.box, self.focal, HEIGHT)
        read = gates.articulation or gates.deformation
        feature = self.feature_head(key_map) if read else key_map.new_zeros(len(key_map), self.config.feature_dim)
        return Seen(codes, feature, key_map, self.view_head(key_map, place))

    def surface(self, code: Tensor, grid: Grid, shift: tuple[float, float] = (0.0, 0.0)) -> Mesh:
        """The base shape of one code (code_dim,)."""
        return march(lambda points: self.base.netShape(points[None], code[None])[0], grid, shift)

    def colours(self, points: Tensor, code: Tensor) -> Tensor:
        """The 16 components at rest points (V, 3) for one code -> (1, V, 16)."""
        return self.base.netDINO(points[None], code[None])

    def deform(self, vertices: Tensor, seen: Seen) -> Tensor:
        """Displacements (B, V, 3) of the rest vertices (V, 3), mirrored."""
        points = vertices[None].expand(len(seen.feature), -1, -1)
        return displace(self.deformation, points, seen.feature, self.config.deformation_scale)

    def project(self, points: Tensor) -> Tensor:
        """Camera points (..., 3) -> positions (..., 2) in the picture."""
        depth = (-points[..., 2:]).clamp_min(0.1)
        return points[..., :2] * points.new_tensor([1.0, -1.0]) * self.focal / depth

    def bend(self, feature: Tensor, key_map: Tensor, skeleton: Bones, rotation: Tensor, translation: Tensor) -> Tensor:
        """Angles (B, 20, 3) under a viewpoint (B, 3, 3), (B, 3), not yet constrained."""
        rotation, translation = rotation.detach(), translation.detach()
        ends = [skeleton.ends[None, :, i] @ rotation.transpose(1, 2) + translation[:, None] for i in (0, 1)]  # (B, 20, 3)
        image = [self.project(points) for points in ends]
        # The network reads depths about the camera's usual distance; here that differs by picture.
        shift = translation * translation.new_tensor([0.0, 0.0, 1.0]) + translation.new_tensor([0.0, 0.0, self.config.camera_distance])
        near = [points - shift[:, None] for points in ends]
        return self.articulation(feature, key_map, near[0], near[1], image[0], image[1], None)

    def posed(
        self, mesh: Mesh, displaced: Tensor | None, skeleton: Bones | None, seen: Seen, rotation: Tensor, translation: Tensor, gates: Open
    ) -> tuple[Tensor, Tensor | None]:
        """The instances' vertices (B, V, 3) in the camera frame under one viewpoint each, and their angles.

        displaced (B, V, 3): rest vertices of each instance, None for the base shape's; skeleton None: nothing bends.
        """
        rest = mesh.vertices[None] if displaced is None else displaced
        angles = None
        if skeleton is not None:
            angles = limit(self.bend(seen.feature, seen.key_map, skeleton, rotation, translation), gates.stiff_legs)
            rest = pose(rest, skeleton, angles)
        return rest @ rotation.transpose(1, 2) + translation[:, None], angles


def skeleton_of(mesh: Mesh, gates: Open) -> Bones | None:
    """The base shape's bones once articulation has begun.

    The published code finds them in each instance's deformed mesh; deformations are small, and one skeleton serves the batch.
    """
    return find_bones(mesh.vertices, gates.attach_legs) if gates.articulation else None
