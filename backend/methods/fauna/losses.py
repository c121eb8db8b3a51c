"""Losses of the bundled preset, supervised by the renderer's truth. Each returns a scalar tensor.

Frames: OpenGL camera; image positions in [-1, 1], y down.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from backend.methods.fauna.heads import QUADRANTS, Viewpoints

CLAMP = 0.25
"""Signed distances are compared within +-CLAMP near the surface."""
LOGIT_SCALE = 4.0
"""A hypothesis' loss, which its logit regresses: LOGIT_SCALE * (1 - cos of its angle to the truth)."""


def sdf_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """(B, n) distances: L1 within the clamp, and weakly beyond it so that the field stays a distance."""
    near = (predicted.clamp(-CLAMP, CLAMP) - truth.clamp(-CLAMP, CLAMP)).abs().mean()
    return near + 0.1 * (predicted - truth).abs().mean()


def true_view(rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Object-to-camera rotation (B, 3, 3) -> level forward (B, 3), elevation (B,), quadrant (B,) of `heads.QUADRANTS`."""
    up = rotation[:, :, 1]
    elevation = torch.atan2(up[:, 2], up[:, 1])
    c, s = elevation.cos(), elevation.sin()
    f = rotation[:, :, 2]
    forward = torch.stack([f[:, 0], c * f[:, 1] + s * f[:, 2], -s * f[:, 1] + c * f[:, 2]], -1)
    sign = forward.new_tensor(QUADRANTS)  # (4, 2)
    quadrant = (forward[:, None, [0, 2]] * sign).min(-1).values.argmax(-1)
    return forward, elevation, quadrant


def viewpoint_losses(views: Viewpoints, rotation: Tensor, translation: Tensor, quadrant: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """-> (rotation loss of the true quadrant's hypothesis, logit regression, translation)."""
    rows = torch.arange(len(rotation), device=rotation.device)
    chosen = views.rotation[rows, quadrant]
    turn = (chosen - rotation).square().sum((1, 2)).mean()
    cosine = (views.rotation[..., 2] * rotation[:, None, :, 2]).sum(-1)  # (B, 4)
    logit = functional.smooth_l1_loss(views.logits, LOGIT_SCALE * (1 - cosine).detach())
    depth = torch.log(views.translation[:, 2].clamp(max=-0.5) / translation[:, 2].clamp(max=-0.5)).abs().mean()
    plane = (views.translation[:, :2] - translation[:, :2]).abs().mean()
    return turn, logit, plane + 2 * depth


def heat_loss(heat: Tensor, seen: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """Cross-entropy of heat maps (B, P, g, g) with a Gaussian of one cell at target (B, P, 2) in [-1, 1], and L1 of the
    expectation; hidden points count half, points outside the crop not at all."""
    grid = heat.shape[-1]
    centre = (torch.arange(grid, dtype=heat.dtype, device=heat.device) + 0.5) / grid * 2 - 1
    sigma = 2.0 / grid
    gx = torch.exp(-0.5 * ((centre - target[..., :1]) / sigma).square())  # (B, P, g)
    gy = torch.exp(-0.5 * ((centre - target[..., 1:]) / sigma).square())
    truth = gy[..., :, None] * gx[..., None, :]
    truth = truth / truth.sum((-1, -2), keepdim=True).clamp_min(1e-6)
    inside = (target.abs().amax(-1) < 1).float()
    weight = inside * (0.5 + 0.5 * visible)
    entropy = -(truth * torch.log_softmax(heat.flatten(2), -1).unflatten(-1, (grid, grid))).sum((-1, -2))
    distance = (seen - target).abs().sum(-1).clamp(max=0.5)
    return ((entropy * 0.2 + distance) * weight).sum() / weight.sum().clamp_min(1)
