"""The networks of the `fauna` method, built once a process from verified weights.

Enters the bundled files of the manifest, or another file that `train fauna --export` wrote; leaves them in eval mode, float32, on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backend.errors import MenagerieError
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.model import Fauna
from backend.observe.efficientnet import load_encoder, shared_encoder
from backend.weights.load import open_file, open_noted_weights

WEIGHTS = ("efficientnet-lite0", "fauna-bundled")
ENCODER = "encoder."
"""Before the names of the encoder's stages that were tuned with the model, in its file; without any, those for photographs serve."""
HELD_OUT = "held_out"
"""Among a file's notes: the free animals of 0 A.D. that it has not learnt from."""


@dataclass(frozen=True)
class Networks:
    """held_out: names of the animals that training left out on purpose, None where the weights don't say."""

    encoder: torch.nn.Module
    model: Fauna
    held_out: frozenset[str] | None


_loaded: list[Networks] = []


def load_networks() -> Networks:
    """The bundled ones, kept for the next job of this process. Raises `weights_missing`, `weights_damaged`."""
    if not _loaded:
        _loaded.append(_build(*open_noted_weights(WEIGHTS[1])))
    return _loaded[0]


def use_weights(path: Path) -> Networks:
    """Those of a file, in this process, instead of the bundled ones. Raises `weights_missing`, `weights_damaged`."""
    networks = _build(*open_file(path))
    _loaded[:] = [networks]
    return networks


def apart(stored: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A file's tensors -> the model's, and by their own names those of the encoder's stages that were tuned with it."""
    own = {name: value for name, value in stored.items() if not name.startswith(ENCODER)}
    return own, {name.removeprefix(ENCODER): value for name, value in stored.items() if name.startswith(ENCODER)}


def _build(stored: Mapping[str, Tensor], notes: Mapping[str, Any]) -> Networks:
    model = Fauna(BUNDLED)
    own_state, tuned = apart(stored)
    state = {k: v.float() for k, v in own_state.items()}
    own = {k: v.shape for k, v in model.state_dict().items() if ".netDINO." not in k}
    if {k: v.shape for k, v in state.items()} != own:
        raise MenagerieError("weights_damaged", "The weights are not those of this version's fauna model.", "Choose another file.")
    model.load_state_dict(state, strict=False)
    encoder = load_encoder(tuned).requires_grad_(False) if tuned else shared_encoder()
    held_out = frozenset(notes[HELD_OUT]) if HELD_OUT in notes else None
    return Networks(encoder, model.eval().requires_grad_(False), held_out)
