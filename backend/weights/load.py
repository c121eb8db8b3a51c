"""From a weights id to tensors: the hash is checked before anything is parsed; safetensors only, no pickle.

Enters an id of `weights_manifest.json`; leaves a dict of tensors on the CPU, in the file's own dtypes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load as parse
from torch import Tensor

from backend.errors import MenagerieError
from backend.weights.manifest import MANIFEST, Entry, find_entry, locate, remedy_of

NOTES = "notes"
"""Under which key of a safetensors file's header `convert` leaves what it found out, and training its recipe, as JSON."""


def open_weights(id: str, manifest: Path = MANIFEST) -> dict[str, Tensor]:
    """-> name -> tensor, as stored (bundled files: fp16, statistics of normalisation layers float32).

    A downloaded checkpoint in another format is used through its conversion, whose hash `weights convert` wrote beside
    it. Raises `weights_missing`, `weights_damaged`.
    """
    return _parse(_verified(id, manifest), id)


def open_noted_weights(id: str, manifest: Path = MANIFEST) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """-> tensors as from `open_weights`, and what conversion or training noted about them ({} where it noted nothing)."""
    data = _verified(id, manifest)
    return _parse(data, id), _notes(data)


def open_file(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The same of a file that somebody chose, whose hash nobody knows. Raises `weights_missing`, `weights_damaged`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MenagerieError("weights_missing", f"{path} cannot be read.", "Choose another file.") from error
    return _parse(data, path.name), _notes(data)


def _notes(data: bytes) -> dict[str, Any]:
    """data: a whole safetensors file that was parsed."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return dict(json.loads(header.get("__metadata__", {}).get(NOTES, "{}")))


def _verified(id: str, manifest: Path) -> bytes:
    entry = find_entry(id, manifest)
    if entry.format == "safetensors":
        return _read(entry, locate(entry, manifest), entry.sha256)
    converted = locate(entry, manifest).with_suffix(".safetensors")
    sha256 = converted.with_suffix(".sha256")
    if not sha256.is_file():
        raise MenagerieError("weights_missing", f"The weights {id} are not converted.", f"Run: python -m backend weights convert {id}")
    return _read(entry, converted, sha256.read_text(encoding="ascii").strip())


def _read(entry: Entry, path: Path, sha256: str) -> bytes:
    """The very bytes that were hashed, so that nothing can change between the check and the use."""
    remedy = None if entry.bundled else remedy_of(entry)
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
