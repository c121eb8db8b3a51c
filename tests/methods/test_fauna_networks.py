"""Weights that somebody chose in place of the bundled ones: taken whole, refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.data.prepare import validation_sets
from backend.errors import MenagerieError
from backend.evaluate.command import learnt_animals
from backend.methods.fauna import networks
from backend.weights.manifest import find_entry, locate


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_loaded", [])


@pytest.fixture(scope="module")
def bundled() -> dict[str, torch.Tensor]:
    return load_file(locate(find_entry("fauna-bundled")))


def test_a_file_takes_the_place_of_the_bundled_one(tmp_path: Path, bundled: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "other.safetensors"
    save_file(bundled | {"netBase.memory_bank": bundled["netBase.memory_bank"] + 1}, path)
    before = networks.load_networks().model.netBase.memory_bank.clone()
    networks.use_weights(path)
    torch.testing.assert_close(networks.load_networks().model.netBase.memory_bank, before + 1, atol=2e-3, rtol=1e-3)


def test_what_was_learnt_from_is_known_where_the_weights_say_it(tmp_path: Path, bundled: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "other.safetensors"
    every = [name for names in validation_sets().values() for name in names]
    for held_out, learnt in ((None, []), ([], sorted(every)), (every[:1], sorted(every[1:]))):
        save_file(bundled, path, metadata={} if held_out is None else {"notes": json.dumps({"held_out": held_out})})
        networks.use_weights(path)
        assert learnt_animals() == learnt


@pytest.mark.parametrize("fault", ["none", "damaged", "other", "short"])
def test_other_files_are_refused_and_the_networks_stay(fault: str, tmp_path: Path, bundled: dict[str, torch.Tensor]) -> None:
    path, kept = tmp_path / "other.safetensors", networks.load_networks()
    if fault == "damaged":
        path.write_bytes(b"no weights")
    elif fault == "other":
        save_file({"x": torch.zeros(3)}, path)
    elif fault == "short":
        save_file({k: v for k, v in bundled.items() if k != "canonical"}, path)
    with pytest.raises(MenagerieError) as refused:
        networks.use_weights(path)
    assert refused.value.code == ("weights_missing" if fault == "none" else "weights_damaged")
    assert networks.load_networks() is kept
