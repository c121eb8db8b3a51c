"""Checkpoints of training, and what is shipped of them: safetensors, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backend.weights.manifest import MANIFEST, register

SAVE_SECONDS = 180
"""Between two checkpoints."""


def save(path: Path, networks: dict[str, nn.Module], optimizer: torch.optim.Optimizer, extra: dict[str, Tensor], data: str) -> None:
    """Write networks by name, optimiser and extra tensors as one file. data: fingerprint of the samples that it was learnt from."""
    tensors = {f"{name}.{k}": v.contiguous() for name, network in networks.items() for k, v in network.state_dict().items()}
    tensors.update({f"extra.{k}": v.contiguous() for k, v in extra.items()})
    for i, state in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{i}.{k}": torch.as_tensor(v).contiguous() for k, v in state.items()})
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"note": json.dumps({"data": data}, sort_keys=True)})
    os.replace(partial, path)


def restore(path: Path, networks: dict[str, nn.Module], optimizer: torch.optim.Optimizer, data: str) -> dict[str, Tensor]:
    """Load what `save` wrote; returns the extra tensors. Raises ValueError where it was learnt from other samples than `data`."""
    with safe_open(path, "pt") as file:
        if json.loads(file.metadata()["note"])["data"] != data:
            raise ValueError(f"{path} was learnt from other shapes: go on with their folder, or begin in another --out")
    tensors = load_file(path)
    for name, network in networks.items():
        network.load_state_dict(part(tensors, name))
    state = optimizer.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in part(tensors, "optimizer").items():
        i, name = key.split(".")
        moments.setdefault(int(i), {})[name] = value
    state["state"] = moments
    optimizer.load_state_dict(state)
    return part(tensors, "extra")


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """What stands under `name.`, without it."""
    return {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{name}.")}


def export(model: nn.Module, encoder: nn.Module | None, path: Path, note: dict[str, object]) -> None:
    """Write parameters in fp16 (what is bundled), without what only training from images needs; a tuned encoder under `encoder.`.

    A file inside the repository is registered in the manifest.
    """
    state = {k: v.half().contiguous() for k, v in model.state_dict().items() if ".netDINO." not in k}
    if encoder is not None:
        for k, v in encoder.state_dict().items():
            if not k.endswith("num_batches_tracked"):
                state[f"encoder.{k}"] = (v.float() if ".norm." in k else v.half()).contiguous()
    partial = path.with_suffix(".partial")
    save_file({k: v.cpu() for k, v in state.items()}, partial, metadata={"recipe": json.dumps(note, sort_keys=True)})
    os.replace(partial, path)
    if path.resolve().is_relative_to(MANIFEST.resolve().parent):
        register(
            path, "fauna-bundled", method="fauna", licence="CC-BY-SA-3.0",
            attribution="Learnt from animals of 0 A.D. © Wildfire Games (CC-BY-SA-3.0)", source=str(note["command"]),
        )  # fmt: skip
