"""Clicks: with SAM 2 each goes on from the last answer; without it one chooses among what stands out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.errors import MenagerieError
from backend.observe import sam2
from backend.observe.clicks import CERTAINTY, WHOLE, Click, Clicker, choose_mask, keep_meant
from backend.observe.hiera import Embedding
from backend.types import ByteArray, Image
from tests.observe.test_mask import overlap, scene

OVERLAP = 0.9
"""IoU with the cut-out's own alpha on a plain background."""
COW, PIG = Click(100 / 560, 100 / 260, True), Click(400 / 560, 130 / 260, True)
"""On the animals of `meadow`."""


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENAGERIE_WEIGHTS", str(tmp_path))


def meadow() -> tuple[Image, list[ByteArray]]:
    """A cow and a pig of like size, and their true covers."""
    photo, _ = scene((560, 260), ("cow", 1.0, (20, 60)), ("pig", 1.0, (330, 80)))
    covers = [scene((560, 260), animal)[1] for animal in (("cow", 1.0, (20, 60)), ("pig", 1.0, (330, 80)))]
    return photo, covers


def looking(photo: Image) -> Clicker:
    clicker = Clicker()
    clicker.look(photo)
    return clicker


def test_a_click_chooses_one_of_several_animals() -> None:
    photo, covers = meadow()
    clicker = looking(photo)
    for click, true in zip((COW, PIG), covers, strict=True):
        assert overlap(clicker.answer((click,)), true) > OVERLAP
    both = clicker.answer((COW, PIG))
    assert overlap(both, np.maximum(*covers)) > OVERLAP


def test_a_click_chooses_one_island_of_a_cut_out_with_its_soft_edge() -> None:
    photo, covers = meadow()
    clicker = looking(Image(photo.rgb, np.maximum(*covers)))
    mask = clicker.answer((PIG,))
    assert np.array_equal(np.rint(mask * 255).astype(np.uint8), covers[1])


def test_a_click_beside_the_animal_says_what_it_needs() -> None:
    clicker = looking(meadow()[0])
    with pytest.raises(MenagerieError) as refusal:
        clicker.answer((COW, Click(0.5, 0.9, False)))
    assert refusal.value.code == "weights_missing" and "SAM 2" in refusal.value.sentence and "preferences" in refusal.value.remedy
    assert not clicker.takes_negative


def test_a_click_on_nothing_is_said() -> None:
    clicker = looking(scene((560, 260), ("cow", 1.0, (20, 60)))[0])
    with pytest.raises(MenagerieError) as refusal:
        clicker.answer((Click(0.9, 0.1, True),))
    assert refusal.value.code == "no_animal" and "clicked" in refusal.value.sentence


def test_a_large_photo_is_worked_on_small() -> None:
    photo, true = scene((2400, 1800), ("horse", 5.0, (500, 300)))
    clicker = looking(photo)
    assert clicker.photo_size == (2400, 1800)
    assert clicker.answer((Click(0.5, 0.45, True),)).shape == (768, 1024)


class Recorder:
    """Stands for the decoder: says what it was asked, and answers with squares whose size tells the mask."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, list[bool], np.ndarray | None]] = []
        self.looks = 0
        self.quality = np.array([0.5, 0.9, 0.2, 0.6], np.float32)

    def embed(self, network: object, rgb: np.ndarray, between: object) -> Embedding:
        self.looks += 1
        return Embedding(*(torch.zeros(1),) * 3)

    def answer(
        self, network: object, embedding: Embedding, at: np.ndarray, positive: list[bool], earlier: np.ndarray | None = None
    ) -> sam2.Answer:
        self.asked.append((len(at), positive, earlier))
        logits = np.full((4, 256, 256), -10 - len(self.asked), np.float32)
        for index in range(4):
            logits[index, : 60 + 30 * index, : 60 + 30 * index] = 10 + len(self.asked)
        return sam2.Answer(logits, self.quality)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(sam2, "embed", recorder.embed)
    monkeypatch.setattr(sam2, "answer", recorder.answer)
    return recorder


def seen(photo: Image) -> Clicker:
    clicker = Clicker(network=object())  # type: ignore[arg-type]
    clicker.look(photo)
    return clicker


def test_each_click_goes_on_from_the_last_answer(recorder: Recorder) -> None:
    clicker = seen(Image(np.full((256, 256, 3), 90, np.uint8)))
    first, second = Click(0.1, 0.1, True), Click(0.8, 0.8, False)
    one = clicker.answer((first,))
    assert recorder.asked == [(1, [True], None)]
    assert (one > 0.5).sum() == pytest.approx(90 * 90, rel=0.1), "mask 1 promised most"
    clicker.answer((first, second))
    count, positive, earlier = recorder.asked[1]
    assert (count, positive) == (2, [True, False]) and earlier is not None and earlier.max() == 11 and (earlier > 0).sum() == 90 * 90
    assert len(recorder.asked) == 2, "the first click is not asked again"
    clicker.answer((Click(0.2, 0.1, True),))
    assert recorder.asked[2] == (1, [True], None), "other clicks begin anew"
    assert recorder.looks == 1


def test_clicks_correct_an_earlier_mask(recorder: Recorder) -> None:
    clicker = seen(Image(np.full((256, 256, 3), 90, np.uint8)))
    earlier = np.zeros((256, 256), np.float32)
    earlier[:100] = 1
    clicks = (Click(0.1, 0.1, False),)
    mask = clicker.answer(clicks, earlier)
    given = recorder.asked[0][2]
    assert given is not None and np.array_equal(given, np.where(earlier > 0, CERTAINTY, -CERTAINTY))
    assert (mask > 0.5).sum() == pytest.approx(60 * 60, rel=0.1), "mask 0 is that of a correction"


@pytest.mark.parametrize(("column", "corrected"), [(80, True), (150, False)])
def test_a_click_on_another_thing_chooses_it_and_one_that_touches_the_mask_adds(recorder: Recorder, column: int, corrected: bool) -> None:
    clicker = seen(Image(np.full((256, 256, 3), 90, np.uint8)))
    earlier = np.zeros((256, 256), np.float32)
    earlier[:, column : column + 40] = 1
    clicker.answer((Click(0.1, 0.1, True),), earlier)  # the click alone finds a square of 90
    assert (recorder.asked[-1][2] is not None) == corrected
    asked = len(recorder.asked)
    clicker.answer((Click(0.1, 0.1, True), Click(0.2, 0.2, True)), earlier)
    assert len(recorder.asked) == asked + 1


def test_a_mask_of_everything_corrects_nothing(recorder: Recorder) -> None:
    clicker = seen(Image(np.full((256, 256, 3), 90, np.uint8)))
    clicker.answer((Click(0.1, 0.1, True),), np.ones((256, 256), np.float32))
    assert recorder.asked[0][2] is None


def test_a_first_click_beside_the_animal_corrects_the_automatic_mask(recorder: Recorder) -> None:
    photo, true = scene((320, 240), ("cow", 1.0, (50, 60)))
    seen(photo).answer((Click(0.95, 0.05, False),))
    given = recorder.asked[0][2]
    assert given is not None
    rows, columns = np.arange(256) * true.shape[0] // 256, np.arange(256) * true.shape[1] // 256
    assert overlap(given / CERTAINTY / 2 + 0.5, true[rows][:, columns]) > OVERLAP


def test_a_first_click_beside_nothing_asks_for_one_on_the_animal(recorder: Recorder) -> None:
    with pytest.raises(MenagerieError) as refusal:
        seen(Image(np.full((256, 256, 3), 90, np.uint8))).answer((Click(0.5, 0.5, False),))
    assert refusal.value.code == "no_animal" and refusal.value.remedy == "Click on the animal first."


def test_the_whole_is_taken_where_it_is_nearly_as_sure() -> None:
    assert choose_mask(np.array([0.99, 0.9, 0.5, 0.89])) == WHOLE
    assert choose_mask(np.array([0.99, 0.9, 0.5, 0.8])) == 1


def test_specks_go_unless_they_were_clicked_on() -> None:
    inside = np.zeros((200, 200), bool)
    inside[20:120, 20:120] = inside[150:155, 150:155] = inside[180:184, 20:24] = True
    kept = keep_meant(inside, (Click(0.76, 0.76, True), Click(0.11, 0.91, False)))
    assert kept[60, 60] and kept[152, 152] and not kept[182, 22]
    assert not keep_meant(inside, (Click(0.99, 0.01, True),))[0, 199]


def test_what_is_not_animal_behind_a_cut_out_stays_out(recorder: Recorder) -> None:
    alpha = np.zeros((256, 256), np.uint8)
    alpha[:40, :40] = 255
    clicker = seen(Image(np.full((256, 256, 3), 255, np.uint8), alpha))
    assert not clicker.answer((Click(0.1, 0.1, True),))[50:].any()
    assert (clicker.working_photo.rgb[100, 100] == 128).all()
