"""Thumbnails in panels: what is shown stays while a job's pictures come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Picture

from blender_addon.panels import pictures

pytestmark = pytest.mark.blender5


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """No thumbnails before, and none after."""
    pictures.clear()
    yield
    pictures.clear()


def write(path: Path) -> str:
    Picture.new("RGB", (8, 8), (90, 60, 30)).save(path)
    return str(path)


def held(path: Path) -> list[object]:
    """What is kept of a file. Without a window every icon's number is 0."""
    return [one for key, one in (pictures._collection or {}).items() if key.startswith(f"{path}@")]


def test_a_picture_that_goes_on_being_shown_is_kept_among_many_others(tmp_path: Path) -> None:
    shown = tmp_path / "shown.png"
    pictures.icon(write(shown))
    first = held(shown)
    for k in range(2 * pictures._KEPT):
        pictures.icon(write(tmp_path / f"{k}.png"), now=True)
        pictures.icon(str(shown))
        assert held(shown) == first and len(held(tmp_path / f"{k}.png")) == 1
    assert len(pictures._used) == len(pictures._collection or ()) == pictures._KEPT and not held(tmp_path / "0.png")


def test_a_changed_file_is_read_anew_and_an_absent_one_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    pictures.icon(str(path))
    assert not held(path)
    pictures.icon(write(path))
    assert len(held(path)) == 1
    path.unlink()
    pictures.icon(write(path))
    assert len(held(path)) == 2
