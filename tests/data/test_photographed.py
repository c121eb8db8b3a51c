"""Photographs of animals: found where they are listed, cut with their own colours, shown as they are."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from backend.data import photographed
from backend.data.backgrounds import named as backgrounds
from backend.data.photographed import Photographed, crop, cut, named, read_photographs
from backend.data.scenes import listed
from backend.errors import MenagerieError
from tests.data.resource_files import qt_resources

RED, GREEN = (220, 30, 30), (30, 160, 30)


def disc(centre: tuple[int, int] = (120, 60), radius: int = 30, all_seen: bool = True) -> Photographed:
    """A red disc on green, 200 x 120."""
    y, x = np.mgrid[:120, :200]
    inside = np.hypot(x - centre[0], y - centre[1]) < radius
    return Photographed(np.where(inside[..., None], RED, GREEN).astype(np.uint8), inside.astype(np.uint8) * 255, all_seen)


def test_nothing_reserved_set_aside_or_judged_on_is_listed() -> None:
    pictures = {name: facts for group in named()["photographs"].values() for name, facts in group.items()}
    assert len(pictures) == 29  # a giraffe stands in two files
    folder = Path(photographed.__file__).parent
    reserved, apart = (json.loads((folder / f"{name}.json").read_text()) for name in ("reserved", "validation"))
    for word in (*reserved["words"], *apart["val"], *apart["family"]):
        assert not any(word in name for name in pictures), word
    scenes = {Path(scene).stem for scene in listed()["evaluation"]}
    assert not scenes & set(pictures)
    assert not {Path(name).stem for group in backgrounds()["photographs"].values() for name in group} & set(pictures)


def test_every_listed_animal_was_clicked_on() -> None:
    for group in named()["photographs"].values():
        for facts in group.values():
            assert facts["animals"]
            for clicks in facts["animals"]:
                assert any(on for *_, on in clicks) and all(0 < x < 1 and 0 < y < 1 for x, y, _ in clicks)


def test_a_photograph_is_read_reduced_with_its_clicks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Picture.new("RGB", (2048, 1024), RED).save(buffer, "WEBP")
    (tmp_path / "farm.rcc").write_bytes(qt_resources({"dog.webp": buffer.getvalue()}))
    facts = {"path": "pictures", "all": False, "animals": [[[0.5, 0.25, True], [0.1, 0.2, False]]]}
    monkeypatch.setitem(named(), "photographs", {"farm.rcc": {"dog": facts}})
    (dog,) = read_photographs(tmp_path)
    assert dog.rgb.shape == (512, 1024, 3) and not dog.all and dog.animals == (((0.5, 0.25, True), (0.1, 0.2, False)),)
    monkeypatch.setitem(named(), "photographs", {"farm.rcc": {"cat": facts}})
    with pytest.raises(MenagerieError, match="no picture pictures/cat") as refusal:
        read_photographs(tmp_path)
    assert refusal.value.code == "bad_request"


def test_an_animal_is_cut_with_its_own_colours_up_to_the_corners() -> None:
    colour, alpha = cut(disc().rgb, disc().alpha)
    assert colour.shape[:2] == alpha.shape == (59, 59) and (colour == RED).all() and alpha[0, 0] == 0


def test_what_goes_on_outside_the_photograph_cannot_stand_elsewhere() -> None:
    assert disc().complete and not disc((195, 60)).complete


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_a_part_of_a_photograph_shows_it_as_it_is(share: float) -> None:
    for seed in range(8):
        colours, cover = crop(disc(), share, 64, np.random.default_rng(seed))
        assert colours.shape == (64, 64, 3) and cover.shape == (64, 64)
        assert np.abs(colours[cover > 0.95] - RED).max() < 30 and np.abs(colours[cover < 0.05] - GREEN).max() < 30
        assert 0.05 < cover.mean() < 0.75  # the disc takes 0.12 of the whole photograph


def test_a_part_is_no_larger_than_the_photograph_nor_off_the_animal() -> None:
    for seed in range(8):
        _, cover = crop(disc((30, 30)), 1.25, 64, np.random.default_rng(seed))  # closer than the animal
        assert cover.mean() > 0.55
