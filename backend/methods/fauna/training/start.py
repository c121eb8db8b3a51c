"""Where training from pictures begins: from nothing, a bank of the shapes' codes; or from weights that were shipped, with other animals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn import functional

from backend.errors import MenagerieError
from backend.methods.fauna.model import Fauna
from backend.methods.fauna.networks import apart
from backend.methods.fauna.training.learner import Learner
from backend.methods.fauna.training.samples import Samples
from backend.observe.efficientnet import EfficientNetLite0, load_encoder

LOOKS = 8
"""Pictures of a shape that say what its code is."""


def start_bank(model: Fauna, samples: Samples, codes: Tensor, seed: int) -> None:
    """Values from k-means of the shapes' codes, keys anywhere, the mean rest shape."""
    index = np.sort(np.random.default_rng(seed).choice(samples.train, min(4000, len(samples.train)), replace=False))
    own, size = codes.numpy()[samples.truth["shape"][index]], model.config.bank_size
    distinct = np.unique(own, axis=0)
    centres = kmeans2(own, size, seed=seed, minit="++")[0] if len(distinct) > size else distinct[np.arange(size) % len(distinct)]
    with torch.no_grad():
        model.netBase.memory_bank.copy_(torch.from_numpy(centres.astype(np.float32)))
        model.netBase.memory_bank_keys.copy_(functional.normalize(torch.randn_like(model.netBase.memory_bank_keys), dim=-1))
    fold = model.netInstance.netRest.fold(samples.rest[samples.truth["shape"][index].astype(np.int64)])
    model.netInstance.netRest.mean.copy_(fold.mean(0))  # type: ignore[operator]
    model.canonical.copy_(samples.canonical)  # type: ignore[operator]


def start_from(model: Fauna, path: Path, samples: Samples) -> EfficientNetLite0 | None:
    """Take the networks and the bank of shipped weights (`export`), but for what only training from images needs; -> the encoder that
    was tuned with them, on the CPU, None where none was.

    Raises weights_damaged where the file cannot be read, bad_request where it is another network's, or was learnt on another mean
    skeleton than the samples'.
    """
    try:
        stored, tuned = apart({name: value.float() for name, value in safetensors.torch.load_file(path).items()})
    except (SafetensorError, OSError) as fault:
        raise MenagerieError("weights_damaged", f"{path} is no whole file of weights.", "Choose another --start.") from fault
    own = {name: value for name, value in model.state_dict().items() if ".netDINO." not in name}
    if {name: value.shape for name, value in stored.items()} != {name: value.shape for name, value in own.items()}:
        raise MenagerieError("bad_request", f"{path} does not fit the network that is to learn.", "Choose another --start.")
    if not torch.allclose(stored["canonical"], samples.canonical, atol=2e-3):  # kept in fp16
        raise MenagerieError("bad_request", f"{path} was learnt on another mean skeleton.", "Choose another --start, or other samples.")
    model.load_state_dict(stored, strict=False)
    model.canonical.copy_(samples.canonical)  # type: ignore[operator]
    return load_encoder(tuned).requires_grad_(False) if tuned else None


@torch.no_grad()
def mix_with_start(learner: Learner, path: Path, keep: float) -> None:
    """Leave `keep` of the weights that training began from in those it came to (WiSE-FT: Wortsman et al., CVPR 2022, eq. 1).

    The mean of both is better than either, on animals that were met by neither. Call after `start_from`, which checks the file.
    """
    stored, tuned = apart(safetensors.torch.load_file(path))
    pairs = [(learner.model.state_dict(), stored)]
    if learner.encoder is not None:
        pairs.append((learner.encoder.state_dict(), load_encoder(tuned).state_dict()))
    for own, begun in pairs:
        for name, value in own.items():
            if name in begun and name != "canonical" and value.is_floating_point():
                value.lerp_(begun[name].to(value), keep)


@torch.no_grad()
def codes_seen(learner: Learner, samples: Samples) -> Tensor:
    """(S, code_dim), on the CPU: for each shape that is learnt from, the mean of what the bank answers to `LOOKS` of its pictures."""
    learner.model.eval()
    shape = samples.truth["shape"]
    codes = torch.zeros(len(samples.rest), learner.model.config.code_dim)
    for number in np.unique(shape[samples.train]):
        batch = learner.batch(samples, samples.train[shape[samples.train] == number][:LOOKS])
        codes[int(number)] = learner.model.perceive(batch.taps).code.mean(0).cpu()
    learner.model.train()
    return codes
