"""Analytic shapes for the tests: signed distances, positive inside, symmetric in x."""

from __future__ import annotations

import torch
from torch import Tensor


def capsule(points: Tensor, start: tuple[float, float, float], end: tuple[float, float, float], r0: float, r1: float) -> Tensor:
    """A capsule whose radius goes from r0 to r1; (n, 3) -> (n,), asked at |x|."""
    p = torch.cat([points[:, :1].abs(), points[:, 1:]], 1)
    a, b = torch.tensor(start), torch.tensor(end)
    t = (((p - a) @ (b - a)) / (b - a).square().sum()).clamp(0, 1)
    return r0 + (r1 - r0) * t - (p - a - t[:, None] * (b - a)).norm(dim=1)


def smooth_union(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Polynomial smooth maximum of two distances that are positive inside."""
    h = (0.5 + 0.5 * (a - b) / width).clamp(0, 1)
    return b + (a - b) * h + width * h * (1 - h)


def quadruped(points: Tensor, leg_radius: float = 0.1) -> Tensor:
    """A horse-like sum of capsules, some 4.2 units long, with thin lower legs, ears and tail; Lipschitz bound 1.2."""
    parts = [
        capsule(points, (0.0, 0.35, 1.0), (0.0, 0.35, -1.1), 0.55, 0.5),
        capsule(points, (0.0, 0.6, 1.2), (0.0, 1.4, 1.7), 0.33, 0.22),
        capsule(points, (0.0, 1.45, 1.7), (0.0, 1.2, 2.3), 0.24, 0.14),
        capsule(points, (0.10, 1.6, 1.6), (0.2, 1.95, 1.6), 0.07, 0.035),
        capsule(points, (0.0, 0.6, -1.5), (0.0, -0.4, -1.95), 0.09, 0.06),
    ]
    for z, knee in ((0.95, 0.08), (-1.15, -0.15)):
        parts.append(capsule(points, (0.3, 0.1, z), (0.3, -0.6, z + knee), 0.25, leg_radius * 1.3))
        parts.append(capsule(points, (0.3, -0.6, z + knee), (0.3, -1.5, z), leg_radius * 1.3, leg_radius))
    total = parts[0]
    for part in parts[1:]:
        total = smooth_union(total, part, 0.08)
    return total


def torus(points: Tensor) -> Tensor:
    """A ring about the x axis, so that the plane x = 0 cuts it along its whole length."""
    return 0.4 - torch.stack([points[:, 1:].norm(dim=1) - 1.2, points[:, 0]], 1).norm(dim=1)


def joined_feet(points: Tensor) -> Tensor:
    """The quadruped with a thin bar between its front feet: one handle, best cut."""
    return torch.maximum(quadruped(points), capsule(points, (0.0, -1.45, 0.95), (0.3, -1.45, 0.95), 0.06, 0.06))


def pierced_body(points: Tensor) -> Tensor:
    """The quadruped with a thin hole through its body: one handle, best filled."""
    return torch.minimum(quadruped(points), -capsule(points, (-2.0, 0.35, 0.0), (2.0, 0.35, 0.0), 0.06, 0.06))
