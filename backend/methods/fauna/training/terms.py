"""What training from pictures lowers: every term of the bundled preset, supervised by the renderer's truth."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.methods.fauna import losses
from backend.methods.fauna.model import Blur, Fauna
from backend.methods.fauna.training.samples import Batch, DistanceGrids, restyle
from backend.methods.fauna.training.skeletons import Skeletons
from backend.rig.kinematics import pose_points
from backend.rig.rotations import euler_to_matrix

SEEN_NOISE, SHOWN = 0.015, 0.75
"""Half widths added to the points that lifting learns from, and the share of pictures that it may look at."""
MISTAKEN, FAR = 0.6, 0.8
"""Share of pictures whose category is drawn toward another's before lifting mends it, and how far at most."""
CATEGORY = 0.5
"""Weight of what the bank's code alone gives, over what the whole picture gives."""
FEW = 6
"""Pictures of a batch whose signed distances are compared."""


def batch_losses(
    model: Fauna, batch: Batch, codes: Tensor, grids: DistanceGrids, skeletons: Skeletons, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Every term of the bundled preset, weighted; `sum` them. batch: on the model's device; codes (S, code_dim) of all shapes."""
    device = batch.rotation.device
    with torch.autocast(device.type, torch.bfloat16):  # 1.6 times faster, same scores
        seen = model.perceive(restyle(batch.taps), blur=draw_blur(batch, rng)).map(Tensor.float)
    rows = torch.arange(len(batch.shape), device=device)
    _, _, quadrant = losses.true_view(batch.rotation)
    turn, logit, place = losses.viewpoint_losses(seen.viewpoints, batch.rotation, batch.translation, quadrant)
    heat = losses.heat_loss(seen.heat, seen.seen, batch.seen, batch.visible)

    own = codes[batch.shape]
    code = (seen.code - own).square().mean() / own.var(0).mean()
    few = rng.choice(len(batch.shape), min(FEW, len(batch.shape)), replace=False)
    pairs = [grids.sample(int(batch.shape[i]), 512, rng) for i in few]
    points = torch.from_numpy(np.stack([p for p, _ in pairs])).to(device)
    truth = torch.from_numpy(np.stack([v for _, v in pairs])).to(device)
    points.requires_grad_(True)
    chosen_few = torch.from_numpy(few).to(device)
    distance = model.netBase.netShape(points, seen.code[chosen_few])
    sdf = losses.sdf_loss(distance, truth)
    # The instance's own displacement: one Newton step brings a true surface point x onto the base surface at
    # b = x - f n; the network learns b -> x (normals and b detached).
    (normal,) = torch.autograd.grad(distance.sum(), points, retain_graph=True)
    with torch.no_grad():
        normal = normal / normal.square().sum(-1, keepdim=True).clamp_min(0.04)
        gap = ((truth - distance)[..., None] * normal).clamp(-0.15, 0.15)  # moves the base level set to the true one
        close = (truth.abs() < 0.06).float()
    moved = model.netInstance.netDeform(points.detach(), seen.feat_key[chosen_few]) * model.config.deformation_scale
    deform = ((moved + gap).square().sum(-1) * close).sum() / close.sum().clamp_min(1)

    # The code alone is to say what the category looks like; what is seen adds to it.
    _, stout = model.netInstance.netRest(seen.code, None)
    rest = (seen.rest - batch.rest).abs().sum(-1).mean() + CATEGORY * (seen.category - batch.rest).abs().sum(-1).mean()
    girth = (seen.girth - batch.girth).abs().mean() + CATEGORY * (stout - batch.girth).abs().mean()
    chosen = seen.viewpoints.rotation[rows, quadrant]
    with torch.autocast(device.type, torch.bfloat16):
        angles = model.articulate(seen, chosen, seen.viewpoints.translation)
    local = euler_to_matrix(angles.float())
    bones = (local - batch.rotations[:, 1:]).square().sum((2, 3)).mean()
    root = torch.eye(3, device=device).expand(len(rows), 1, 3, 3)
    posed = pose_points(seen.rest, torch.cat([root, local], 1))  # (B, P, 3)
    posed_gap = (posed - batch.points).abs().sum(-1).mean()
    through = posed @ chosen.transpose(1, 2) + seen.viewpoints.translation[:, None]
    overlay = (model.project(through) - batch.seen).abs().sum(-1).clamp(max=1).mean()
    turned = batch.points @ batch.rotation.transpose(1, 2)
    lift = (seen.lifted - (turned - turned.mean(1, keepdim=True))).abs().sum(-1).mean()
    drawn = skeletons.draw(len(rows), rng).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        unseen, change = model.netInstance.netLifting(drawn.seen, drawn.confidence, drawn.category, None)
    unseen_lift = (unseen.float() - drawn.points).abs().sum(-1).mean()
    unseen_rest = (drawn.category + model.netInstance.netRest.mirrored(change.float()) - drawn.rest).abs().sum(-1).mean()
    terms = {
        "turn": 2 * turn, "logit": 0.3 * logit, "place": 2 * place, "heat": 3 * heat, "code": 0.3 * code, "sdf": 8 * sdf,
        "deform": 4 * deform, "rest": rest, "girth": 2 * girth, "bones": 0.5 * bones, "posed": posed_gap, "overlay": 2 * overlay,
        "lift": lift, "unseen": unseen_lift, "unseen_rest": 0.5 * unseen_rest,
    }  # fmt: skip
    return terms


def draw_blur(batch: Batch, rng: np.random.Generator) -> Blur:
    """Less than it sees of training's animals: on animals never trained, points are seen worse and the bank's code says less."""
    count, device = len(batch.shape), batch.rotation.device
    other = torch.from_numpy(rng.permutation(count)).to(device)
    away = torch.from_numpy((rng.uniform(0, FAR, count) * (rng.random(count) < MISTAKEN)).astype(np.float32)).to(device)
    shown = torch.from_numpy((rng.random(count) < SHOWN).astype(np.float32)).to(device)
    noise = SEEN_NOISE * torch.randn_like(batch.seen)
    return Blur(noise, away[:, None, None] * (batch.rest[other] - batch.rest), shown)
