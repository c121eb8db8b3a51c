"""The animal decoder's training: from its command, on made-up squares; it resumes, lowers its loss and exports what a look loads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from safetensors.torch import load_file

from backend.data import animal_pictures
from backend.data.animal_pictures import Renders, make_picture
from backend.data.backgrounds import Backgrounds
from backend.data.photographed import Photograph, Photographed
from backend.errors import MenagerieError
from backend.observe.animal.decoder import load_decoder
from backend.observe.clicks import Clicker
from backend.training.mask import pictures
from backend.training.mask.command import CHECKPOINT, LOG, main
from backend.training.mask.cutouts import cut_out, read_cutouts
from backend.training.mask.learner import RATE, Learner, loss_of, rate_at
from backend.training.mask.pictures import SIDE, read_pictures, store_pictures
from backend.training.mask.samples import read_samples
from backend.types import ByteArray
from tests.observe.test_clicks import COW, PIG, meadow
from tests.observe.test_mask import overlap

RED, GREEN = (210, 40, 30), (60, 140, 50)


def red_box(rng: np.random.Generator) -> tuple[ByteArray, ByteArray]:
    """A red box on a meadow, and its cover."""
    colours, cover = np.empty((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    colours[:] = GREEN
    left, top = rng.integers(16, 120, 2)
    colours[top : top + 100, left : left + 120] = RED
    cover[top : top + 100, left : left + 120] = 255
    return colours, cover


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("squares")
    store_pictures(folder, 6, 0, red_box)
    return folder


def test_the_command_resumes_lowers_its_loss_and_exports_what_a_look_loads(squares: Path, tmp_path: Path) -> None:
    command = ["--data", str(squares), "--out", str(tmp_path), "--batch", "4"]
    assert main([*command, "--steps", "1"]) == 0
    export = tmp_path / "animal_mask.safetensors"
    assert main([*command, "--steps", "16", "--export", str(export)]) == 0
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 16]  # the second run went on at step 1
    assert rows[1]["loss"] < 0.9 * rows[0]["loss"]
    assert int(load_file(tmp_path / CHECKPOINT)["extra.step"]) == 16
    stored = load_file(export)
    assert all(value.dtype == (torch.float32 if value.dim() == 1 else torch.float16) for value in stored.values())
    load_decoder(stored)


def test_a_checkpoint_of_other_squares_is_refused(squares: Path, tmp_path: Path) -> None:
    assert main(["--data", str(squares), "--out", str(tmp_path), "--batch", "2", "--steps", "1"]) == 0
    store_pictures(tmp_path / "other", 2, 1, red_box)
    with pytest.raises(MenagerieError, match="other samples"):
        main(["--data", str(tmp_path / "other"), "--out", str(tmp_path), "--batch", "2", "--steps", "2"])


def test_a_decoder_that_was_stopped_goes_on_bit_for_bit(squares: Path, tmp_path: Path) -> None:
    samples = read_samples(squares)
    path = tmp_path / CHECKPOINT
    whole = Learner(samples.data, 3)
    for _ in range(2):
        whole.take_step(samples, 2, RATE)
    whole.save(path)
    resumed = Learner(samples.data, 3)
    resumed.restore(path)
    for learner in (whole, resumed):
        learner.decoder.train()
        for _ in range(2):
            learner.take_step(samples, 2, RATE)
    assert resumed.step == 4
    for name, network in whole.networks.items():
        other = resumed.networks[name].state_dict()
        assert [key for key, value in network.state_dict().items() if not torch.equal(value, other[key])] == []


def test_squares_that_were_stopped_go_on_as_if_they_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "STRIPE", 2)
    made = 0

    def stop(rng: np.random.Generator) -> tuple[ByteArray, ByteArray]:
        nonlocal made
        made += 1
        if made > 3:
            raise KeyboardInterrupt
        return red_box(rng)

    with pytest.raises(KeyboardInterrupt):
        store_pictures(tmp_path / "stopped", 5, 0, stop)
    assert len(read_pictures(tmp_path / "stopped").colours) == 2
    store_pictures(tmp_path / "stopped", 5, 0, red_box)
    store_pictures(tmp_path / "whole", 5, 0, red_box)
    one, other = read_pictures(tmp_path / "stopped"), read_pictures(tmp_path / "whole")
    assert np.array_equal(one.colours, other.colours) and np.array_equal(one.covers, other.covers)
    with pytest.raises(MenagerieError) as refusal:
        store_pictures(tmp_path / "whole", 5, 1, red_box)
    assert refusal.value.code == "bad_request"


def test_there_must_be_squares(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as refusal:
        read_samples(tmp_path)
    assert refusal.value.code == "bad_request"


def test_the_loss_falls_as_the_answer_nears_the_cover() -> None:
    covers = torch.zeros(2, 64, 64)
    covers[0, 16:48, 16:48] = 1  # the second picture has no animal
    right, wrong = 24 * (covers - 0.5), torch.full((2, 64, 64), 6.0)
    assert loss_of(right, covers) < 0.05 < loss_of(torch.zeros_like(covers), covers) < loss_of(wrong, covers)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [rate_at(step, 400) for step in range(401)]
    assert rates[0] < rates[20] < rates[39] and rates[39] == pytest.approx(RATE, rel=0.05)
    assert all(a >= b for a, b in zip(rates[40:], rates[41:])) and rates[400] == pytest.approx(0, abs=1e-9)


@pytest.fixture
def renders(tmp_path: Path) -> Renders:
    """A red disc to learn from, and a blue one set aside."""
    y, x = np.mgrid[:64, :64]
    alpha = (np.hypot(x - 32, y - 32) < 24).astype(np.uint8) * 255
    rgb = np.where(alpha[None, ..., None] > 0, np.array([RED, (20, 20, 250)])[:, None, None], 255).astype(np.uint8)
    np.save(tmp_path / "images_rgb.npy", rgb)
    np.save(tmp_path / "images_mask.npy", np.stack([alpha, alpha]))
    np.savez(tmp_path / "truth.npz", split=np.array(["train", "val"]))
    return Renders(tmp_path)


@pytest.fixture
def greens() -> Backgrounds:
    meadow = Picture.new("RGB", (300, 200), GREEN)
    return Backgrounds((meadow,), (meadow,), (meadow,))


def test_the_cover_is_where_the_animal_is_and_animals_set_aside_are_never_drawn(renders: Renders, greens: Backgrounds) -> None:
    assert list(renders.index) == [0]
    colour, alpha = renders.cut(0)
    assert alpha.shape == colour.shape[:2] == (47, 47) and (colour == RED).all()  # to the corners: nothing of the white behind
    covered, agreement = [], []
    for number in range(40):
        rgb, cover = make_picture(renders, greens, 128, np.random.default_rng([0, number]))
        assert rgb.shape == (128, 128, 3) and cover.shape == (128, 128) and rgb.dtype == cover.dtype == np.uint8
        covered.append((cover > 127).mean())
        if 0.02 < covered[-1] < 0.9:
            red = rgb[..., 0].astype(int) - rgb[..., 1]
            agreement.append(red[cover > 200].mean() > red[cover < 50].mean() + 20)
    assert np.mean(agreement) > 0.9
    assert 0 < np.mean(np.array(covered) == 0) < 0.3 and max(covered) > 0.5 and 0 < min(c for c in covered if c) < 0.05


def test_one_seed_makes_one_square(renders: Renders, greens: Backgrounds) -> None:
    one, other = (make_picture(renders, greens, 64, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


def test_animals_of_photographs_are_pasted_and_shown_as_they_are(
    renders: Renders, greens: Backgrounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yellow disc on blue, among red ones on green."""
    y, x = np.mgrid[:80, :100]
    inside = np.hypot(x - 50, y - 40) < 25
    rgb = np.where(inside[..., None], (230, 210, 20), (20, 20, 230)).astype(np.uint8)
    photographed = Photographed(rgb, inside.astype(np.uint8) * 255, True)
    monkeypatch.setattr(animal_pictures, "LIGHT", 0.0)
    makers = {"as it is": (1.0, 0.0), "pasted": (0.0, 1.0), "none": (0.0, 0.0)}
    for name, (as_it_is, pasted) in makers.items():
        monkeypatch.setattr(animal_pictures, "AS_IT_IS", as_it_is)
        monkeypatch.setattr(animal_pictures, "PHOTOGRAPHED", pasted)
        blue, yellow = [], []
        for number in range(24):
            rgb, cover = make_picture(renders, greens, 64, np.random.default_rng([1, number]), (photographed,))
            mean = rgb[cover < 50].mean(0) if (cover < 50).any() else np.zeros(3)
            blue.append(mean[2] > mean[1])
            if (cover > 200).sum() > 40:
                own = rgb[cover > 200].mean(0)
                yellow.append(own[1] > 0.75 * own[0])
        assert np.mean(blue) == (name == "as it is"), name
        assert np.mean(yellow) > 0.9 if name != "none" else np.mean(yellow) < 0.1, name


def test_squares_of_other_photographs_are_not_gone_on_with(tmp_path: Path) -> None:
    store_pictures(tmp_path, 3, 0, red_box, photographed=2)
    assert read_pictures(tmp_path).data == "seed 0, 3 pictures, 2 photographs"
    with pytest.raises(MenagerieError, match="other photographs"):
        store_pictures(tmp_path, 3, 0, red_box)


def test_every_animal_of_a_photograph_is_cut_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENAGERIE_WEIGHTS", str(tmp_path))  # with the bundled network, which the clicks choose from
    photo, covers = meadow()
    animals = tuple(((click.x, click.y, True),) for click in (COW, PIG))
    found = cut_out(Clicker(), Photograph("meadow", photo.rgb, animals, True))
    assert found.all and found.alpha.shape == photo.rgb.shape[:2] and overlap(found.alpha / 255, np.maximum(*covers)) > 0.9


def test_photographs_cannot_be_cut_without_their_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENAGERIE_WEIGHTS", str(tmp_path))
    with pytest.raises(MenagerieError) as refusal:
        read_cutouts(tmp_path)
    assert refusal.value.code == "weights_missing"
