"""The loss of one step: rendering terms, the hypotheses' scores and choice, regularisers (3D-Fauna section 3.4).

All hypotheses of a picture are glanced at without gradients, which gives every logit its target in every step (the published code
renders one, and trains that one's logit); one of them, by its probability, is drawn with gradients, its bones bent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from backend.methods.fauna.paper.config import Open, Recipe, Weights
from backend.methods.fauna.paper.draw import draw, glance
from backend.methods.fauna.paper.model import PaperFauna, Seen, skeleton_of
from backend.methods.fauna.paper.pictures import Batch
from backend.methods.fauna.paper.skinning import Bones
from backend.methods.fauna.paper.surface import Grid, Mesh
from backend.methods.fauna.paper.viewpoint import choose, logit_loss, probabilities

GLANCE = 48
"""Pixels a side of the pictures that hypotheses are scored in."""
EIKONAL_POINTS = 400
"""Points in the box, and as many about the surface."""
EIKONAL_REACH = 0.05
"""Their spread about the surface, in sides of the box."""


@dataclass(frozen=True)
class Target:
    """What a drawn animal is compared with. mask, outside (B, s, s); components (B, s, s, 16); variance of the components."""

    mask: Tensor
    outside: Tensor
    components: Tensor
    variance: float


@dataclass(frozen=True)
class Terms:
    """Of each picture (B,): mask, distance and feature terms, without weights."""

    mask: Tensor
    distance: Tensor
    feature: Tensor


def target_of(batch: Batch, variance: float, side: int) -> Target:
    """The batch's targets, averaged down to `side` pixels."""

    def shrink(x: Tensor) -> Tensor:
        return x if x.shape[-1] == side else functional.adaptive_avg_pool2d(x, side)

    return Target(shrink(batch.mask), shrink(batch.outside), shrink(batch.target).permute(0, 2, 3, 1), variance)


def compare(mask: Tensor, components: Tensor, target: Target) -> Terms:
    """Drawn masks (B, s, s) and components (B, s, s, 16) -> the terms of each picture.

    feature: 1 where the drawing says no more than the mean of all animals' pixels; pixels of the mask that the drawing leaves empty
    count 1, so that no hypothesis gains by missing the animal.
    """
    inside = (target.mask > 0.5).float()
    both = inside * (mask.detach() > 0.5).float()
    error = (components - target.components).square().sum(-1) / target.variance
    area = inside.sum((1, 2)).clamp_min(1)
    feature = ((error * both).sum((1, 2)) + (inside - both).sum((1, 2))) / area
    return Terms((mask - target.mask).square().mean((1, 2)), (mask * target.outside).mean((1, 2)), feature)


def score(terms: Terms, weights: Weights) -> Tensor:
    """(B,) what a hypothesis' logit regresses: features far above shape, as published."""
    shape = weights.mask * terms.mask + weights.distance * terms.distance
    return weights.score_feature * terms.feature + weights.score_shape * shape


@torch.no_grad()
def score_hypotheses(
    model: PaperFauna, mesh: Mesh, displaced: Tensor | None, colours: Tensor, seen: Seen, target: Target, weights: Weights
) -> Tensor:
    """(B, H) losses of all hypotheses of all pictures, at rest: bones that bend toward the picture make a wrong view as good as the right.

    displaced (B, V, 3): rest vertices of each instance, None for the base shape's; target of GLANCE pixels.
    """
    batch, count = seen.views.rotation.shape[:2]
    rest = mesh.vertices.expand(batch, 1, -1, -1) if displaced is None else displaced[:, None]
    points = rest @ seen.views.rotation.transpose(2, 3) + seen.views.translation[:, None, None]  # (B, H, V, 3)
    mask, components = glance(points.flatten(0, 1), mesh.faces, colours, model.focal, target.mask.shape[-1])
    assert components is not None
    covered, outside, known = (part.repeat_interleave(count, 0) for part in (target.mask, target.outside, target.components))
    goal = Target(covered, outside, known, target.variance)
    return score(compare(mask, components, goal), weights).unflatten(0, (batch, count))


def eikonal(model: PaperFauna, mesh: Mesh, code: Tensor, generator: torch.Generator) -> Tensor:
    """Mean of (|gradient of the SDF| - 1)^2 in the box and about the surface."""
    half = model.config.half_extent
    spread = (torch.rand(EIKONAL_POINTS, 3, generator=generator) * 2 - 1) * half
    vertices = mesh.vertices.detach()
    near = vertices[torch.randint(len(vertices), (EIKONAL_POINTS,), generator=generator)]
    near = near + (torch.rand(near.shape, generator=generator) * 2 - 1) * EIKONAL_REACH * 2 * half
    points = torch.cat([spread, near]).requires_grad_(True)
    distance = model.base.netShape(points[None], code[None])
    (slope,) = torch.autograd.grad(distance.sum(), points, create_graph=True)
    return (slope.norm(dim=-1) - 1).square().mean()


@dataclass(frozen=True)
class Step:
    """Weighted terms to be summed; beside (B, H): what the hypotheses' logits regress (`ViewHead.compare`); terms of the chosen ones; what
    the discriminator reads."""

    losses: dict[str, Tensor]
    beside: Tensor
    chosen: Terms
    mesh: Mesh
    code: Tensor
    angles: Tensor | None
    skeleton: Bones | None
    seen: Seen


def step_losses(
    model: PaperFauna, batch: Batch, variance: float, grid: Grid, gates: Open, recipe: Recipe, generator: torch.Generator
) -> Step:
    """Everything but the discriminator's part for one batch."""
    weights = recipe.weights
    seen = model.perceive(batch, gates)
    code = seen.codes.mean(0)
    shift = ((torch.rand(2, generator=generator) * 2 - 1) * recipe.jitter * grid.spacing).tolist()
    mesh = model.surface(code, grid, (shift[0], shift[1]))
    if not gates.shape:
        mesh = Mesh(mesh.vertices.detach(), mesh.faces, mesh.ends, mesh.values.detach())
    skeleton = skeleton_of(mesh, gates)
    colours = model.colours(mesh.vertices.detach(), code)
    displaced = offset = None
    if gates.deformation:
        offset = model.deform(mesh.vertices.detach(), seen)
        displaced = mesh.vertices[None] + offset
    scores = score_hypotheses(model, mesh, displaced, colours, seen, target_of(batch, variance, GLANCE), weights)
    beside = model.view_head.compare(scores, batch.species, batch.box)
    known = gates.by_score * beside + (1 - gates.by_score) * seen.views.logits.detach()
    likely = probabilities(known, gates.sharpness, gates.uniform)
    chosen = choose(likely, gates.best, generator)
    rows = torch.arange(len(chosen))
    rotation = seen.views.rotation[rows, chosen]
    points, angles = model.posed(mesh, displaced, skeleton, seen, rotation, seen.views.translation, gates)
    mask, components = draw(points, mesh.faces, colours, model.focal, recipe.side)
    assert components is not None
    terms = compare(mask, components, target_of(batch, variance, recipe.side))
    losses = {
        "mask": weights.mask * terms.mask.mean(),
        "distance": weights.distance * terms.distance.mean(),
        "feature": weights.feature * terms.feature.mean(),
        "eikonal": weights.eikonal * eikonal(model, mesh, code, generator),
    }
    if scores.shape[1] > 1:
        losses["logit"] = weights.logit * logit_loss(seen.views.logits, beside)
    if angles is not None:
        losses["angles"] = weights.angles * angles.square().mean()
    if offset is not None:
        losses["deformation"] = weights.deformation * offset.square().sum(-1).mean()
    return Step(losses, beside, terms, mesh, code, angles, skeleton, seen)
