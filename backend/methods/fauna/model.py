"""3D-Fauna as one module (arXiv 2401.02400): image -> bank code, viewpoint, rest shape, bone angles, fields.

`netBase` holds what a category shares (bank, base SDF, feature field), `netInstance` what an image adds; names and
shapes of the `official` preset are those of the published checkpoint. Camera quantities are in the OpenGL camera
frame (x right, y up, looking along -z); image positions in [-1, 1] with y down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from backend.methods.fauna.articulation import Articulation
from backend.methods.fauna.bank import SemanticBank
from backend.methods.fauna.config import FaunaConfig
from backend.methods.fauna.encoder import TAPS, TapEncoder, Taps
from backend.methods.fauna.fields import BaseShape, deformation_field, feature_field, texture_field
from backend.methods.fauna.heads import JointHead, Light, RestShape, ViewpointHead, Viewpoints
from backend.methods.fauna.lifting import Lifting
from backend.rig.template import Template, load_quadruped

BELIEVED = 0.5
"""Share of lifting's change of the rest shape that is taken outside of training: on animals never trained it is too bold."""


class Base(SemanticBank):
    """memory_bank, memory_bank_keys, netShape, netDINO."""

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__(config)
        self.netShape = BaseShape(config)
        self.netDINO = feature_field(config)


class Instance(nn.Module):
    """netEncoder, netPose, netDeform, netArticulation, netTexture, netLight (+ netRest, netJoints, netLifting when bundled)."""

    def __init__(self, config: FaunaConfig, template: Template) -> None:
        super().__init__()
        self.netEncoder = TapEncoder(config, len(template.points))
        self.netPose = ViewpointHead(config)
        self.netDeform = deformation_field(config)
        self.netArticulation = Articulation(config)
        self.netTexture = texture_field(config)
        self.netLight = Light(config)
        self.netRest = RestShape(config, template)
        self.netJoints = JointHead((TAPS[0], config.key_channels), config.key_channels, len(template.points), config.joint_grid)
        self.netLifting = Lifting(config, len(template.points))


@dataclass(frozen=True)
class Blur:
    """What training keeps from lifting, so that it doesn't lean on what is surer on animals it has met.

    seen (B, P, 2), category (B, P, 3): added to the points seen and to the category's rest points; shown (B,): 0 hides the picture.
    """

    seen: Tensor
    category: Tensor
    shown: Tensor


@dataclass(frozen=True)
class Perception:
    """What one forward pass sees, before articulation.

    code (B, code_dim); feat_out, feat_key (B, feature_dim); key_map; viewpoints; category, rest (B, P, 3) rest points by the code alone,
    and with what was seen; girth (B, n, 2) log girths of the deforming bones over the canonical ones, along local X and Z;
    heat (B, P, g, g) logits, seen (B, P, 2) in [-1, 1] y down, confidence (B, P); lifted (B, P, 3) the posed points about their mean in the
    camera's axes, object units.
    """

    code: Tensor
    feat_out: Tensor
    feat_key: Tensor
    key_map: Tensor
    viewpoints: Viewpoints
    category: Tensor
    rest: Tensor
    girth: Tensor
    heat: Tensor
    seen: Tensor
    confidence: Tensor
    lifted: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Perception:
        """The same with every tensor changed."""
        fields = {name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, viewpoints=Viewpoints(*(change(value) for value in vars(self.viewpoints).values())), **fields)


class Fauna(nn.Module):
    """The bundled model. The encoder itself stays outside (frozen, shared): `perceive` takes its taps."""

    def __init__(self, config: FaunaConfig, template: Template | None = None) -> None:
        super().__init__()
        self.config = config
        template = load_quadruped() if template is None else template
        self.template = template
        bones = [bone for bone in template.bones if bone.deform]
        point = {name: i for i, name in enumerate(template.points)}
        self.register_buffer("bone_heads", torch.tensor([point[bone.head] for bone in bones]), persistent=False)
        self.register_buffer("bone_tails", torch.tensor([point[str(bone.tail)] for bone in bones]), persistent=False)
        self.netBase = Base(config)
        self.netInstance = Instance(config, template)
        # The base SDF's own rest points: every shape is learnt on one mean skeleton; `rest` and `girth` carry its proportions.
        self.register_buffer("canonical", torch.zeros(len(template.points), 3))
        self.focal = 1 / math.tan(math.radians(config.crop_fov_degrees / 2))

    def perceive(self, taps: Taps, code: Tensor | None = None, blur: Blur | None = None) -> Perception:
        """Everything but the bones' angles. code (B, code_dim): in place of the bank's."""
        instance = self.netInstance
        encoder = instance.netEncoder
        tokens = encoder(taps)
        feat_key = encoder.final_layer_patch_key(tokens.whole)
        if code is None:
            code = self.netBase(encoder.query(tokens.whole))
        heat, seen, confidence = instance.netJoints((taps.stride8, tokens.key_map), tokens.points)
        category, girth = instance.netRest(code, feat_key)
        places, like = seen.detach(), category.detach()
        if blur is not None:
            places, like = places + blur.seen, like + blur.category
        lifted, change = instance.netLifting(places, confidence.detach(), like, tokens, None if blur is None else blur.shown)
        if blur is None:  # with the picture it knows more of animals that it has met, from the points alone it has seen more poses
            alone, other = instance.netLifting(places, confidence, like, None)
            lifted, change = (lifted + alone) / 2, (change + other) / 2
        rest = like + (1.0 if blur is not None else BELIEVED) * instance.netRest.mirrored(change)
        views, feat_out = instance.netPose(tokens.whole), encoder.final_layer_patch_out(tokens.whole)
        return Perception(
            code, feat_out, feat_key, tokens.key_map, views, category, rest, girth, heat, seen, confidence, lifted
        )  # fmt: skip

    def project(self, points: Tensor) -> Tensor:
        """OpenGL camera points (..., 3) -> crop positions (..., 2) in [-1, 1], y down."""
        depth = (-points[..., 2:]).clamp_min(0.1)
        return points[..., :2] * points.new_tensor([1.0, -1.0]) * self.focal / depth

    def articulate(self, seen: Perception, rotation: Tensor, translation: Tensor) -> Tensor:
        """Angles (B, bones, 3) radians under a viewpoint: rotation (B, 3, 3), translation (B, 3), object to camera."""
        points = seen.rest.detach() @ rotation.detach().transpose(1, 2) + translation.detach()[:, None]
        image = self.project(points)
        assert isinstance(self.bone_heads, Tensor) and isinstance(self.bone_tails, Tensor)
        h, t = self.bone_heads, self.bone_tails
        offsets = seen.seen - image
        evidence = torch.cat([offsets[:, h], offsets[:, t], seen.confidence[:, h, None], seen.confidence[:, t, None]], -1)
        return self.netInstance.netArticulation(
            seen.feat_key, seen.key_map, points[:, h], points[:, t], image[:, h], image[:, t], evidence if self.config.joint_head else None
        )
