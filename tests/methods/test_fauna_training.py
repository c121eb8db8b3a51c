"""Training runs from its command, resumes where it stopped, lowers its losses and exports what the method loads."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from backend.errors import MenagerieError
from backend.methods.fauna import losses, networks
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fields import BaseShape
from backend.methods.fauna.heads import look_rotation
from backend.methods.fauna.model import Fauna
from backend.methods.fauna.training import pictures
from backend.methods.fauna.training import shapes as shapes_stage
from backend.methods.fauna.training.chances import AWAY, FOLDED, chances
from backend.methods.fauna.training.command import main
from backend.methods.fauna.training.learner import Learner
from backend.methods.fauna.training.samples import DistanceGrids, Samples, store_features
from backend.methods.fauna.training.shapes import learn_shapes, principal_codes
from backend.methods.fauna.training.start import codes_seen, start_from
from backend.observe.efficientnet import load_encoder
from tests.methods.prepared import write_prepared
from tests.rig.animals import rest_points


def test_train_command_resumes_and_exports_loadable_weights(tmp_path: Path) -> None:
    write_prepared(tmp_path / "data")
    command = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--shape-steps", "3", "--batch", "8", "--seed", "1"]
    assert main([*command, "--steps", "2"]) == 0
    export = tmp_path / "fauna.safetensors"
    assert main([*command, "--steps", "3", "--export", str(export)]) == 0
    scores = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert [row["step"] for row in scores] == [2, 3]  # the second run went on at step 2
    state = load_file(export)
    assert all(value.dtype == torch.float16 for value in state.values())
    missing, unexpected = Fauna(BUNDLED).load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    assert not unexpected and all(".netDINO." in key for key in missing)


def test_training_goes_on_from_shipped_weights_with_other_animals(tmp_path: Path) -> None:
    write_prepared(tmp_path / "data")
    common = ["--data", str(tmp_path / "data"), "--batch", "4", "--shape-steps", "1", "--steps", "1"]
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    assert main([*common, "--out", str(tmp_path / "one"), "--export", str(first)]) == 0
    samples, model = Samples(tmp_path / "data"), Fauna(BUNDLED)
    start_from(model, first, samples)
    codes = codes_seen(Learner(model, None, torch.device("cpu")), samples)
    used = np.unique(samples.truth["shape"][samples.train])
    assert (codes[used].norm(dim=1) > 1e-3).all() and (codes.norm(dim=1) > 0).sum() == len(used)
    assert main([*common, "--out", str(tmp_path / "two"), "--start", str(first), "--export", str(second)]) == 0
    before, after = load_file(first), load_file(second)
    moved = max(float((after[k].float() - before[k].float()).abs().max()) for k in before)
    assert 0 < moved < 5e-3  # one careful step from there, and no new bank
    with safe_open(second, "pt") as file:
        assert f"--start {first}" in json.loads(file.metadata()["notes"])["command"]


def test_what_is_exported_can_keep_a_share_of_the_start(tmp_path: Path) -> None:
    write_prepared(tmp_path / "data")
    common = ["--data", str(tmp_path / "data"), "--batch", "4", "--shape-steps", "1", "--steps", "1"]
    first, learnt, kept = (tmp_path / f"{name}.safetensors" for name in ("first", "learnt", "kept"))
    assert main([*common, "--out", str(tmp_path / "one"), "--export", str(first)]) == 0
    again = [*common, "--out", str(tmp_path / "two"), "--start", str(first)]
    assert main([*again, "--export", str(learnt)]) == 0
    assert main([*again, "--keep", "0.25", "--export", str(kept)]) == 0
    begun, moved, mixed = (load_file(path) for path in (first, learnt, kept))
    for name in begun:
        torch.testing.assert_close(mixed[name].float(), 0.25 * begun[name].float() + 0.75 * moved[name].float(), atol=2e-3, rtol=2e-3)
    name = max(begun, key=lambda key: float((moved[key].float() - begun[key].float()).abs().max()))
    assert not torch.equal(mixed[name], begun[name]) and not torch.equal(mixed[name], moved[name])
    with safe_open(kept, "pt") as file:
        assert "--keep 0.25" in json.loads(file.metadata()["notes"])["command"]


@pytest.mark.parametrize("wrong", [["--keep", "0.5"], ["--keep", "1.5", "--start", "x"]])
def test_a_share_of_no_start_cannot_be_kept(wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), *wrong])
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_fit_are_no_start(tmp_path: Path) -> None:
    write_prepared(tmp_path / "data")
    store_features(tmp_path / "data")
    samples, path = Samples(tmp_path / "data"), tmp_path / "weights.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(MenagerieError) as refused:
        start_from(Fauna(BUNDLED), path, samples)
    assert refused.value.code == "weights_damaged"
    state = {name: value.half() for name, value in Fauna(BUNDLED).state_dict().items() if ".netDINO." not in name}
    for change in ({"canonical": samples.canonical.half() + 0.1}, {"netBase.memory_bank": torch.zeros(3, 4)}):
        save_file(state | change, path)
        with pytest.raises(MenagerieError) as refused:
            start_from(Fauna(BUNDLED), path, samples)
        assert refused.value.code == "bad_request"


def test_a_tuned_encoder_learns_and_travels_with_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prepared(tmp_path / "data")
    command = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--shape-steps", "2", "--batch", "4", "--steps", "1"]
    export = tmp_path / "fauna.safetensors"
    monkeypatch.setattr(pictures, "WARM_UP", 1)
    assert main([*command, "--tune", "2", "--export", str(export)]) == 0
    stored = load_file(export)
    tuned = {k.removeprefix("encoder."): v for k, v in stored.items() if k.startswith("encoder.")}
    plain = load_encoder().state_dict()
    assert set(tuned) == {k for k in plain if k[:2] in ("b3", "b4", "b5", "b6") and not k.endswith("num_batches_tracked")}
    moved = (tuned["b5.0.expand.conv.weight"].float() - plain["b5.0.expand.conv.weight"]).abs().max()
    assert moved > 1e-4
    # statistics of the photographs that it was learnt from stay
    torch.testing.assert_close(tuned["b5.0.expand.norm.running_mean"], plain["b5.0.expand.norm.running_mean"])
    monkeypatch.setattr(networks, "_loaded", [])
    found = networks.use_weights(export)
    assert networks.load_networks() is found and found.held_out == {"s3"}
    loaded = found.encoder.state_dict()
    torch.testing.assert_close(loaded["b5.0.expand.conv.weight"], tuned["b5.0.expand.conv.weight"].float())
    torch.testing.assert_close(loaded["b2.0.expand.conv.weight"], plain["b2.0.expand.conv.weight"])


def test_training_goes_on_with_the_encoder_that_was_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prepared(tmp_path / "data")
    common = ["--data", str(tmp_path / "data"), "--shape-steps", "1", "--batch", "4"]
    first, second, third = (tmp_path / f"{name}.safetensors" for name in ("first", "second", "third"))
    monkeypatch.setattr(pictures, "WARM_UP", 1)
    assert main([*common, "--out", str(tmp_path / "one"), "--steps", "0", "--tune", "3", "--export", str(first)]) == 0
    assert main([*common, "--out", str(tmp_path / "two"), "--steps", "1", "--start", str(first), "--export", str(second)]) == 0
    again = [*common, "--out", str(tmp_path / "three"), "--steps", "0", "--tune", "2", "--start", str(first)]
    assert main([*again, "--export", str(third)]) == 0
    assert main([*again, "--keep", "0.25", "--export", str(tmp_path / "kept.safetensors")]) == 0
    name, plain = "encoder.b5.0.expand.conv.weight", load_encoder().state_dict()["b5.0.expand.conv.weight"]
    tuned, stayed, moved, mixed = (load_file(tmp_path / f"{f}.safetensors")[name].float() for f in ("first", "second", "third", "kept"))
    assert torch.equal(stayed, tuned) and not torch.equal(moved, tuned)
    assert (moved - tuned).abs().max() < (tuned - plain).abs().max() * 3  # from there, not from the photographs' again
    torch.testing.assert_close(mixed, 0.25 * tuned + 0.75 * moved, atol=2e-3, rtol=2e-3)


def test_learning_of_shapes_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write_prepared(tmp_path)
    grids, path, shapes = DistanceGrids(tmp_path), tmp_path / "shapes.safetensors", np.array([0, 1, 2])
    learn_shapes(Fauna(BUNDLED), grids, shapes, path, steps=2, seed=0)
    half = load_file(path)
    half["extra.codes"] += 1.0  # nothing but this file knows
    with safe_open(path, "pt") as file:
        note = file.metadata()
    save_file(half, path, metadata=note)
    codes = learn_shapes(Fauna(BUNDLED), grids, shapes, path, steps=3, seed=0)
    whole = load_file(path)
    assert int(whole["extra.step"]) == float(whole["optimizer.0.step"]) == 3
    assert 0 < (codes - half["extra.codes"]).abs().max() < 2e-3  # one step, from there


def test_shapes_that_were_stopped_end_as_those_that_were_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prepared(tmp_path)
    grids, path, shapes = DistanceGrids(tmp_path), tmp_path / "shapes.safetensors", np.array([0, 1, 2])
    torch.manual_seed(0)
    whole = learn_shapes(Fauna(BUNDLED), grids, shapes, tmp_path / "whole.safetensors", steps=3, seed=0)
    monkeypatch.setattr(shapes_stage, "SAVE_SECONDS", 0)
    drawn, sample = 0, grids.sample

    def stop(shape: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        nonlocal drawn
        drawn += 1
        if drawn > 30:  # in the third step
            raise KeyboardInterrupt
        return sample(shape, count, rng)

    monkeypatch.setattr(grids, "sample", stop)
    torch.manual_seed(0)
    with pytest.raises(KeyboardInterrupt):
        learn_shapes(Fauna(BUNDLED), grids, shapes, path, steps=3, seed=0)
    assert int(load_file(path)["extra.step"]) == 2
    monkeypatch.setattr(grids, "sample", sample)
    resumed = learn_shapes(Fauna(BUNDLED), grids, shapes, path, steps=3, seed=0)
    assert torch.equal(whole, resumed)
    one, other = load_file(tmp_path / "whole.safetensors"), load_file(path)
    assert [name for name in one if not torch.equal(one[name], other[name]) and not name.startswith("random.")] == []


def test_a_checkpoint_of_other_shapes_is_refused(tmp_path: Path) -> None:
    path, shapes = tmp_path / "shapes.safetensors", np.array([0, 1, 2])
    for folder, seed in (("a", 0), ("b", 1)):
        write_prepared(tmp_path / folder, seed=seed)
    learn_shapes(Fauna(BUNDLED), DistanceGrids(tmp_path / "a"), shapes, path, steps=1, seed=0)
    with pytest.raises(MenagerieError, match="other samples"):
        learn_shapes(Fauna(BUNDLED), DistanceGrids(tmp_path / "b"), shapes, path, steps=2, seed=0)


def test_untrained_base_shape_is_the_stated_ellipsoid() -> None:
    torch.manual_seed(0)
    shape = BaseShape(BUNDLED)
    with torch.no_grad():
        for i in range(5):
            getattr(shape.mlp.mlp, f"linear_{i}").weight.zero_()
        radius = 0.15 * 7
        surface = torch.tensor([[[radius, 0, 0], [0, radius, 0], [0, 0, 2 * radius]]])
        assert torch.allclose(shape(surface, torch.zeros(1, 128)), torch.zeros(1, 3), atol=1e-5)
        assert shape(torch.zeros(1, 1, 3), torch.zeros(1, 128)).item() > 0  # positive inside


def test_true_view_inverts_look_rotation() -> None:
    forward = torch.nn.functional.normalize(torch.tensor([[0.8, 0.0, -0.5], [-0.3, 0.0, 0.9]]), dim=-1)
    elevation = torch.tensor([0.4, -0.2])
    found, tilt, quadrant = losses.true_view(look_rotation(forward, elevation))
    assert torch.allclose(found, forward, atol=1e-5)
    assert torch.allclose(tilt, elevation, atol=1e-5)
    assert quadrant.tolist() == [3, 1]


def test_animals_that_lie_or_are_seen_from_behind_are_learnt_from_oftener() -> None:
    rest = np.repeat(rest_points()[None].astype(np.float32), 4, 0)
    points = rest.copy()
    points[2, :, 1] *= 0.3  # flat on the ground
    points[3] = rest[3] @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)  # it stands, the whole of it turned
    forward = np.array([[1, 0, 0], [0, 0, -1], [0, 0, 1], [-1, 0, 0]], np.float32)
    found = chances(forward, points, rest)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found / found[0], [1, 1 + AWAY, 1 + FOLDED, 1], rtol=1e-5)


def test_distance_grid_is_read_trilinearly_and_falls_off_outside(tmp_path: Path) -> None:
    write_prepared(tmp_path)
    grids = DistanceGrids(tmp_path)
    at = np.array([[0.2, 0.1, 0.3], [-0.2, 0.1, 0.3], [0.0, 0.0, 3.4]], np.float32)
    value = grids.value(0, at)
    assert value[0] == value[1]  # mirrored
    border = grids.value(0, np.array([[0.0, 0.0, 2.4]], np.float32))[0]
    assert abs(value[2] - (border - 1.0)) < 0.01


def test_pictures_and_canonical_shapes_of_two_sets_are_refused(tmp_path: Path) -> None:
    write_prepared(tmp_path)
    store_features(tmp_path)
    Samples(tmp_path)
    canonical = dict(np.load(tmp_path / "canonical.npz"))
    np.savez(tmp_path / "canonical.npz", **canonical | {"names": canonical["names"][::-1]})
    with pytest.raises(ValueError, match="not those of the pictures"):
        Samples(tmp_path)


def test_codes_begin_where_like_shapes_lie_close_together(tmp_path: Path) -> None:
    write_prepared(tmp_path)
    grids = DistanceGrids(tmp_path)
    grids.grids = np.concatenate([grids.grids, grids.grids[1:2]])  # a fifth shape, the second once more
    codes = principal_codes(grids, np.array([0, 1, 2, 4]), 128).numpy()
    fields = np.clip(np.asarray(grids.grids[:, ::2, ::2, ::2], np.float32), -losses.CLAMP, losses.CLAMP).reshape(5, -1)
    apart, truth = (np.linalg.norm(x[[0, 0, 1]] - x[[1, 2, 2]], axis=1) for x in (codes, fields))
    np.testing.assert_allclose(apart / apart[0], truth / truth[0], rtol=1e-3)
    np.testing.assert_allclose(codes[1], codes[3], atol=1e-4)
