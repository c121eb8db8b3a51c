"""From a weights id to tensors: the hash is checked before anything is parsed; safetensors only, no pickle.

Enters an id of `weights_manifest.json`; leaves a dict of tensors on the CPU, in the file's own dtypes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors
from safetensors.torch import load as parse
from torch import Tensor

from backend.errors import MenagerieError
from backend.weights.manifest import MANIFEST, Entry, find_entry, locate


def open_weights(id: str, manifest: Path = MANIFEST) -> dict[str, Tensor]:
    """-> name -> tensor, as stored (bundled files: fp16, statistics of normalisation layers float32).

    A downloaded checkpoint in another format is used through its conversion, whose hash `weights convert` wrote beside
    it. Raises `weights_missing`, `weights_damaged`.
    """
    entry = find_entry(id, manifest)
    if entry.format == "safetensors":
        return _parse(_read(entry, locate(entry, manifest), entry.sha256), id)
    converted = locate(entry, manifest).with_suffix(".safetensors")
    note = converted.with_suffix(".sha256")
    if not note.is_file():
        raise MenagerieError("weights_missing", f"The weights {id} are not converted.", f"Run: python -m backend weights convert {id}")
    return _parse(_read(entry, converted, note.read_text(encoding="ascii").strip()), id)


def _read(entry: Entry, path: Path, sha256: str) -> bytes:
    """The very bytes that were hashed, so that nothing can change between the check and the use."""
    remedy = None if entry.bundled else f"Download the weights {entry.id} again."
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MenagerieError("weights_missing", f"The weights {entry.id} are not there.", remedy) from None
    except OSError as error:
        raise MenagerieError("weights_damaged", f"The weights {entry.id} cannot be read.", remedy) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise MenagerieError("weights_damaged", f"The weights {entry.id} differ from the listed file.", remedy)
    return data


def _parse(data: bytes, id: str) -> dict[str, Tensor]:
    try:
        return parse(data)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise MenagerieError("weights_damaged", f"The weights {id} are not a valid safetensors file.") from error
