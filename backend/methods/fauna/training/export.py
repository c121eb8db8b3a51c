"""What is shipped of fauna's training: parameters in fp16 as safetensors, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from backend.methods.fauna.networks import ENCODER
from backend.observe.efficientnet import EfficientNetLite0, deep_stages
from backend.weights.load import NOTES
from backend.weights.manifest import MANIFEST, register

CREDIT = "Learnt from animals of 0 A.D. © Wildfire Games (CC-BY-SA-3.0)"
TUNED = "stages of the encoder tuned from EfficientNet-Lite0 © The TensorFlow Authors (Apache-2.0)"


def export(model: nn.Module, encoder: EfficientNetLite0 | None, path: Path, note: dict[str, object]) -> None:
    """Write parameters in fp16 (what is bundled), without what only training from images needs; of a tuned encoder the
    stages that learnt.

    A file inside the repository is registered in the manifest.
    """
    state = {k: v.half().contiguous() for k, v in model.state_dict().items() if ".netDINO." not in k}
    if encoder is not None:
        for k, v in deep_stages(encoder).state_dict().items():
            if not k.endswith("num_batches_tracked"):
                state[ENCODER + k] = (v.float() if ".norm." in k else v.half()).contiguous()
    partial = path.with_suffix(".partial")
    save_file({k: v.cpu() for k, v in state.items()}, partial, metadata={NOTES: json.dumps(note, sort_keys=True)})
    os.replace(partial, path)
    if path.resolve().is_relative_to(MANIFEST.resolve().parent):
        credit = CREDIT if encoder is None else f"{CREDIT}; {TUNED}"
        register(path, "fauna-bundled", method="fauna", licence="CC-BY-SA-3.0", attribution=credit, source=str(note["command"]))
