"""The list of weights files and the check that a file is the one listed.

Enters `weights_manifest.json`, beside the backend's folder; leaves `Entry` objects, paths and verified bytes on disk.
Nothing here reads a tensor: `load.py` calls `verify` first. Paths of bundled files are relative to the manifest;
optional sets live in a folder of the person's (`optional_folder`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.errors import MenagerieError

MANIFEST = Path(__file__).resolve().parents[2] / "weights_manifest.json"
FILES = "backend/weights/files"
SCHEMA = 1
FOLDER_VARIABLE = "MENAGERIE_WEIGHTS"
FORMATS = ("safetensors", "torch_pickle", "onnx")
CHUNK = 1 << 20


@dataclass(frozen=True)
class Part:
    """A file that a person brings and a conversion reads. file: its path inside the package, or the package's own name."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """One weights file.

    id: what code asks for; method: the method or room that uses it; file: path of a bundled file, or the name inside
    the repository; repository, revision: Hugging Face source of an optional file ("" if bundled; revision "" where it
    is unknown: it is recorded at the first download and the hash decides); repository_type: "model" or "space";
    bytes, sha256: of the file; format: one of `FORMATS`; licence, attribution, source: sentences for the person; parts: of an
    optional file that comes from no repository: the package and the files in it that `weights convert` makes it from.
    """

    id: str
    method: str
    file: str
    bytes: int
    sha256: str
    format: str
    licence: str
    attribution: str
    source: str
    bundled: bool
    repository: str = ""
    revision: str = ""
    repository_type: str = "model"
    parts: tuple[Part, ...] = ()


def _check(entry: Entry) -> Entry:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", entry.id):
        raise ValueError(f"weights id {entry.id!r} is not lower-case letters, digits and hyphens")
    if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
        raise ValueError(f"sha256 of {entry.id} is not 64 hex digits")
    if entry.format not in FORMATS:
        raise ValueError(f"format {entry.format!r} of {entry.id} is not one of {FORMATS}")
    parts = Path(entry.file).parts
    if not parts or Path(entry.file).is_absolute() or ".." in parts:
        raise ValueError(f"file of {entry.id} is not a plain relative path")
    if any(not re.fullmatch(r"[0-9a-f]{64}", part.sha256) or part.bytes <= 0 for part in entry.parts):
        raise ValueError(f"a part of {entry.id} has no valid bytes and sha256")
    if [entry.bundled, bool(entry.repository), bool(entry.parts)].count(True) != 1:
        raise ValueError(f"{entry.id} must be bundled, or have a repository, or parts")
    return entry


def _entry(item: dict[str, Any]) -> Entry:
    parts = tuple(Part(**part) for part in item.get("parts", ()))
    return _check(Entry(**{**item, "parts": parts}))


def load_manifest(path: Path = MANIFEST) -> dict[str, Entry]:
    """-> id -> Entry. Raises `weights_missing` if the list is absent, `weights_damaged` if it does not follow the schema."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MenagerieError("weights_missing", "The list of weights files is not there.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MenagerieError("weights_damaged", "The list of weights files cannot be read.") from error
    try:
        if raw["schema"] != SCHEMA:
            raise ValueError(f"schema {raw['schema']!r}")
        entries = [_entry(item) for item in raw["weights"]]
    except (KeyError, TypeError, ValueError) as error:
        raise MenagerieError("weights_damaged", f"The list of weights files is not valid: {error}.") from error
    return {entry.id: entry for entry in entries}


def find_entry(id: str, path: Path = MANIFEST) -> Entry:
    """The entry called `id`; raises `weights_missing` if the list has none."""
    entries = load_manifest(path)
    if id not in entries:
        raise MenagerieError("weights_missing", f"No weights called {id!r} are listed.")
    return entries[id]


def manifest_hash(id: str, path: Path = MANIFEST) -> str:
    """The listed sha256 of `id`, for provenance. Raises `weights_missing`."""
    return find_entry(id, path).sha256


def optional_folder() -> Path:
    """Where downloaded sets are kept: $MENAGERIE_WEIGHTS, else the person's cache folder."""
    if os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE])
    cache = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "menagerie" / "weights"


def locate(entry: Entry, path: Path = MANIFEST) -> Path:
    """Where the entry's file is, or would be."""
    return path.parent / entry.file if entry.bundled else optional_folder() / entry.id / Path(entry.file).name


def remedy_of(entry: Entry) -> str:
    """How an optional set is had again."""
    if entry.parts:
        return f"Install {entry.id} from its file again, in the add-on's preferences."
    return f"Download the weights {entry.id} again."


def hash_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def verify(entry: Entry, path: Path) -> None:
    """Raise `weights_missing` or `weights_damaged` unless the file at `path` is, byte for byte, the listed one."""
    remedy = None if entry.bundled else remedy_of(entry)
    if not path.is_file():
        raise MenagerieError("weights_missing", f"The weights {entry.id} are not there.", remedy)
    if path.stat().st_size != entry.bytes or hash_file(path) != entry.sha256:
        raise MenagerieError("weights_damaged", f"The weights {entry.id} differ from the listed file.", remedy)


def write_manifest(entries: dict[str, Entry], path: Path = MANIFEST) -> None:
    """Write the list, sorted by id, whole or not at all."""
    items: list[dict[str, Any]] = [asdict(_check(entries[id])) for id in sorted(entries)]
    for item in items:
        if not item["parts"]:
            del item["parts"]
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps({"schema": SCHEMA, "weights": items}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def register(
    file: Path, id: str, *, method: str, licence: str, attribution: str, source: str, path: Path = MANIFEST
) -> Entry:  # fmt: skip
    """Put a bundled safetensors file into the list, or renew its bytes and sha256.

    file: the file, inside the manifest's folder; source: the recipe or the package it comes from. -> its new entry.
    """
    relative = file.resolve().relative_to(path.resolve().parent).as_posix()
    entry = Entry(
        id=id, method=method, file=relative, bytes=file.stat().st_size, sha256=hash_file(file), format="safetensors",
        licence=licence, attribution=attribution, source=source, bundled=True,
    )  # fmt: skip
    entries = load_manifest(path) if path.exists() else {}
    write_manifest({**entries, id: entry}, path)
    return entry
