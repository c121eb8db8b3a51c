"""Stage three of training: everything together from rendered pictures and their truth."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.methods.fauna.training.learner import Learner, validate
from backend.methods.fauna.training.samples import DistanceGrids, Samples
from backend.methods.fauna.training.skeletons import Skeletons
from backend.methods.fauna.training.terms import batch_losses
from backend.training.checkpoint import SAVE_SECONDS, restore, save

RATES = (1.5e-4, 8e-4, 2e-4)
"""Of the base SDF, of the heads, of an encoder that is tuned. The base SDF moves slowly: bent to every training picture's code, it makes
chimeras of codes between species."""
AGAIN = 0.7
"""Share of these for networks that have learnt before."""
WARM_UP = 300
"""Steps until the rates stand."""


def learn_pictures(
    learner: Learner, samples: Samples, grids: DistanceGrids, codes: Tensor, path: Path, steps: int, batch_size: int, seed: int, log: Path,
    again: bool = False,
) -> None:  # fmt: skip
    """Stage three: bank, viewpoint, joints, lifting, articulation, deformation and the base SDF together, and a tuned encoder.

    again: the networks have learnt before.
    """
    model, codes = learner.model, codes.to(learner.device)
    base = [p for n, p in model.named_parameters() if n.startswith("netBase.netShape")]
    rest = [p for n, p in model.named_parameters() if not n.startswith("netBase.netShape")]
    tuned = learner.networks.get("encoder")
    encoder = [] if tuned is None else [p for p in tuned.parameters() if p.requires_grad]
    rates = [rate * (AGAIN if again else 1.0) for rate in RATES]
    groups = list(zip((base, rest, encoder), rates, strict=True))[: 3 if encoder else 2]
    optimizer = torch.optim.AdamW([{"params": group, "lr": rate} for group, rate in groups], weight_decay=1e-3)
    step, started, saved = 0, time.perf_counter(), time.perf_counter()
    rng = np.random.default_rng(seed)
    if path.exists():
        step = int(restore(path, learner.networks, optimizer, grids.fingerprint, rng)["step"])
        print(f"resumed at step {step}", flush=True)
    skeletons = Skeletons(
        samples.rest[np.flatnonzero(samples.shape_split == "train")].numpy(), samples.truth["rotations"][samples.train], model.focal,
        np.random.default_rng(seed),
    )  # fmt: skip
    running: dict[str, float] = {}
    while step < steps:
        for group, rate in zip(optimizer.param_groups, rates, strict=False):
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1.02 + math.cos(math.pi * step / steps))
        batch = learner.batch(samples, samples.draw(batch_size, rng), vary=True)
        terms = batch_losses(model, batch, codes, grids, skeletons, rng)
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_([*base, *rest, *encoder], 5.0)
        optimizer.step()
        step += 1
        for key, value in terms.items():
            running[key] = 0.95 * running.get(key, value.item()) + 0.05 * value.item()
        if step % 50 == 0:
            line = " ".join(f"{k} {v:.3f}" for k, v in running.items())
            print(f"{step}/{steps} {time.perf_counter() - started:.0f} s {line}", flush=True)
        if step % 400 == 0 or step == steps:
            scores = validate(learner, samples, 256) if len(samples.validation) else {}
            print("validation " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()), flush=True)
            with log.open("a") as out:
                out.write(json.dumps({"step": step, "seconds": round(time.perf_counter() - started), **scores}) + "\n")
        if time.perf_counter() - saved > SAVE_SECONDS or step == steps:
            save(path, learner.networks, optimizer, {"step": torch.tensor(step)}, grids.fingerprint, rng)
            saved = time.perf_counter()
