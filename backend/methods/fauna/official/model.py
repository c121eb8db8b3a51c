"""The `official` preset: 3D-Fauna with the published checkpoints' names and shapes (papers: arXiv 2401.02400; 3DAnimals at 6b3a6ff).

`OfficialFauna.forward` gives what the released code predicts for one picture: bank code, features, viewpoint; `deform` and `articulate`
the instance mesh and the bones' angles over a base mesh, `netBase` and `netInstance` the fields. What differs between the two published
files, and between iterations of a training, stands in `gates.py`. The 20 bones become the template's by `bones20.template_points`,
their angles its pose by `bones20_pose`. Parity with the authors' modules: tests/methods/test_fauna_official_parity.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backend.errors import MenagerieError
from backend.methods.fauna.articulation import Articulation
from backend.methods.fauna.config import OFFICIAL, FaunaConfig
from backend.methods.fauna.fields import CoordMLP, harmonic_encoding
from backend.methods.fauna.heads import ConvHead, Light, ViewpointHead, Viewpoints, look_rotation
from backend.methods.fauna.model import Base
from backend.methods.fauna.official import bones20, bones20_pose
from backend.methods.fauna.official.dino import DinoViT
from backend.methods.fauna.official.gates import RELEASES, gates
from backend.rig.kinematics import rest_frames
from backend.weights.fauna_checkpoint import FINISHED
from backend.weights.load import open_noted_weights
from backend.weights.manifest import MANIFEST

WEIGHTS = "fauna-official"


class PublishedField(CoordMLP):
    """A coordinate network with the checkpoint's own bounds: channel c of the sigmoid's answer goes to min_max[c] = (low, high).

    rectified False: the feature goes into the first linear map as it is (the demo's deformation network).
    """

    min_max: Tensor | None

    def __init__(
        self, config: FaunaConfig, frequencies: int, feature_dim: int, out_dim: int, layers: int, symmetric: bool, bounds: bool
    ) -> None:
        super().__init__(config, frequencies, feature_dim, out_dim, layers, symmetric, bounded=bounds)
        self.rectified = True
        self.register_buffer("min_max", torch.tensor([[0.0, 1.0]]).repeat(out_dim, 1) if bounds else None)

    def forward(self, x: Tensor, feature: Tensor) -> Tensor:
        out = super().forward(x, feature) if self.rectified else self._forward_as_is(x, feature)
        if self.min_max is None:
            return out
        low, high = self.min_max.unbind(-1)
        return low + out * (high - low)

    def _forward_as_is(self, x: Tensor, feature: Tensor) -> Tensor:
        x = torch.cat([x[..., :1].abs(), x[..., 1:]], -1) if self.symmetric else x
        assert isinstance(self.frequencies, Tensor)
        h = torch.relu(self.in_layer(harmonic_encoding(x, self.frequencies)))
        return self.mlp(torch.cat([h, feature[:, None].expand(-1, h.shape[1], -1)], -1))


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
        fine = (config, config.fine_frequencies, config.feature_dim)
        self.netEncoder = OfficialEncoder(config)
        self.netTexture = PublishedField(*fine, 9, 8, symmetric=True, bounds=True)
        self.netPose = ViewpointHead(config)
        self.netDeform = PublishedField(*fine, 3, 5, symmetric=True, bounds=False)
        self.netArticulation = Articulation(config)
        self.netLight = Light(config)


@dataclass(frozen=True)
class OfficialAnswer:
    """code (B, 128); feat_out, feat_key (B, 256); key_map (B, 384, 32, 32); viewpoints."""

    code: Tensor
    feat_out: Tensor
    feat_key: Tensor
    key_map: Tensor
    viewpoints: Viewpoints


class OfficialFauna(nn.Module):
    """netBase and netInstance of a published checkpoint (the discriminator is not part of inference).

    layout: which of `gates.RELEASES`; total_iter: the checkpoint's age, on which its gates depend.
    """

    def __init__(self, layout: str = "demo", total_iter: int = FINISHED) -> None:
        super().__init__()
        self.release = RELEASES[layout]
        self.gates = gates(self.release, total_iter)
        self.config = config = replace(OFFICIAL, translation_range=self.release.translation_range)
        self.netBase = Base(config)
        self.netBase.netDINO = PublishedField(config, config.shape_frequencies, config.code_dim, 16, 5, symmetric=False, bounds=True)
        self.netInstance = OfficialInstance(config)
        self.netInstance.netDeform.rectified = self.release.rectified
        self.focal = 1 / math.tan(math.radians(config.crop_fov_degrees / 2))

    def forward(self, images: Tensor) -> OfficialAnswer:
        """images (B, 3, 256, 256) in [0, 1], an animal in a square crop."""
        encoder = self.netInstance.netEncoder
        tokens, key_map, query = encoder.ViT(images)
        code = self.netBase(query)
        # one base shape a batch, as published: several pictures of one animal share it
        code = code.mean(0, keepdim=True).expand(len(images), -1)
        feat_out, feat_key = encoder.final_layer_patch_out(tokens), encoder.final_layer_patch_key(key_map)
        return OfficialAnswer(code, feat_out, feat_key, key_map, self.view(key_map))

    def view(self, key_map: Tensor) -> Viewpoints:
        """key_map (B, 384, 32, 32) -> the four hypotheses under the checkpoint's gates."""
        seen: Viewpoints = self.netInstance.netPose(key_map)
        if not self.gates.level:
            return seen
        return replace(seen, rotation=look_rotation(seen.rotation[..., 2] * seen.rotation.new_tensor([1.0, 0.0, 1.0])))

    def probability(self, viewpoints: Viewpoints) -> Tensor:
        """(B, 4): how likely each hypothesis is; the largest is the published choice."""
        sure = viewpoints.probability(self.gates.temperature)
        return (1 - self.gates.uniform) * sure + self.gates.uniform / sure.shape[-1]

    def deform(self, rest: Tensor, feat_key: Tensor) -> Tensor:
        """Base vertices (v, 3), feat_key (B, 256) -> instance vertices (B, v, 3).

        As published, x moves alike on both sides: the instance mesh need not be a mirror image of itself.
        """
        rest = rest.expand(len(feat_key), -1, -1)
        if not self.gates.deformed:
            return rest
        return rest + self.netInstance.netDeform(rest, feat_key) * self.config.deformation_scale

    def project(self, points: Tensor) -> Tensor:
        """OpenGL camera points (..., 3) -> crop positions (..., 2) in [-1, 1], y down."""
        return points[..., :2] * points.new_tensor([1.0, -1.0]) * self.focal / (-points[..., 2:]).clamp_min(0.1)

    def skeleton(self, rest: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """`bones20.bones` of vertices (v, 3) under the checkpoint's configuration and gates."""
        return bones20.bones(rest, self.release.hosts, self.gates.attached)

    def articulate(
        self, answer: OfficialAnswer, rest: NDArray[np.floating], rotation: Tensor, translation: Tensor
    ) -> tuple[Tensor, NDArray[np.float64]]:
        """Angles (B, 20, 3) in radians, constrained, of the heuristic bones of instance vertices (v, 3), and the bones (20, 2, 3)."""
        found, _ = self.skeleton(rest)
        if not self.gates.articulated:
            return rotation.new_zeros(len(rotation), len(found), 3), found
        ends = torch.from_numpy(found.astype(np.float32)).to(rotation)
        head, tail = (ends[:, i] @ rotation.transpose(1, 2) + translation[:, None] for i in (0, 1))  # (B, 20, 3) each, camera
        # The features are read where the bone's middle is seen, which is not the middle of its ends in the image.
        image = self.project((head + tail) / 2)
        angles = self.netInstance.netArticulation(answer.feat_key, answer.key_map, head, tail, image, image, None)
        return bones20_pose.constrain(angles, self.gates.hinged), found

    def pose(
        self, answer: OfficialAnswer, rest: NDArray[np.floating], rotation: Tensor, translation: Tensor
    ) -> tuple[NDArray[np.float64], Tensor, bool]:
        """The template's rest points (42, 3) for instance vertices (v, 3), its bones' rotations (B, b, 4) wxyz, and whether the points
        are of the animal after half a turn, its head being at -z.

        rotation (B, 3, 3), translation (B, 3): object to OpenGL camera.
        """
        angles, found = self.articulate(answer, rest, rotation, translation)
        points, turned = bones20.template_points(rest)
        transforms = bones20_pose.pose_transforms(found, self.skeleton(rest)[1], angles)
        frames = rest_frames(torch.from_numpy(points.astype(np.float32))[None])
        return points, bones20_pose.template_rotations(transforms, frames, turned), turned


def load_official(manifest: Path = MANIFEST) -> OfficialFauna:
    """The model with the converted checkpoint's weights, for inference.

    Raises `weights_missing` where it is not downloaded and converted, `weights_damaged` where a name or a shape does not fit.
    """
    tensors, notes = open_noted_weights(WEIGHTS, manifest)
    try:
        model = OfficialFauna(str(notes["layout"]), int(str(notes["total_iter"])))
        model.load_state_dict(tensors, strict=True)
    except (KeyError, ValueError, RuntimeError) as error:
        remedy = f"Run: python -m backend weights convert {WEIGHTS}"
        raise MenagerieError("weights_damaged", "The converted 3D-Fauna checkpoint does not fit the model.", remedy) from error
    return model.eval().requires_grad_(False)
