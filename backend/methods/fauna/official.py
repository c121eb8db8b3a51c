"""The `official` preset: 3D-Fauna with the published checkpoint's names and shapes (papers: arXiv 2401.02400).

`OfficialFauna.forward` gives what the released code predicts for one picture: bank code, base mesh' field, viewpoint, bone
angles of the 20 heuristic bones, light and features. The 20 bones become the template's by `bones20.template_points`, their angles
its pose by `bones20_pose`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backend.methods.fauna import bones20, bones20_pose
from backend.methods.fauna.articulation import Articulation
from backend.methods.fauna.config import OFFICIAL, FaunaConfig
from backend.methods.fauna.dino import DinoViT
from backend.methods.fauna.fields import deformation_field, texture_field
from backend.methods.fauna.heads import ConvHead, Light, ViewpointHead, Viewpoints
from backend.methods.fauna.model import Base
from backend.rig.kinematics import rest_frames


class OfficialEncoder(nn.Module):
    """ViT, final_layer_patch_out (tokens -> feat_out), final_layer_patch_key (keys -> feat_key)."""

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.ViT = DinoViT()
        sizes = (config.head_channels, config.feature_dim, config.grid)
        self.final_layer_patch_out = ConvHead(config.token_channels, *sizes, norm=True)
        self.final_layer_patch_key = ConvHead(config.key_channels, *sizes, norm=True)


class OfficialInstance(nn.Module):
    """netEncoder, netPose, netDeform, netArticulation, netTexture, netLight under the published names."""

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.netEncoder = OfficialEncoder(config)
        self.netTexture = texture_field(config)
        self.netPose = ViewpointHead(config)
        self.netDeform = deformation_field(config)
        self.netArticulation = Articulation(config)
        self.netLight = Light(config)
        self.netTexture.register_buffer("min_max", torch.tensor([[0.0, 1.0]]).repeat(9, 1))


@dataclass(frozen=True)
class OfficialAnswer:
    """code (B, 128); feat_out, feat_key (B, 256); key_map (B, 384, 32, 32); viewpoints."""

    code: Tensor
    feat_out: Tensor
    feat_key: Tensor
    key_map: Tensor
    viewpoints: Viewpoints


class OfficialFauna(nn.Module):
    """netBase and netInstance of the published checkpoint (the discriminator is not part of inference)."""

    def __init__(self, config: FaunaConfig = OFFICIAL) -> None:
        super().__init__()
        self.config = config
        self.netBase = Base(config)
        self.netBase.netDINO.register_buffer("min_max", torch.tensor([[0.0, 1.0]]).repeat(16, 1))
        self.netInstance = OfficialInstance(config)
        self.focal = 1 / math.tan(math.radians(config.crop_fov_degrees / 2))

    def forward(self, images: Tensor) -> OfficialAnswer:
        """images (B, 3, 256, 256) in [0, 1], an animal in a square crop."""
        encoder = self.netInstance.netEncoder
        tokens, key_map, query = encoder.ViT(images)
        code = self.netBase(query)
        # one base shape a batch, as published: several pictures of one animal share it
        code = code.mean(0, keepdim=True).expand(len(images), -1)
        feat_out, feat_key = encoder.final_layer_patch_out(tokens), encoder.final_layer_patch_key(key_map)
        return OfficialAnswer(code, feat_out, feat_key, key_map, self.netInstance.netPose(key_map))

    def articulate(
        self, answer: OfficialAnswer, rest: NDArray[np.floating], rotation: Tensor, translation: Tensor
    ) -> tuple[Tensor, NDArray[np.float64]]:
        """Angles (B, 20, 3) in radians, constrained, of the heuristic bones of rest vertices (v, 3), and the bones (20, 2, 3)."""
        found, _ = bones20.bones(rest)
        ends = torch.from_numpy(found.astype(np.float32))
        camera = [ends[:, i] @ rotation.transpose(1, 2) + translation[:, None] for i in (0, 1)]  # (B, 20, 3) each
        image = [c[..., :2] * c.new_tensor([1.0, -1.0]) * self.focal / (-c[..., 2:]).clamp_min(0.1) for c in camera]
        angles = self.netInstance.netArticulation(answer.feat_key, answer.key_map, camera[0], camera[1], image[0], image[1], None)
        return bones20_pose.constrain(angles), found

    def pose(
        self, answer: OfficialAnswer, rest: NDArray[np.floating], rotation: Tensor, translation: Tensor
    ) -> tuple[NDArray[np.float64], Tensor, bool]:
        """The template's rest points (42, 3) for rest vertices (v, 3), its bones' rotations (B, b, 4) wxyz, and whether the points are of
        the animal after half a turn, its head being at -z.

        rotation (B, 3, 3), translation (B, 3): object to OpenGL camera.
        """
        angles, found = self.articulate(answer, rest, rotation, translation)
        points, turned = bones20.template_points(rest)
        transforms = bones20_pose.pose_transforms(found, bones20.bones(rest)[1], angles)
        frames = rest_frames(torch.from_numpy(points.astype(np.float32))[None])
        return points, bones20_pose.template_rotations(transforms, frames, turned), turned
