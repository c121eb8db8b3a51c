"""The small Adam walks exactly where torch's walks, and brings no compiler along."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import torch

from backend.methods.descent import Adam


def walk(optimizer_class: Any) -> list[torch.Tensor]:
    """Thirty steps down a bent valley, with two rates, one of them falling, and a parameter that nothing depends on."""
    torch.manual_seed(0)
    a, b, idle = torch.randn(5).requires_grad_(), torch.randn(3, 2).requires_grad_(), torch.ones(2, requires_grad=True)
    optimizer = optimizer_class([{"params": [a, idle], "lr": 0.05, "rate": 0.05}, {"params": iter([b]), "lr": 0.2}])
    for step in range(30):
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["rate"] * (1 - step / 30)
        energy = (a.square().sum() - b.prod()).square() + (b - 1).abs().sum()
        optimizer.zero_grad()
        energy.backward()
        optimizer.step()
    return [a.detach(), b.detach(), idle.detach()]


def test_it_equals_torchs_adam_bit_for_bit() -> None:
    for ours, theirs in zip(walk(Adam), walk(torch.optim.Adam), strict=True):
        assert torch.equal(ours, theirs)


def test_it_loads_no_compiler() -> None:
    script = """if True:
        import sys, torch
        from backend.methods.descent import Adam
        x = torch.ones(1, requires_grad=True)
        adam = Adam([{"params": [x], "lr": 1.0}])
        x.sum().backward()
        adam.step()
        adam.zero_grad()
        sys.exit("torch._dynamo" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
