"""Backgrounds: what masks are learnt before is never what they are judged on, and every kind of place fills its square."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from backend.data import backgrounds
from backend.data.backgrounds import KINDS, Backgrounds, draw_background, named, read_backgrounds
from backend.data.scenes import listed
from backend.errors import MenagerieError
from tests.data.resource_files import qt_resources


def encoded(colour: tuple[int, int, int], kind: str) -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", (64, 48), colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one resource file, with one listed photograph; the scenes are read elsewhere."""
    (tmp_path / "details.rcc").write_bytes(qt_resources({"castle.webp": encoded((200, 0, 0), "WEBP")}))
    with zipfile.ZipFile(tmp_path / "public.zip", "w") as archive:
        archive.writestr("art/textures/terrain/types/grass.dds", encoded((0, 200, 0), "DDS"))
        archive.writestr("art/textures/terrain/types/grass_norm.dds", encoded((0, 0, 0), "DDS"))
        archive.writestr("art/textures/skies/day/front.dds", encoded((0, 0, 200), "DDS"))
        archive.writestr("art/textures/skies/day/top.dds", encoded((0, 0, 0), "DDS"))
    monkeypatch.setattr(backgrounds, "read_scenes", lambda source, part: {} if part == "training" else pytest.fail("scenes to judge on"))
    monkeypatch.setitem(named(), "photographs", {"details.rcc": ["castle.webp"]})
    return tmp_path


def test_no_listed_photograph_is_one_to_judge_on() -> None:
    names = [name for group in named()["photographs"].values() for name in group]
    assert len(names) == len(set(names)) > 30
    assert not {Path(scene).name for scene in listed()["evaluation"]} & set(names)


def test_photographs_grounds_and_skies_are_read(source: Path) -> None:
    read = read_backgrounds(source, source / "public.zip", None, 0)
    assert [len(group) for group in (read.photographs, read.grounds, read.skies)] == [1, 1, 1]
    assert read.grounds[0].getpixel((5, 5)) == (0, 200, 0) and read.skies[0].getpixel((5, 5)) == (0, 0, 200)


def test_a_listed_photograph_that_is_not_there_is_said(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(named(), "photographs", {"details.rcc": ["palace.webp"]})
    with pytest.raises(MenagerieError) as refusal:
        read_backgrounds(source, source / "public.zip", None, 0)
    assert refusal.value.code == "bad_request" and "palace.webp" in refusal.value.sentence


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_place_fills_its_square(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backgrounds, "KIND_SHARES", [float(k == kind) for k in KINDS])
    colours = {"photograph": (200, 0, 0), "landscape": (0, 200, 0), "ground": (0, 200, 0)}
    pictures = [(Picture.new("RGB", (90, 60), colour),) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    for seed in range(6):
        drawn = draw_background(Backgrounds(*pictures), 64, np.random.default_rng(seed))
        assert drawn.shape == (64, 64, 3) and drawn.dtype == np.uint8
        if kind in colours:  # what lies lowest is the photograph, or the ground
            assert np.abs(drawn[60].astype(int) - colours[kind]).max() < 40
