"""Learning the animal decoder from stored features: batches that follow from the seed and the step alone.

The loss is the cross entropy of each part of the picture, and one minus the pictures' soft overlap (Milletari et al. 2016, arXiv
1606.04797). What is kept is the running mean of the decoder over steps.
"""

from __future__ import annotations

import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backend.observe.animal.decoder import STRIDE, AnimalDecoder
from backend.training.checkpoint import SAVE_SECONDS, restore, save
from backend.training.mask.samples import Samples

RATE, DECAY, WARM_STEPS = 2e-3, 1e-2, 40
KEPT = 0.98
"""Share of the running mean that each step keeps, once there were many."""
OVERLAP_WEIGHT = 0.6
LOG_STEPS = 20


def loss_of(logits: Tensor, covers: Tensor) -> Tensor:
    """logits (B, h, w), covers (B, h, w) in [0, 1] -> ()."""
    parts = functional.binary_cross_entropy_with_logits(logits, covers)
    found = torch.sigmoid(logits)
    # A picture without an animal has no overlap; the added constant makes it count where something is found all the same.
    room = 0.002 * covers[0].numel()
    overlap = (2 * (found * covers).sum((1, 2)) + room) / (found.sum((1, 2)) + covers.sum((1, 2)) + room)
    return parts + OVERLAP_WEIGHT * (1 - overlap).mean()


def rate_at(step: int, steps: int) -> float:
    """A short rise, then half a cosine to zero."""
    return RATE * min(1.0, (step + 1) / WARM_STEPS) * 0.5 * (1 + math.cos(math.pi * step / steps))


class Learner:
    """The decoder that learns, its running mean, and where it stands. data: what the samples follow from (`Samples.data`)."""

    def __init__(self, data: str, seed: int) -> None:
        torch.manual_seed(seed)
        self.decoder = AnimalDecoder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean = copy.deepcopy(self.decoder)
        self.optimizer = torch.optim.AdamW(self.decoder.parameters(), RATE, weight_decay=DECAY)
        self.networks = {"decoder": self.decoder, "mean": self.mean}
        self.fingerprint, self.seed, self.step = f"{data}, learner's seed {seed}", seed, 0

    def learn(self, samples: Samples, steps: int, batch: int, path: Path, log: Path) -> None:
        """Go on to `steps`, saving to `path` now and then and at the end; a line of `log` every `LOG_STEPS`."""
        saved, losses = time.monotonic(), []
        self.decoder.train()
        while self.step < steps:
            losses.append(self.take_step(samples, batch, rate_at(self.step, steps)))
            if self.step % LOG_STEPS == 0 or self.step == steps:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": self.step, "loss": round(float(np.mean(losses)), 4)}) + "\n")
                losses = []
            if self.step == steps or time.monotonic() - saved > SAVE_SECONDS:
                self.save(path)
                saved = time.monotonic()
        self.decoder.eval()

    def take_step(self, samples: Samples, batch: int, rate: float) -> float:
        """One batch -> its loss."""
        rng = np.random.default_rng([self.seed, 7, self.step])
        count = len(samples.covers)
        chosen = np.sort(rng.choice(count, batch, replace=count < batch))
        maps = [torch.from_numpy(stored[chosen]).float().contiguous(memory_format=torch.channels_last) for stored in samples.maps]
        covers = torch.from_numpy(samples.covers[chosen]).float() / 255  # (B, 256, 256)
        covers = functional.avg_pool2d(covers[:, None], STRIDE)[:, 0]  # (B, 128, 128)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.decoder(*maps)
        loss = loss_of(logits.float(), covers)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        kept = min(KEPT, self.step / (self.step + 10))
        with torch.no_grad():
            for (name, mean), value in zip(self.mean.state_dict().items(), self.decoder.state_dict().values(), strict=True):
                mean.copy_(value if name.endswith("num_batches_tracked") else torch.lerp(value, mean, kept))
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Decoder, running mean and optimiser in one file (`training.checkpoint`)."""
        save(path, self.networks, self.optimizer, {"step": torch.tensor(self.step)}, self.fingerprint)

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote. Raises bad_request where it was learnt from other pictures or with another seed."""
        self.step = int(restore(path, self.networks, self.optimizer, self.fingerprint)["step"])
