"""Adam for fits of a few hundred steps (Kingma and Ba 2015, algorithm 1), bit for bit `torch.optim.Adam` on the CPU.

torch's own optimizers import its compiler when the first one is made, 1.6 processor seconds and 60 MiB that a job of ten
seconds has no use for. Training keeps torch's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

DECAY = 0.9, 0.999
EPSILON = 1e-8


class Adam:
    """Groups are dicts as torch has them: "params" (tensors) and "lr"; other keys are kept. A rate may be changed at any step."""

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        self.param_groups = [{**group, "params": list(group["params"])} for group in groups]
        self._moments: dict[Tensor, tuple[Tensor, Tensor]] = {}
        self._steps: dict[Tensor, int] = {}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group["lr"])

    def _move(self, parameter: Tensor, gradient: Tensor, rate: float) -> None:
        if parameter not in self._moments:
            self._moments[parameter] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        mean, square = self._moments[parameter]
        count = self._steps[parameter] = self._steps.get(parameter, 0) + 1
        mean.lerp_(gradient, 1 - DECAY[0])
        square.mul_(DECAY[1]).addcmul_(gradient, gradient, value=1 - DECAY[1])
        spread = (square.sqrt() / math.sqrt(1 - DECAY[1] ** count)).add_(EPSILON)
        parameter.addcdiv_(mean, spread, value=-rate / (1 - DECAY[0] ** count))
