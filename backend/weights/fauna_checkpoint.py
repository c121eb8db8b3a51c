"""The published 3D-Fauna checkpoint, in either of its two layouts -> one set of names, each tensor's shape asserted.

Enters a `.pth` file: `3DAnimals` (`netBase`, `netInstance`; 3DAnimals at 6b3a6ff) or `demo` (`netPrior`, `netInstance` and the bank at the
top level; the Space's code). Leaves float32 tensors `netBase.*` and `netInstance.*`, and what the file says about itself: layout and
`total_iter`. Optimisers, discriminator and training log are left out. The demo's bounds are stored the other way round (lows, then
highs), and it has a table of category vectors that nothing reads.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backend.errors import MenagerieError
from backend.weights.pickles import read_pickle

LAYOUTS = {"netBase": "3DAnimals", "netPrior": "demo"}
"""Top-level key of the base predictor -> layout."""
UNUSED = "classes_vectors"
BOUNDS = ("netBase.netDINO.min_max", "netInstance.netTexture.min_max", "netInstance.netLight.intensity_min_max")
FINISHED = 999_999
"""What the released code takes where a file has no `total_iter`."""

PARAMETERS = {
    "netBase.memory_bank": 7_680, "netBase.memory_bank_keys": 23_040, "netBase.netShape": 374_016, "netBase.netDINO": 312_320,
    "netInstance.netEncoder.ViT": 21_670_272, "netInstance.netEncoder.final_layer_patch_out": 4_720_128,
    "netInstance.netEncoder.final_layer_patch_key": 4_720_128, "netInstance.netTexture": 542_976, "netInstance.netPose": 3_749_376,
    "netInstance.netDeform": 344_832, "netInstance.netArticulation": 2_309_891, "netInstance.netLight": 263_168,
}  # fmt: skip
"""Parameters a module, bounds not counted."""

Shapes = dict[str, tuple[int, ...]]


def _linear(name: str, inside: int, out: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (out, inside), **({f"{name}.bias": (out,)} if bias else {})}


def _norm(name: str, size: int) -> Shapes:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _block(name: str, size: int, wider: int, bias: bool) -> Shapes:
    """A transformer's."""
    return {
        **_norm(f"{name}.norm1", size), **_norm(f"{name}.norm2", size), **_linear(f"{name}.attn.qkv", size, 3 * size, bias),
        **_linear(f"{name}.attn.proj", size, size), **_linear(f"{name}.mlp.fc1", size, wider), **_linear(f"{name}.mlp.fc2", wider, size),
    }  # fmt: skip


def _chain(name: str, *sizes: int) -> Shapes:
    """A bias-free perceptron, ReLUs between."""
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    return {f"{name}.network.{2 * i}.weight": (out, inside) for i, (inside, out) in enumerate(pairs)}


def _field(name: str, frequencies: int, feature: int, layers: int, out: int) -> Shapes:
    return {**_linear(f"{name}.in_layer", 3 + 6 * frequencies, 256), **_chain(f"{name}.mlp", 256 + feature, *[256] * (layers - 1), out)}


def _head(name: str, out: int) -> Shapes:
    """Convolutions over a 32x32 map of 384 channels."""
    kernels = {f"{name}.network.{3 * i}.weight": (out if i == 3 else 256, 256 if i else 384, 4, 4) for i in range(4)}
    return {**kernels, **_norm(f"{name}.network.1", 256), **_norm(f"{name}.network.4", 256), **_norm(f"{name}.network.7", 256)}


def published_shapes() -> Shapes:
    """Name -> shape of every tensor of the converted checkpoint."""
    base, instance = "netBase", "netInstance"
    vit, articulation = f"{instance}.netEncoder.ViT", f"{instance}.netArticulation"
    shapes: Shapes = {f"{base}.memory_bank": (60, 128), f"{base}.memory_bank_keys": (60, 384)}
    shapes |= _linear(f"{base}.netShape.mlp.in_layer", 51, 256) | _chain(f"{base}.netShape.mlp.style_mlp", 128, 256, 256)
    shapes |= {f"{base}.netShape.mlp.mlp.linear_{i}.weight": (256 if i < 4 else 1, 256) for i in range(5)}
    shapes |= _field(f"{base}.netDINO", 8, 128, 5, 16)
    shapes |= {f"{vit}.cls_token": (1, 1, 384), f"{vit}.pos_embed": (1, 785, 384)} | _norm(f"{vit}.norm", 384)
    shapes |= {f"{vit}.patch_embed.proj.weight": (384, 3, 8, 8), f"{vit}.patch_embed.proj.bias": (384,)}
    for i in range(12):
        shapes |= _block(f"{vit}.blocks.{i}", 384, 1536, bias=True)
    shapes |= _head(f"{instance}.netEncoder.final_layer_patch_out", 256) | _head(f"{instance}.netEncoder.final_layer_patch_key", 256)
    shapes |= _head(f"{instance}.netPose", 19)
    shapes |= _field(f"{instance}.netTexture", 10, 256, 8, 9) | _field(f"{instance}.netDeform", 10, 256, 5, 3)
    shapes |= _linear(f"{articulation}.in_layer.0", 793, 256) | _norm(f"{articulation}.in_layer.2", 256)
    for i in range(4):
        shapes |= _block(f"{articulation}.blocks.{i}", 256, 512, bias=False)
    shapes |= _linear(f"{articulation}.out_layer.0", 256, 3) | _chain(f"{instance}.netLight.mlp", 256, 256, 256, 256, 256, 4)
    return shapes | dict(zip(BOUNDS, ((16, 2), (9, 2), (2, 2)), strict=True))


def count_parameters(shapes: Shapes) -> dict[str, int]:
    """-> the parameters of each module of `PARAMETERS`."""
    return {
        module: sum(prod(shape) for name, shape in shapes.items() if f"{name}.".startswith(f"{module}.") and name not in BOUNDS)
        for module in PARAMETERS
    }


def read_fauna_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str | int]]:
    """-> the tensors, and {"layout": "3DAnimals" or "demo", "total_iter": ...}. Raises `weights_damaged` for any other file."""
    tree = read_pickle(path)
    keys = [key for key in LAYOUTS if isinstance(tree, dict) and isinstance(tree.get(key), dict)]
    if len(keys) != 1 or not isinstance(tree.get("netInstance"), dict):
        raise _refused(path, "it is in neither of the two published layouts")
    layout = LAYOUTS[keys[0]]
    total_iter = tree.get("total_iter", FINISHED)
    if type(total_iter) is not int or total_iter < 0:
        raise _refused(path, "its total_iter is not a count")
    state: dict[str, Any] = {f"netBase.{name}": value for name, value in tree[keys[0]].items()}
    state |= {f"netInstance.{name}": value for name, value in tree["netInstance"].items()}
    if layout == "demo":
        state.pop(f"netBase.{UNUSED}", None)
        state |= {f"netBase.{name}": tree.get(name) for name in ("memory_bank", "memory_bank_keys")}
        state |= {name: state[name].T for name in BOUNDS if isinstance(state.get(name), Tensor) and state[name].ndim == 2}
    _check(path, state)
    # copies: a file's tensors may share one storage
    tensors = {name: value.detach().to(torch.float32, copy=True) for name, value in state.items()}
    return tensors, {"layout": layout, "total_iter": total_iter}


def _check(path: Path, state: dict[str, Any]) -> None:
    expected = published_shapes()
    if strange := sorted(state.keys() ^ expected.keys()):
        word = "has no" if strange[0] in expected else "has an unknown tensor"
        raise _refused(path, f"it {word} {strange[0]} ({len(strange)} names differ)")
    for name, shape in expected.items():
        value = state[name]
        if not isinstance(value, Tensor) or not value.is_floating_point() or tuple(value.shape) != shape:
            raise _refused(path, f"its {name} is not a tensor of shape {shape}")
        if not torch.isfinite(value).all():
            raise _refused(path, f"its {name} has a number that is not finite")
    if (found := count_parameters({name: tuple(value.shape) for name, value in state.items()})) != PARAMETERS:
        wrong = next(name for name in PARAMETERS if found[name] != PARAMETERS[name])
        raise _refused(path, f"its {wrong} has {found[wrong]} parameters, not {PARAMETERS[wrong]}")


def _refused(path: Path, reason: str) -> MenagerieError:
    remedy = "Get the file again from the place that the weights list names."
    return MenagerieError("weights_damaged", f"The file {path.name} is not a 3D-Fauna checkpoint: {reason}.", remedy)
