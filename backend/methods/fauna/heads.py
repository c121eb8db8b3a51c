"""Heads over the encoder's maps: image features, four-quadrant viewpoint, 2D joints, rest shape, light.

Maps are (B, C, grid, grid); image axes are OpenGL-like in this file (x right, y up) only where said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.fauna.config import FaunaConfig
from backend.methods.fauna.fields import BiasFreeMLP
from backend.rig.template import Template

QUADRANTS = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))
"""Signs of (x, z) of the animal's forward direction in the OpenGL camera frame, one viewpoint hypothesis each."""
LARGEST_GIRTH = 1.1
"""Bound of a bone's log girth over the mean's; those learnt from end at 0.79, where this still has a slope."""


class ConvHead(nn.Module):
    """A map -> one vector: 4x4 convolutions of stride 2 down to 4x4, then one 4x4 without padding.

    GroupNorm (64 groups) and LeakyReLU 0.2 between, no biases: network.{0,...}, as published for a 32x32 map;
    a 16x16 map has one convolution fewer. With `norm` False there are no GroupNorms (the viewpoint head).
    """

    def __init__(self, in_channels: int, width: int, out_dim: int, grid: int, norm: bool) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        channels, side = in_channels, grid
        while side > 4:
            steps.append(nn.Conv2d(channels, width, 4, 2, 1, bias=False))
            if norm:
                steps.append(nn.GroupNorm(64 if width % 64 == 0 else 32, width))
            steps.append(nn.LeakyReLU(0.2, inplace=False))
            channels, side = width, side // 2
        steps.append(nn.Conv2d(width, out_dim, 4, 1, 0, bias=False))
        self.network = nn.Sequential(*steps)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).flatten(1)


@dataclass(frozen=True)
class Viewpoints:
    """Four hypotheses a batch item, OpenGL camera frame (x right, y up, looking along -z).

    rotation: (B, 4, 3, 3) object to camera; translation: (B, 3) shared, camera at `camera_distance`;
    logits: (B, 4), each a prediction of its hypothesis' loss: the smallest is the best.
    """

    rotation: Tensor
    translation: Tensor
    logits: Tensor

    def probability(self, temperature: float = 0.1) -> Tensor:
        """(B, 4) softmax(-logit / temperature)."""
        return torch.softmax(-self.logits / temperature, -1)


def look_rotation(forward: Tensor, elevation: Tensor | None = None) -> Tensor:
    """Object-to-camera rotation (..., 3, 3) with columns (right, up', forward): the object's +z goes to `forward`.

    forward: (..., 3) OpenGL camera frame. elevation: (...) radians by which the world's up leans towards the
    camera (the camera looks down on the animal); None keeps the paper's up = (0, 1, 0). With an elevation,
    `forward` is given in the level frame and turned with the world, so that a side view can be looked down upon.
    """
    forward = functional.normalize(forward, dim=-1)
    up = torch.zeros_like(forward)
    up[..., 1] = 1.0
    right = functional.normalize(torch.linalg.cross(up, forward), dim=-1)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], -1)
    if elevation is None:
        return rotation
    c, s = elevation.cos(), elevation.sin()
    one, zero = torch.ones_like(c), torch.zeros_like(c)
    tilt = torch.stack([one, zero, zero, zero, c, -s, zero, s, c], -1).unflatten(-1, (3, 3))  # up -> (0, cos, sin)
    return tilt @ rotation


class ViewpointHead(nn.Module):
    """4 x (logit, forward) + translation (+ elevation); netPose of the published code.

    From the key map (B, C, g, g) as published, or from the token of the whole (B, C) where there is one.
    """

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.config = config
        out = 20 if config.elevation else 19
        if config.neck_blocks:
            self.network = nn.Sequential(nn.Linear(config.key_channels, config.hidden), nn.GELU(), nn.Linear(config.hidden, out))
        else:
            self.network = ConvHead(config.key_channels, config.head_channels, out, config.grid, norm=True).network

    def forward(self, shown: Tensor) -> Viewpoints:
        config = self.config
        out = self.network(shown).flatten(1)  # (B, 19 or 20)
        hypotheses = out[:, :16].unflatten(1, (4, 4))
        raw = hypotheses[..., 1:]
        sign = raw.new_tensor(QUADRANTS)  # (4, 2)
        beta = math.log(2) / 0.5
        x = functional.softplus(raw[..., 0], beta=beta) * sign[:, 0]
        z = functional.softplus(raw[..., 2], beta=beta) * sign[:, 1]
        forward = torch.stack([x, raw[..., 1], z], -1)  # (B, 4, 3)
        elevation = None
        if config.elevation:
            elevation = (torch.tanh(out[:, 19]) * (math.pi / 3))[:, None].expand(-1, 4)
        half = config.camera_distance * math.tan(math.radians(config.crop_fov_degrees / 2))
        translation = torch.tanh(out[:, 16:19]) * out.new_tensor(config.translation_range) * half
        translation = translation + out.new_tensor([0.0, 0.0, -config.camera_distance])
        return Viewpoints(look_rotation(forward, elevation), translation, hypotheses[..., 0])


class Light(nn.Module):
    """feat_out -> Lambert light in the camera frame: direction (2a-1, 0.5, 2b-1), ambient, diffuse."""

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.mlp = BiasFreeMLP(config.feature_dim, config.hidden, 4, 5)
        self.register_buffer("intensity_min_max", torch.tensor([[0.0, 1.0], [0.5, 1.0]]))

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """feature (B, C) -> direction (B, 3) unit, ambient (B,), diffuse (B,)."""
        out = torch.sigmoid(self.mlp(feature))
        assert isinstance(self.intensity_min_max, Tensor)
        low, high = self.intensity_min_max.unbind(-1)
        ambient, diffuse = (low + out[:, 2:] * (high - low)).unbind(-1)
        direction = torch.stack([2 * out[:, 0] - 1, torch.full_like(out[:, 0], 0.5), 2 * out[:, 1] - 1], -1)
        return functional.normalize(direction, dim=-1), ambient, diffuse


def shade(albedo: Tensor, normals: Tensor, light: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """albedo * (ambient + diffuse * max(0, n.l)); albedo, normals (B, N, 3), OpenGL camera frame."""
    direction, ambient, diffuse = light
    lambert = (normals * direction[:, None]).sum(-1, keepdim=True).clamp_min(0)
    return albedo * (ambient[:, None, None] + diffuse[:, None, None] * lambert)


class JointHead(nn.Module):
    """Finds the template's points in the crop: heat maps, their expectation and their confidence.

    Sums projections of the maps given at the joint grid and refines them with residual 3x3 convolutions; a point's map is one more
    convolution of that, plus the inner product with what the point's token asks for (after Li et al., TokenPose, ICCV 2021).
    """

    def __init__(self, tap_channels: tuple[int, ...], token_channels: int, points: int, grid: int, width: int = 64) -> None:
        super().__init__()
        self.grid = grid
        self.taps = nn.ModuleList(nn.Conv2d(c, width, 1) for c in tap_channels)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(8, width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=d, dilation=d)) for d in (1, 2, 4)
        )
        self.norm = nn.Sequential(nn.GroupNorm(8, width), nn.ReLU())
        self.out = nn.Conv2d(width, points, 1)
        self.ask = nn.Linear(token_channels, width)

    def forward(self, taps: tuple[Tensor, ...], tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """taps (B, C_i, g_i, g_i), tokens (B, P, C) -> logits (B, P, grid, grid), xy (B, P, 2) in [-1, 1] (y down), confidence (B, P)."""
        size = (self.grid, self.grid)
        h = torch.zeros(())
        for project, tap in zip(self.taps, taps, strict=True):
            mapped = project(tap)
            if mapped.shape[-1] != self.grid:
                mapped = functional.interpolate(mapped, size=size, mode="bilinear", align_corners=False)
            h = h + mapped
        for block in self.blocks:
            h = h + block(h)
        h = self.norm(h)
        asked = (self.ask(tokens) @ h.flatten(2)).unflatten(2, size)
        logits = (self.out(h) + asked).float()
        return logits, *expectation(logits)


def expectation(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Heat-map logits (B, P, g, g) -> xy (B, P, 2) in [-1, 1], y down, and the mass near the peak (B, P).

    The mean is taken over a window of 5x5 cells about the peak, so that two candidates (left and right leg)
    don't meet in the middle.
    """
    grid = logits.shape[-1]
    probability = torch.softmax(logits.flatten(2), -1)  # (B, P, g * g)
    peak = probability.argmax(-1)
    centre = (torch.arange(grid, dtype=logits.dtype, device=logits.device) + 0.5) / grid * 2 - 1
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    x, y = x.flatten(), y.flatten()
    reach = 5.0 / grid
    near = ((x - x[peak][..., None]).abs() <= reach) & ((y - y[peak][..., None]).abs() <= reach)
    local = probability * near
    mass = local.sum(-1)
    local = local / mass[..., None].clamp_min(1e-8)
    return torch.stack([(local * x).sum(-1), (local * y).sum(-1)], -1), mass


class RestShape(nn.Module):
    """A category's rest positions of the template's points, exactly mirrored, from phi; its bones' girths, to which feat_key adds.

    Half form: (y, z) of the centre points, (x, y, z) of the left ones, then log girths along local X and Z of the deforming bones of
    the centre and the left.
    """

    def __init__(self, config: FaunaConfig, template: Template) -> None:
        super().__init__()
        self.centre, self.paired = len(template.centre_points), len(template.paired_points)
        self.places = self.centre * 2 + self.paired * 3
        names = [bone.name for bone in template.bones if bone.deform]
        own = [name for name in names if not name.endswith(".R")]
        self.register_buffer("half_bone", torch.tensor([own.index(name.replace(".R", ".L")) for name in names]), persistent=False)
        girths = 2 * len(own)
        self.from_code = nn.Sequential(nn.Linear(config.code_dim, config.hidden), nn.ReLU(), nn.Linear(config.hidden, self.places + girths))
        self.from_feature = nn.Sequential(nn.Linear(config.feature_dim, config.hidden), nn.ReLU(), nn.Linear(config.hidden, girths))
        self.register_buffer("mean", torch.zeros(self.places))

    def forward(self, code: Tensor, feature: Tensor | None) -> tuple[Tensor, Tensor]:
        """-> points (B, P, 3) in the contract's order (centre points with x = 0, left, right), log girths (B, n, 2) over the mean's.

        No feature: the category's.
        """
        assert isinstance(self.mean, Tensor) and isinstance(self.half_bone, Tensor)
        places, girth = self.from_code(code).split([self.places, self.from_feature[2].out_features], 1)
        if feature is not None:
            girth = girth + self.from_feature(feature) * 0.3
        girth = girth.unflatten(1, (-1, 2))[:, self.half_bone]
        return self.unfold(self.mean + places), LARGEST_GIRTH * torch.tanh(girth / LARGEST_GIRTH)

    def mirrored(self, points: Tensor) -> Tensor:
        """(B, P, 3) -> the same with both sides' mean on both sides."""
        return self.unfold(self.fold(points))

    def unfold(self, half: Tensor) -> Tensor:
        """(B, 2 centre + 3 paired) -> (B, P, 3), mirrored."""
        centre = half[:, : self.centre * 2].unflatten(1, (self.centre, 2))
        centre = functional.pad(centre, (1, 0))  # x = 0
        left = half[:, self.centre * 2 :].unflatten(1, (self.paired, 3))
        right = left * left.new_tensor([-1.0, 1.0, 1.0])
        return torch.cat([centre, left, right], 1)

    def fold(self, points: Tensor) -> Tensor:
        """(B, P, 3) -> the half form (B, 2 centre + 3 paired), averaging the sides."""
        centre = points[:, : self.centre, 1:].flatten(1)
        left = points[:, self.centre : self.centre + self.paired]
        right = points[:, self.centre + self.paired :] * points.new_tensor([-1.0, 1.0, 1.0])
        return torch.cat([centre, ((left + right) / 2).flatten(1)], 1)
