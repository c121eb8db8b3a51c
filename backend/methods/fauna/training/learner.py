"""The networks that training from pictures moves, and their scores on species never trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from backend.methods.fauna.encoder import Taps
from backend.methods.fauna.model import Fauna
from backend.methods.fauna.training.samples import Batch, Samples, restyle_map
from backend.observe.efficientnet import EfficientNetLite0, deep_stages
from backend.rig.kinematics import pose_points
from backend.rig.rotations import euler_to_matrix


@dataclass(frozen=True)
class Learner:
    """model; encoder: where it is tuned too, behind stride 8, else None and its stored features serve; device of both."""

    model: Fauna
    encoder: EfficientNetLite0 | None
    device: torch.device

    @property
    def networks(self) -> dict[str, nn.Module]:
        """By the names that a checkpoint gives them."""
        return {"model": self.model} | ({} if self.encoder is None else {"encoder": deep_stages(self.encoder)})

    def batch(self, samples: Samples, index: NDArray[np.int64], vary: bool = False) -> Batch:
        """What the encoder makes of pictures of `samples`, on the device. vary: of other style each, where it is tuned."""
        batch = samples.batch(index).to(self.device)
        if self.encoder is None:
            return batch
        stride8 = restyle_map(batch.taps.stride8) if vary else batch.taps.stride8
        return replace(batch, taps=Taps(stride8, *self.encoder.deep(stride8.contiguous(memory_format=torch.channels_last))))


@torch.no_grad()
def validate(learner: Learner, samples: Samples, limit: int = 512) -> dict[str, float]:
    """On species never trained, by the network alone: heading, PCK@0.1 of seen and of posed points, errors of lifting and rest shape."""
    model = learner.model.eval()
    index = samples.validation[:: max(1, len(samples.validation) // limit)]
    rows: list[dict[str, float]] = []
    for part in np.array_split(index, max(1, len(index) // 64)):
        batch = learner.batch(samples, part)
        seen = model.perceive(batch.taps)
        best = seen.viewpoints.logits.argmin(-1)
        n = torch.arange(len(part), device=batch.rotation.device)
        chosen = seen.viewpoints.rotation[n, best]
        local = euler_to_matrix(model.articulate(seen, chosen, seen.viewpoints.translation))
        posed = pose_points(seen.rest, torch.cat([torch.eye(3, device=batch.rotation.device).expand(len(part), 1, 3, 3), local], 1))
        image = model.project(posed @ chosen.transpose(1, 2) + seen.viewpoints.translation[:, None])
        truth = batch.seen
        side = (truth.amax(1) - truth.amin(1)).amax(-1)  # (B,)
        heading = torch.rad2deg(torch.acos((functional.normalize(chosen[:, [0, 2], 2], dim=-1)
                  * functional.normalize(batch.rotation[:, [0, 2], 2], dim=-1)).sum(-1).clamp(-1, 1)))  # fmt: skip
        turned = batch.points @ batch.rotation.transpose(1, 2)
        turned = turned - turned.mean(1, keepdim=True)
        scale = (seen.lifted * turned).sum((1, 2)) / seen.lifted.square().sum((1, 2)).clamp_min(1e-6)
        depth = (scale[:, None, None] * seen.lifted - turned).norm(dim=-1).mean(1) / (turned.amax(1) - turned.amin(1)).norm(dim=-1)
        diagonal = (batch.rest.amax(1) - batch.rest.amin(1)).norm(dim=-1)
        rows += [
            {"heading": float(heading[i]), "heading45": float(heading[i] < 45),
             "pck_seen": float(((seen.seen[i] - truth[i]).norm(dim=-1) < 0.1 * side[i]).float().mean()),
             "pck_posed": float(((image[i] - truth[i]).norm(dim=-1) < 0.1 * side[i]).float().mean()),
             "rest": float((seen.rest[i] - batch.rest[i]).norm(dim=-1).mean() / diagonal[i]),
             "category": float((seen.category[i] - batch.rest[i]).norm(dim=-1).mean() / diagonal[i]),
             "lifted": float(depth[i]), "girth": float((seen.girth[i] - batch.girth[i]).abs().mean())}
            for i in range(len(part))
        ]  # fmt: skip
    model.train()
    result = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    result["heading_median"] = float(np.median([row["heading"] for row in rows]))
    return result
