"""Stage two of training: the base SDF as an auto-decoder of the rest shapes, one code a shape, all on one mean skeleton."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.methods.fauna import losses
from backend.methods.fauna.model import Fauna
from backend.methods.fauna.training.samples import DistanceGrids
from backend.training.checkpoint import SAVE_SECONDS, restore, save

CODE_NORM, CODE_RATE = 0.6, 5e-4
"""Mean length of the codes that the auto-decoder starts from, and how fast they may leave there."""
FIELD_RATE, GENTLE = 1e-3, 0.2
"""Of the base SDF; the share of it that one which has learnt before may move."""


def principal_codes(grids: DistanceGrids, shapes: np.ndarray, dim: int) -> Tensor:
    """Scores (len(shapes), dim) of the shapes' clamped distances (every second node) on their principal components.

    A code drawn at random says nothing of the shape it comes to stand for, and no bank could find it: here like shapes begin
    alike. Scaled to a mean norm of CODE_NORM.
    """
    fields = np.stack([np.asarray(grids.grids[s][::2, ::2, ::2], np.float32).ravel() for s in shapes]).clip(-losses.CLAMP, losses.CLAMP)
    fields -= fields.mean(0)
    spread, axes = np.linalg.eigh((fields @ fields.T).astype(np.float64))
    order = np.argsort(-spread)[:dim]
    scores = axes[:, order] * np.sqrt(spread[order].clip(0))  # (s, <= dim)
    codes = np.zeros((len(shapes), dim), np.float32)
    codes[:, : scores.shape[1]] = scores * (CODE_NORM / max(float(np.linalg.norm(scores, axis=1).mean()), 1e-9))
    return torch.from_numpy(codes)


def learn_shapes(
    model: Fauna, grids: DistanceGrids, shapes: np.ndarray, path: Path, steps: int, seed: int, start: Callable[[], Tensor] | None = None
) -> Tensor:
    """Auto-decoder: the base SDF and one code a shape. shapes: indices to learn from; -> codes (S, code_dim) of all, on the CPU.

    start: gives the codes to begin from, where the base SDF has learnt before and is to go on; not asked by a run that resumes.
    """
    field_rate = FIELD_RATE if start is None else GENTLE * FIELD_RATE
    network = model.netBase.netShape
    device = next(network.parameters()).device
    codes = torch.nn.Parameter(torch.zeros(len(grids.grids), model.config.code_dim, device=device))
    optimizer = torch.optim.Adam([{"params": network.parameters(), "lr": field_rate}, {"params": [codes], "lr": CODE_RATE}])
    rng = np.random.default_rng(seed)
    step, started, saved = 0, time.perf_counter(), time.perf_counter()
    if path.exists():
        extra = restore(path, {"model": model}, optimizer, grids.fingerprint, rng)
        step = int(extra["step"])
        codes.data.copy_(extra["codes"])
    elif start is not None:
        codes.data.copy_(start())
    else:
        codes.data[shapes] = principal_codes(grids, shapes, model.config.code_dim).to(device)
    while step < steps:
        for group, base in zip(optimizer.param_groups, (field_rate, CODE_RATE), strict=True):
            group["lr"] = base * 0.5 * (1 + math.cos(math.pi * step / steps))
        chosen = rng.choice(shapes, 12)
        pairs = [grids.sample(int(s), 768, rng) for s in chosen]
        points = torch.from_numpy(np.stack([p for p, _ in pairs])).to(device)  # (12, 768, 3)
        truth = torch.from_numpy(np.stack([v for _, v in pairs])).to(device)
        code = codes[torch.from_numpy(chosen)]
        loss = losses.sdf_loss(network(points, code), truth)
        total = loss + 1e-3 * code.square().sum(-1).mean()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"shapes {step}/{steps} sdf {loss.item():.4f} {time.perf_counter() - started:.0f} s", flush=True)
        if time.perf_counter() - saved > SAVE_SECONDS or step == steps:
            now = {"codes": codes.detach(), "step": torch.tensor(step)}
            save(path, {"model": model}, optimizer, now, grids.fingerprint, rng)
            saved = time.perf_counter()
    return codes.detach().cpu()
