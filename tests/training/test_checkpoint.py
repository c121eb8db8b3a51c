"""A run that was stopped goes on as if it had not been; a checkpoint of anything else, or half a file, is refused with a code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from backend.errors import MenagerieError
from backend.training.checkpoint import restore, save

DATA = "these samples"


class Run:
    """A convolution, a norm with statistics and dropout, learnt from what numpy's generator draws; its axes lie channels last."""

    def __init__(self, seed: int = 0, kernel: int = 3) -> None:
        torch.manual_seed(seed)
        layers = (nn.Conv2d(4, 5, kernel, padding="same"), nn.BatchNorm2d(5), nn.Dropout(0.3), nn.Conv2d(5, 2, kernel, padding="same"))
        self.network = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.idle = nn.Parameter(torch.ones(7))
        """Never gets a gradient, and so no moments."""
        self.optimizer = torch.optim.AdamW([*self.network.parameters(), self.idle], 1e-2)
        self.rng, self.step = np.random.default_rng(seed), 0

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            pictures = torch.from_numpy(self.rng.normal(size=(3, 4, 8, 8)).astype(np.float32))
            loss = (self.network(pictures) - torch.rand(3, 2, 8, 8)).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step += 1

    def save(self, path: Path) -> None:
        save(path, {"model": self.network}, self.optimizer, {"step": torch.tensor(self.step)}, DATA, self.rng)

    def restore(self, path: Path, data: str = DATA) -> None:
        self.step = int(restore(path, {"model": self.network}, self.optimizer, data, self.rng)["step"])


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors of a checkpoint, and nothing else."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        note = file.metadata()
    change(tensors)
    save_file(tensors, path, note)


def refusal(path: Path, run: Run, data: str = DATA) -> MenagerieError:
    with pytest.raises(MenagerieError) as failure:
        run.restore(path, data)
    assert str(path) in failure.value.sentence and failure.value.remedy
    return failure.value


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The checkpoint of a run after three steps."""
    run = Run()
    run.advance(3)
    run.save(tmp_path / "run.safetensors")
    return tmp_path / "run.safetensors"


def test_a_run_that_was_stopped_ends_bit_for_bit_as_the_whole_one(tmp_path: Path) -> None:
    whole = Run()
    whole.advance(20)
    whole.save(tmp_path / "whole.safetensors")
    first = Run()
    first.advance(8)
    first.save(tmp_path / "half.safetensors")
    resumed = Run(seed=5)  # another start, other generators: all must come from the file
    resumed.restore(tmp_path / "half.safetensors")
    assert resumed.step == 8
    resumed.advance(12)
    resumed.save(tmp_path / "resumed.safetensors")
    assert (tmp_path / "resumed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_moments_lie_in_memory_as_their_parameters_do(stopped: Path) -> None:
    run = Run()
    run.restore(stopped)
    weight = run.network[0].weight
    assert weight.stride() != weight.contiguous().stride()
    assert run.optimizer.state[weight]["exp_avg"].stride() == weight.stride()
    assert run.idle not in run.optimizer.state


def test_the_format_is_by_name_with_one_note(stopped: Path) -> None:
    tensors = load_file(stopped)
    assert {"model.0.weight", "optimizer.0.exp_avg", "optimizer.0.step", "extra.step", "random.torch"} <= tensors.keys()
    with safe_open(stopped, "pt") as file:
        assert list(file.metadata()) == ["note"] and json.loads(file.metadata()["note"])["data"] == DATA


def test_a_checkpoint_without_generators_goes_on(stopped: Path) -> None:
    """As they were written before generators were kept."""
    tensors = {name: value for name, value in load_file(stopped).items() if not name.startswith("random.")}
    save_file(tensors, stopped, {"note": json.dumps({"data": DATA})})
    run = Run(seed=5)
    drawn, own = torch.get_rng_state(), run.rng.bit_generator.state
    run.restore(stopped)
    assert run.step == 3 and torch.equal(run.network[0].weight, tensors["model.0.weight"])
    assert torch.equal(torch.get_rng_state(), drawn) and run.rng.bit_generator.state == own


def test_several_optimisers_go_by_name(tmp_path: Path) -> None:
    def parts(value: float) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
        networks: dict[str, nn.Module] = {"model": nn.Linear(2, 2), "judge": nn.Linear(2, 2)}
        optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": torch.optim.Adam(networks["model"].parameters())}
        optimizers["critic"] = torch.optim.Adam(networks["judge"].parameters())
        for network, optimizer in zip(networks.values(), optimizers.values(), strict=True):
            value += 1
            network(torch.full((1, 2), value)).sum().backward()
            optimizer.step()
        return networks, optimizers

    networks, optimizers = parts(0.0)
    save(tmp_path / "run.safetensors", networks, optimizers, {}, DATA)
    others, restored = parts(7.0)
    assert restore(tmp_path / "run.safetensors", others, restored, DATA) == {}
    for name in optimizers:
        one, other = optimizers[name].state_dict()["state"], restored[name].state_dict()["state"]
        assert all(torch.equal(one[i][kind], other[i][kind]) for i in one for kind in one[i]) and one.keys() == other.keys()
    assert torch.equal(others["judge"].state_dict()["weight"], networks["judge"].state_dict()["weight"])
    with pytest.raises(ValueError, match="must differ"):
        save(tmp_path / "run.safetensors", {"optimizer": networks["model"]}, optimizers["critic"], {}, DATA)


def test_other_data_is_refused_and_nothing_is_loaded(stopped: Path) -> None:
    run = Run(seed=5)
    before = run.network[0].weight.detach().clone()
    failure = refusal(stopped, run, "other samples")
    assert failure.code == "bad_request" and "other samples" in failure.sentence
    assert torch.equal(run.network[0].weight, before) and run.step == 0


def test_a_half_written_file_is_refused_with_a_code(stopped: Path) -> None:
    whole = stopped.read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        stopped.write_bytes(whole[:length])
        assert refusal(stopped, Run()).code == "weights_damaged"
    for note in (None, {"note": "no JSON"}, {"note": "[]"}, {"note": "{}"}):
        save_file({"model.0.weight": torch.zeros(1)}, stopped, note)
        assert refusal(stopped, Run()).code == "weights_damaged"


def test_a_save_that_fails_leaves_the_last_checkpoint(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stopped.read_bytes()
    run = Run()
    run.restore(stopped)
    run.advance(1)

    def fail(*names: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(MenagerieError) as failure:
            run.save(stopped)
    assert failure.value.code == "disk_full"
    assert stopped.read_bytes() == before and list(stopped.parent.iterdir()) == [stopped]
    stopped.with_suffix(".partial").write_bytes(before[:100])  # what a killed run of an older version left
    run.save(stopped)
    run.restore(stopped)
    assert run.step == 4


def test_what_is_missing_is_named(stopped: Path) -> None:
    whole = stopped.read_bytes()
    for name in ("model.0.weight", "model.1.running_mean", "extra.step", "optimizer.1.exp_avg"):
        stopped.write_bytes(whole)
        rewrite(stopped, lambda tensors, name=name: tensors.pop(name))  # type: ignore[misc]
        failure = refusal(stopped, Run())
        assert failure.code == "bad_request"
        assert ("moments" if name.startswith("optimizer") else name.removeprefix("model.")) in failure.sentence


def test_a_checkpoint_of_another_network_is_refused(stopped: Path) -> None:
    assert "optimiser's 0.exp_avg" in refusal(stopped, Run(kernel=5)).sentence
    rewrite(stopped, lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("optimizer.")])
    assert "size mismatch" in refusal(stopped, Run(kernel=5)).sentence
    rewrite(stopped, lambda tensors: tensors.update({"optimizer.40.step": torch.tensor(1.0)}))
    assert "number 40" in refusal(stopped, Run()).sentence
