"""Saving and resuming of training: networks, optimisers, generators and what else a run is, in one file, whole or not at all.

One safetensors file. Its tensors are `NAME.…` of each network, `optimizer.N.…` of parameter N (of several optimisers: `NAME.N.…`),
`extra.…` and `random.torch`; its metadata is one key, `note`, of sorted JSON: `data`, the fingerprint of what is learnt from, and
`numpy`, the state of the run's own generator. Rates are not kept: a learner sets them anew at each step.

A run on the CPU that was stopped goes on bit for bit as if it had not been, provided that it draws from torch's own generator and the
one given here, or from generators that follow from its seed and step alone. Generators of other devices are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from backend.asset.write import write_whole
from backend.errors import MenagerieError

SAVE_SECONDS = 180
"""Between two checkpoints."""
EXTRA, RANDOM = "extra", "random"


class Extra(dict[str, Tensor]):
    """What a checkpoint holds beside networks and optimisers; a tensor that it lacks is an error with a code."""

    def __init__(self, tensors: dict[str, Tensor], path: Path) -> None:
        super().__init__(tensors)
        self.path = path

    def __missing__(self, name: str) -> Tensor:
        raise misfit(self.path, f"it has no {EXTRA}.{name}")


def save(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: Optimizer | Mapping[str, Optimizer],
    extra: Mapping[str, Tensor],
    data: str,
    rng: np.random.Generator | None = None,
) -> None:
    """Write a run to `path`, in place of what is there.

    networks, extra: by names of the caller's choice; optimizer: one, or several by name; data: fingerprint of samples and settings that
    only the same run has; rng: the generator that the run draws from, where it goes on from step to step. Raises disk_full or
    not_writable, and leaves what was there as it was.
    """
    optimizers = by_name(networks, optimizer)
    tensors = {f"{name}.{k}": v for name, network in networks.items() for k, v in network.state_dict().items()}
    for name, each in optimizers.items():
        for number, state in each.state_dict()["state"].items():
            tensors |= {f"{name}.{number}.{kind}": torch.as_tensor(value) for kind, value in state.items()}
    tensors |= {f"{EXTRA}.{name}": value for name, value in extra.items()}
    tensors[f"{RANDOM}.torch"] = torch.get_rng_state()
    note: dict[str, Any] = {"data": data}
    if rng is not None:
        note["numpy"] = rng.bit_generator.state
    stored = {name: value.detach().contiguous() for name, value in tensors.items()}
    write_whole(safetensors.torch.save(stored, {"note": json.dumps(note, sort_keys=True)}), path)


def restore(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: Optimizer | Mapping[str, Optimizer],
    data: str,
    rng: np.random.Generator | None = None,
) -> Extra:
    """Load what `save` wrote into networks, optimisers, torch's generator and `rng`; returns the extra tensors, on the CPU.

    A file that keeps no generators leaves them as they are. Raises weights_damaged where the file cannot be read, bad_request where it
    was learnt from other `data` or does not fit networks or optimisers.
    """
    optimizers = by_name(networks, optimizer)
    try:
        with safe_open(path, "pt") as file:
            note = json.loads((file.metadata() or {})["note"])
            learnt_from = note["data"]
            # Copies: while a tensor maps the file, Windows lets nothing take its place.
            tensors: dict[str, Tensor] = {name: file.get_tensor(name).clone() for name in file.keys()}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as fault:
        raise MenagerieError("weights_damaged", f"{path} is no whole checkpoint.", "Remove it, or choose another --out.") from fault
    if learnt_from != data:
        sentence = f"{path} was learnt from other samples or with other settings."
        raise MenagerieError("bad_request", sentence, "Go on with those, or choose another --out.")
    moments = {name: moments_of(each, part(tensors, name), path) for name, each in optimizers.items()}
    for name, network in networks.items():
        try:
            network.load_state_dict(part(tensors, name))
        except RuntimeError as fault:
            raise misfit(path, str(fault)) from fault
    for name, each in optimizers.items():
        each.load_state_dict(each.state_dict() | {"state": moments[name]})
    if f"{RANDOM}.torch" in tensors:
        torch.set_rng_state(tensors[f"{RANDOM}.torch"])
    if rng is not None and "numpy" in note:
        rng.bit_generator.state = note["numpy"]
    return Extra(part(tensors, EXTRA), path)


def by_name(networks: Mapping[str, nn.Module], optimizer: Optimizer | Mapping[str, Optimizer]) -> dict[str, Optimizer]:
    """The optimisers by name, `optimizer` where there is one. Raises ValueError where two things of the file had one name."""
    optimizers = {"optimizer": optimizer} if isinstance(optimizer, Optimizer) else dict(optimizer)
    names = [*networks, *optimizers, EXTRA, RANDOM]
    if len(set(names)) < len(names) or any("." in name for name in names):
        raise ValueError(f"names of a checkpoint's parts must differ and have no dot: {', '.join(names)}")
    return optimizers


def moments_of(optimizer: Optimizer, tensors: dict[str, Tensor], path: Path) -> dict[int, dict[str, Tensor]]:
    """`N.kind` -> by parameter and kind. Parameters without any have had no gradient yet. Raises bad_request where they do not fit."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, kind = key.partition(".")
        if not number.isdecimal() or int(number) >= len(parameters):
            raise misfit(path, f"no parameter has the optimiser's number {number}")
        parameter = parameters[int(number)]
        if value.dim() and value.shape != parameter.shape:
            raise misfit(path, f"the optimiser's {key} is {tuple(value.shape)}, its parameter {tuple(parameter.shape)}")
        # In the parameter's own order of axes: over another, the same sums may round differently.
        laid = torch.empty_like(parameter, dtype=value.dtype).copy_(value) if value.dim() else value
        moments.setdefault(int(number), {})[kind] = laid
    if len({frozenset(kinds) for kinds in moments.values()}) > 1:
        raise misfit(path, "some parameters lack some of the optimiser's moments")
    return moments


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """What stands under `name.`, without it."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def misfit(path: Path, reason: str) -> MenagerieError:
    """For a whole checkpoint of another network or learner."""
    sentence = f"{path} does not fit what is to go on: {reason}."
    return MenagerieError("bad_request", sentence, "Choose another --out, or go on with the version that wrote it.")
