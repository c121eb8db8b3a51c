"""What the frozen encoder sees in stored pictures, computed once and kept beside them: 190 kB a picture.

Leaves `features_<tap>.npy` (N, ...) fp16 in the folder, and `features.json`: how many there are, and of what pictures. The encoder runs in
bfloat16 with its normalisation folded in.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from backend.asset.write import write_whole
from backend.observe.efficientnet import fold_norms, load_encoder
from backend.types import ByteArray

CPU = torch.device("cpu")
TAP_SHAPES = {"stride8": (40, 32, 32), "stride16": (112, 16, 16), "stride32": (320, 8, 8), "pooled": (1280,)}
"""Of pictures 256 pixels a side."""
BATCH, NOTED = 32, 8
"""Pictures encoded at once; batches between two notes of how many there are."""
LARGEST = 6e4
"""Of an fp16 number, with room to spare."""
DONE = "features.json"


def path_of(folder: Path, tap: str) -> Path:
    """Where a tap's features lie."""
    return folder / f"features_{tap}.npy"


def store_features(folder: Path, pictures: ByteArray, data: str, device: torch.device = CPU) -> None:
    """Encode pictures (N, 256, 256, 3), on from where an earlier run stopped.

    data: what the pictures follow from; of other data, or of more or fewer, all are encoded anew.
    """
    count, done = len(pictures), 0
    if (folder / DONE).exists():
        note = json.loads((folder / DONE).read_text("utf-8"))
        done = int(note["done"]) if (note["data"], note.get("count")) == (data, count) else 0
    if done >= count:
        return
    stores = {
        tap: np.lib.format.open_memmap(path_of(folder, tap), "r+" if done else "w+", np.float16, (count, *shape))
        for tap, shape in TAP_SHAPES.items()
    }
    encoder = fold_norms(load_encoder()).to(device)
    for number, first in enumerate(range(done, count, BATCH), 1):
        some = torch.from_numpy(np.array(pictures[first : first + BATCH])).to(device).permute(0, 3, 1, 2).float() / 255  # (B, 3, 256, 256)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
            seen = encoder(some.contiguous(memory_format=torch.channels_last))
        for tap, store in stores.items():
            store[first : first + BATCH] = getattr(seen, tap).float().clamp(-LARGEST, LARGEST).half().cpu().numpy()
        stop = min(first + BATCH, count)
        if number % NOTED == 0 or stop == count:
            for store in stores.values():
                store.flush()
            write_whole(json.dumps({"data": data, "count": count, "done": stop}).encode(), folder / DONE)
