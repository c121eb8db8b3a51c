"""Both published layouts of the 3D-Fauna checkpoint become the official preset's weights; anything else is refused.

The files are made here, with the authors' key names, optimisers and training log; what a tensor holds is told by its name.
"""

from __future__ import annotations

import os
import sys
import types
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backend.errors import MenagerieError
from backend.methods.fauna.official.model import OfficialFauna, load_official
from backend.weights import convert, open_weights
from backend.weights.fauna_checkpoint import BOUNDS, PARAMETERS, count_parameters, published_shapes, read_fauna_checkpoint
from backend.weights.load import open_noted_weights
from backend.weights.manifest import Entry, hash_file, locate, write_manifest

LOGS = {"3DAnimals": "model.utils.meters", "demo": "video3d.utils.meters"}
"""Where each code's `MetricsTrace` lives; a file holds one."""
BANK = ("memory_bank", "memory_bank_keys")
ONE = torch.ones(1)
MILLIONS = {
    "netBase.netShape": 0.374, "netBase.netDINO": 0.312, "netInstance.netTexture": 0.543, "netInstance.netPose": 3.75,
    "netInstance.netDeform": 0.345, "netInstance.netArticulation": 2.31, "netInstance.netLight": 0.263, "netInstance.netEncoder.ViT": 21.67,
}  # fmt: skip
"""papers.md 1g."""


def mark(name: str) -> float:
    """A number that only this tensor has."""
    return zlib.crc32(name.encode()) / 2**32


def state(part: str) -> OrderedDict[str, Tensor]:
    """`part`'s state dict; tensors are one number each, seen from everywhere, so that the file is small."""
    found: OrderedDict[str, Tensor] = OrderedDict()
    for name, shape in published_shapes().items():
        if name.startswith(f"{part}."):
            bounds = torch.stack([torch.arange(shape[0]) * 0.01, 1 + torch.arange(shape[0]) * 0.1], -1)
            found[name.removeprefix(f"{part}.")] = bounds if name in BOUNDS else torch.full((1,), mark(name)).expand(shape)
    found._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]  # as nn.Module.state_dict leaves it
    return found


def checkpoint(layout: str) -> dict[str, Any]:
    """What the authors' trainers hand to torch.save."""
    base, instance = state("netBase"), state("netInstance")
    optimiser = {"state": {0: {"step": 7, "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0]}]}
    log = sys.modules[LOGS[layout]].MetricsTrace()
    log.data = {"train": [{"loss": 0.5}]}
    rest = {"metrics_trace": log, "epoch": 12, "total_iter": 800_000}
    if layout == "3DAnimals":
        nets = {"netBase": base, "netInstance": instance, "netDisc": {"conv_out.weight": torch.ones(1)}}
        return {**nets, "optimizerBase": optimiser, "optimizerInstance": optimiser, "optimizerDisc": optimiser, **rest}
    banks = {name: nn.Parameter(base.pop(name)) for name in BANK}
    base["classes_vectors"] = torch.zeros(123, 128)
    for part, whole in (("netBase", base), ("netInstance", instance)):
        for name in BOUNDS:
            if name.startswith(part):
                whole[name.removeprefix(f"{part}.")] = whole[name.removeprefix(f"{part}.")].T.contiguous()
    nets = {"netInstance": instance, "net_mask_disc": {"x": torch.ones(1)}, "netPrior": base, "optimizerFewShot": optimiser}
    return {**nets, **rest, **banks}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A converted file has 160 MB; what it takes to outlive a power cut is not what these tests are about."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(autouse=True)
def authors_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class that a checkpoint names, so that it can be pickled under its name; reading it needs none of this."""
    for module in LOGS.values():
        top, middle, _ = module.split(".")
        for name in (top, f"{top}.{middle}", module):
            held = types.ModuleType(name)
            held.MetricsTrace = type("MetricsTrace", (), {"__module__": module})  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, name, held)


def listed(folder: Path, tree: object, **options: Any) -> tuple[Entry, Path]:
    """The tree as a downloaded file, and a list that names it."""
    source = folder / "own" / "fauna-official" / "iter.pth"
    source.parent.mkdir(parents=True)
    torch.save(tree, source, **options)
    size, sha256 = source.stat().st_size, hash_file(source)
    entry = Entry("fauna-official", "fauna", "ckpts/iter.pth", size, sha256, "torch_pickle", "test", "test", "test", False, "a/b")
    write_manifest({entry.id: entry}, folder / "weights_manifest.json")
    return entry, folder / "weights_manifest.json"


@pytest.mark.parametrize("layout", LOGS)
def test_each_layout_becomes_the_official_presets_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    monkeypatch.setenv("MENAGERIE_WEIGHTS", str(tmp_path / "own"))
    entry, manifest = listed(tmp_path, checkpoint(layout), _use_new_zipfile_serialization=layout == "demo")
    for module in LOGS.values():
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MenagerieError) as caught:
        open_weights(entry.id, manifest)
    assert caught.value.code == "weights_missing"
    target = convert.convert(entry.id, None, manifest)
    assert target == locate(entry, manifest).with_suffix(".safetensors")

    tensors, notes = open_noted_weights(entry.id, manifest)
    assert notes == {"layout": layout, "total_iter": 800_000, "source_sha256": entry.sha256}
    assert {name: tuple(value.shape) for name, value in tensors.items()} == published_shapes()
    for name, value in tensors.items():
        assert value.dtype == torch.float32
        assert name in BOUNDS or float(value.flatten()[-1]) == pytest.approx(mark(name), rel=1e-6), name
    for name in BOUNDS:
        assert torch.allclose(tensors[name][:, 1] - tensors[name][:, 0], 1 + torch.arange(len(tensors[name])) * 0.09), name

    model = load_official(manifest)
    for name, value in model.state_dict().items():
        assert torch.equal(value, tensors[name]), name
    sideways = {"3DAnimals": 0.2, "demo": 0.5}[layout]
    assert model.config.translation_range == (sideways, sideways, 0.5)
    assert model.gates.deformed and model.gates.attached and model.gates.hinged and not model.gates.level
    assert model.netInstance.netDeform.rectified == (layout == "3DAnimals")


def test_the_listed_file_is_hashed_and_another_one_is_taken_by_its_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENAGERIE_WEIGHTS", str(tmp_path / "own"))
    entry, manifest = listed(tmp_path, {"something": "else"})
    other = tmp_path / "pretrained_fauna.pth"
    tree = checkpoint("3DAnimals")
    del tree["total_iter"], tree["optimizerBase"]
    torch.save(tree, other)
    target = convert.convert(entry.id, other, manifest)
    assert open_noted_weights(entry.id, manifest)[1] == {"layout": "3DAnimals", "total_iter": 999_999, "source_sha256": hash_file(other)}
    first = hash_file(target)

    for source in (None, tmp_path / "own" / "fauna-official" / "iter.pth"):  # listed, but no checkpoint
        with pytest.raises(MenagerieError) as caught:
            convert.convert(entry.id, source, manifest)
        assert caught.value.code == "weights_damaged"
    locate(entry, manifest).write_bytes(other.read_bytes())  # a checkpoint, but not the listed one
    with pytest.raises(MenagerieError) as caught:
        convert.convert(entry.id, None, manifest)
    assert caught.value.code == "weights_damaged" and "differ" in caught.value.sentence
    assert hash_file(target) == first
    with target.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x7f")
    with pytest.raises(MenagerieError) as caught:
        load_official(manifest)
    assert caught.value.code == "weights_damaged"


def test_the_same_tensors_and_notes_give_the_same_bytes(tmp_path: Path) -> None:
    notes = {"total_iter": 7, "layout": "demo", "source_sha256": "0"}
    convert.write_tensors({"a": ONE}, tmp_path / "one", notes)
    convert.write_tensors({"a": ONE}, tmp_path / "two", dict(reversed(notes.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_names_shapes_and_counts_are_the_official_presets() -> None:
    shapes = published_shapes()
    assert {name: tuple(value.shape) for name, value in OfficialFauna().state_dict().items()} == shapes
    assert count_parameters(shapes) == PARAMETERS
    for module, millions in MILLIONS.items():
        assert PARAMETERS[module] / 1e6 == pytest.approx(millions, abs=0.005), module
    assert sum(PARAMETERS.values()) / 1e6 == pytest.approx(41.9 - 2.83, abs=0.4)  # the discriminator stays behind
    with pytest.raises(RuntimeError, match="netLight"):
        held = {name: torch.zeros(shape) for name, shape in shapes.items() if "netLight.mlp.network.8" not in name}
        OfficialFauna().load_state_dict(held, strict=True)


class Runs:
    """Pickles to a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def refused(path: Path) -> str:
    with pytest.raises(MenagerieError) as caught:
        read_fauna_checkpoint(path)
    assert caught.value.code == "weights_damaged"
    return caught.value.sentence


Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]
LIGHT = "netLight.mlp.network.8.weight"
BROKEN: dict[str, tuple[str, str, Change]] = {
    "no base": ("3DAnimals", "neither", lambda tree, base, instance: tree.pop("netBase")),
    "two bases": ("3DAnimals", "neither", lambda tree, base, instance: tree.update(netPrior=base)),
    "no instance": ("3DAnimals", "neither", lambda tree, base, instance: tree.pop("netInstance")),
    "instance of text": ("3DAnimals", "neither", lambda tree, base, instance: tree.update(netInstance="x")),
    "missing": ("3DAnimals", f"no netInstance.{LIGHT}", lambda tree, base, instance: instance.pop(LIGHT)),
    "unknown": ("3DAnimals", "unknown tensor netInstance.netLift", lambda tree, base, instance: instance.update({"netLift": ONE})),
    "shape": ("3DAnimals", "(4, 256)", lambda tree, base, instance: instance.update({LIGHT: ONE.expand(4, 255)})),
    "whole numbers": ("3DAnimals", "(4, 256)", lambda tree, base, instance: instance.update({LIGHT: ONE.long().expand(4, 256)})),
    "no tensor": ("3DAnimals", "(4, 256)", lambda tree, base, instance: instance.update({LIGHT: [1.0]})),
    "not finite": ("3DAnimals", "not finite", lambda tree, base, instance: instance.update({LIGHT: (ONE * torch.nan).expand(4, 256)})),
    "category vectors": ("3DAnimals", "netBase.classes_vectors", lambda tree, base, instance: base.update(classes_vectors=ONE)),
    "the demo's bounds": ("3DAnimals", "netDINO.min_max", lambda tree, base, instance: turn(base)),
    "the other's bounds": ("demo", "netDINO.min_max", lambda tree, base, instance: turn(base)),
    "no bank": ("demo", "memory_bank", lambda tree, base, instance: tree.pop("memory_bank")),
    "its bank inside": ("demo", "memory_bank", lambda tree, base, instance: base.update(memory_bank=tree.pop("memory_bank").data)),
    "negative age": ("demo", "total_iter", lambda tree, base, instance: tree.update(total_iter=-1)),
    "age of text": ("demo", "total_iter", lambda tree, base, instance: tree.update(total_iter="800000")),
    "age of truth": ("demo", "total_iter", lambda tree, base, instance: tree.update(total_iter=True)),
}
"""What is wrong -> the layout it is wrong in, a word of the answer, and how it is made wrong."""


def turn(base: dict[str, Any]) -> None:
    base["netDINO.min_max"] = base["netDINO.min_max"].T


@pytest.mark.parametrize("how", BROKEN)
def test_anything_else_is_refused_with_its_reason(tmp_path: Path, how: str) -> None:
    layout, word, change = BROKEN[how]
    tree = checkpoint(layout)
    change(tree, tree.get("netBase", tree.get("netPrior")), tree["netInstance"])
    torch.save(tree, tmp_path / "a.pth")
    assert word in refused(tmp_path / "a.pth")


@pytest.mark.parametrize("tree", [[1], {}, {"state_dict": {"x": ONE}}, {"netBase": {}, "netInstance": {}}, ONE])
def test_other_files_are_refused(tmp_path: Path, tree: object) -> None:
    torch.save(tree, tmp_path / "a.pth")
    refused(tmp_path / "a.pth")


@pytest.mark.parametrize("place", ["netInstance", "metrics_trace", "inside the log"])
def test_a_checkpoint_that_would_run_something_is_refused_and_nothing_runs(tmp_path: Path, place: str) -> None:
    ran = tmp_path / "ran"
    tree = checkpoint("demo")
    if place == "netInstance":
        tree["netInstance"]["netLight.extra"] = Runs(f"touch {ran}")
    elif place == "metrics_trace":
        tree["metrics_trace"] = Runs(f"touch {ran}")
    else:
        tree["metrics_trace"].data["train"] = Runs(f"touch {ran}")
    torch.save(tree, tmp_path / "a.pth")
    assert "not allowed" in refused(tmp_path / "a.pth")
    assert not ran.exists()
