"""Coordinate networks of 3D-Fauna: base SDF, deformation, texture and feature fields (papers' CoordMLP).

Points are (..., 3) in the object frame; features condition a whole batch item. Every network reads
h = ReLU(concat[in_layer(enc(x)), feature]): the rectification covers the feature too, as published.
Parameter names are those of the published checkpoint.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from backend.methods.fauna.config import FaunaConfig


def harmonic_encoding(x: Tensor, frequencies: Tensor) -> Tensor:
    """(..., d) -> (..., d * (1 + 2 f)): [x | sin, axis-major, frequency-minor | cos in the same order]."""
    phase = (x[..., None] * frequencies).flatten(-2)  # (..., d * f)
    return torch.cat([x, phase.sin(), phase.cos()], -1)


def frequency_band(count: int, scale: float) -> Tensor:
    """(count,) scale * 2^j."""
    return scale * 2.0 ** torch.arange(count, dtype=torch.float32)


class BiasFreeMLP(nn.Module):
    """`layers` linear maps without bias and ReLUs between: network.{0,2,...}."""

    def __init__(self, in_dim: int, hidden: int, out_dim: int, layers: int) -> None:
        super().__init__()
        sizes = [in_dim] + [hidden] * (layers - 1) + [out_dim]
        steps: list[nn.Module] = []
        for i in range(layers):
            steps.append(nn.Linear(sizes[i], sizes[i + 1], bias=False))
            if i + 1 < layers:
                steps.append(nn.ReLU())
        self.network = nn.Sequential(*steps)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class CoordMLP(nn.Module):
    """A field over points, conditioned on one feature a batch item.

    forward(x (B, N, 3), feature (B, C)) -> (B, N, out).
    symmetric: x is replaced by |x|; bounded: a sigmoid closes the network.
    """

    def __init__(
        self, config: FaunaConfig, frequencies: int, feature_dim: int, out_dim: int, layers: int, symmetric: bool, bounded: bool
    ) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequency_band(frequencies, math.pi / config.half_extent * 0.9), persistent=False)
        self.symmetric, self.bounded = symmetric, bounded
        self.in_layer = nn.Linear(3 * (1 + 2 * frequencies), config.hidden)
        self.mlp = BiasFreeMLP(config.hidden + feature_dim, config.hidden, out_dim, layers)

    def forward(self, x: Tensor, feature: Tensor) -> Tensor:
        if self.symmetric:
            x = torch.cat([x[..., :1].abs(), x[..., 1:]], -1)
        assert isinstance(self.frequencies, Tensor)
        h = self.in_layer(harmonic_encoding(x, self.frequencies))  # (B, N, hidden)
        # The first linear map is split so that the feature's part is computed once a batch item, not once a point.
        first = self.mlp.network[0]
        assert isinstance(first, nn.Linear)
        hidden = h.shape[-1]
        h = torch.relu(h) @ first.weight[:, :hidden].T + (torch.relu(feature) @ first.weight[:, hidden:].T)[:, None]
        out = self.mlp.network[1:](h)
        return torch.sigmoid(out) if self.bounded else out


class ModulatedMLP(nn.Module):
    """StyleGAN2-like modulated linear layers: W' = W * style, each row divided by sqrt(sum W'^2 + 1e-5)."""

    def __init__(self, hidden: int, code_dim: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        for i in range(layers):
            setattr(self, f"linear_{i}", nn.Linear(hidden, hidden if i + 1 < layers else 1, bias=False))

    def forward(self, h: Tensor, style: Tensor) -> Tensor:
        """h (B, N, hidden), style (B, hidden) -> (B, N, 1)."""
        for i in range(self.layers):
            weight = getattr(self, f"linear_{i}").weight * style[:, None]  # (B, out, in)
            weight = weight * torch.rsqrt(weight.square().sum(-1, keepdim=True) + 1e-5)
            h = torch.bmm(h, weight.transpose(1, 2))
            if i + 1 < self.layers:
                h = torch.relu(h)
        return h


class StyleMLP(nn.Module):
    """style = MLP code -> hidden -> hidden (network.{0,2})."""

    def __init__(self, code_dim: int, hidden: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(code_dim, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, hidden, bias=False))

    def forward(self, code: Tensor) -> Tensor:
        return self.network(code)


class _ShapeNetwork(nn.Module):
    """in_layer, mlp.linear_i and style_mlp under the published names."""

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.in_layer = nn.Linear(3 * (1 + 2 * config.shape_frequencies), config.hidden)
        self.mlp = ModulatedMLP(config.hidden, config.code_dim, 5)
        self.style_mlp = StyleMLP(config.code_dim, config.hidden)


class BaseShape(nn.Module):
    """Signed distance (positive inside) of the category shape, SDF(x | phi), mirrored in x.

    An ellipsoid of radius `ellipsoid_radius` times the box's side, twice as long in z, is added, so that an
    untrained network is an animal-sized blob.
    """

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.radius = config.ellipsoid_radius * 2 * config.half_extent
        self.register_buffer(
            "frequencies", frequency_band(config.shape_frequencies, math.pi / config.half_extent * 0.9), persistent=False
        )
        self.mlp = _ShapeNetwork(config)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """x (B, N, 3), code (B, code_dim) -> (B, N)."""
        assert isinstance(self.frequencies, Tensor)
        x = torch.cat([x[..., :1].abs(), x[..., 1:]], -1)
        h = torch.relu(self.mlp.in_layer(harmonic_encoding(x, self.frequencies)))  # (B, N, hidden)
        residual = self.mlp.mlp(h, self.mlp.style_mlp(code))[..., 0]
        stretched = x * x.new_tensor([1.0, 1.0, 0.5])
        return residual + self.radius - stretched.norm(dim=-1)


def deformation_field(config: FaunaConfig) -> CoordMLP:
    """Instance deformation (x0.1, symmetric): displacement of a rest point given feat_key."""
    return CoordMLP(config, config.fine_frequencies, config.feature_dim, 3, 5, symmetric=True, bounded=False)


def displace(field: CoordMLP, x: Tensor, feature: Tensor, scale: float) -> Tensor:
    """Displacement (B, N, 3) of points x, exactly mirrored: odd in x across the plane x = 0."""
    offset = field(x, feature) * scale
    # The published network is symmetric in x; its x output must change sign with the side for the mesh to stay mirrored.
    return torch.cat([offset[..., :1] * torch.sign(x[..., :1]), offset[..., 1:]], -1)


def texture_field(config: FaunaConfig) -> CoordMLP:
    """Albedo (channels 0-2 of 9) at a rest point given feat_out."""
    return CoordMLP(config, config.fine_frequencies, config.feature_dim, 9, 8, symmetric=True, bounded=True)


def feature_field(config: FaunaConfig) -> CoordMLP:
    """The 16 principal components of the encoder's features at a rest point given phi (training from images alone)."""
    return CoordMLP(config, config.shape_frequencies, config.code_dim, 16, 5, symmetric=False, bounded=True)
