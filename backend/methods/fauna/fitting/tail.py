"""A tail's flesh goes where its joints went.

Proportions blend the maps of neighbouring bones. Along a tail, whose bones turn far from the canonical ones and against each other, the
blend falls short of every one of them: the flesh of a raised or curled tail comes to lie inside the curve of its joints. What it
lacks there is added.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.rig.template import Template

LEAST_SHARE = 0.01
"""Of a vertex' influence that the tail must have for it to be moved."""
STUB = 1.0
"""Vertices that would have to say so before a joint's flesh is moved: of an animal without a tail there are hardly any."""


class TailFlesh:
    """Of a canonical mesh: vertices (V, 3), influence (V, b) of the template's bones, rest (P, 3) points; object units.

    A vertex belongs to the two joints between which it lies along the canonical tail (linear hat functions). Least squares over those
    hats tell where the shaped flesh has its joints; the tail's base stays, which the rump holds.
    """

    def __init__(self, template: Template, vertices: Tensor, influence: Tensor, rest: Tensor) -> None:
        self.joints = [template.point_index[name] for name in template.centre_points if name.startswith("tail")]
        share = influence[:, [i for i, bone in enumerate(template.bones) if bone.group == "tail"]].sum(1)
        self.which = torch.nonzero(share > LEAST_SHARE)[:, 0]  # (n,)
        self.share = share[self.which, None]  # (n, 1)
        self.hats = hat_functions(vertices[self.which], rest[self.joints])  # (n, j)
        free = self.hats[:, 1:]
        weighted = (free * self.share.square()).T
        self.fitted = torch.linalg.solve(weighted @ free + STUB * torch.eye(free.shape[1]), weighted)  # (j - 1, n)

    def follow(self, shaped: Tensor, points: Tensor) -> Tensor:
        """Shaped rest vertices (V, 3), with points (P, 3) -> the same with the tail's about its joints; differentiable in both."""
        missed = self.fitted @ (self.hats @ points[self.joints] - shaped[self.which])  # (j - 1, 3)
        return shaped.index_add(0, self.which, self.share * (self.hats[:, 1:] @ missed))


def hat_functions(vertices: Tensor, chain: Tensor) -> Tensor:
    """(n, 3) vertices and a chain's joints (j, 3) -> (n, j): how a vertex' nearest place on the chain lies between two joints."""
    heads, along = chain[:-1], chain[1:] - chain[:-1]
    offset = vertices[:, None] - heads  # (n, j - 1, 3)
    place = ((offset * along).sum(-1) / along.square().sum(-1).clamp_min(1e-8)).clamp(0, 1)
    bone = (offset - place[..., None] * along).norm(dim=-1).argmin(1, keepdim=True)
    place = place.gather(1, bone)
    return torch.zeros(len(vertices), len(chain)).scatter(1, bone, 1 - place).scatter(1, bone + 1, place)
