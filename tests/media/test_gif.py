"""The turntable's GIF: every picture once, endless, with one palette."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as Picture

from backend.media.gif import write_gif

COLOUR_TOLERANCE = 12
"""Of 255: 256 colours serve all pictures."""


def draw(folder: Path, count: int) -> list[Path]:
    files = []
    for index in range(count):
        picture = Picture.new("RGB", (64, 64), (200, 200, 205))
        picture.paste((200 - 20 * index, 40 * index, 30), (index * 8, 20, index * 8 + 16, 40))
        files.append(folder / f"{index + 1:04d}.png")
        picture.save(files[-1])
    return files


def test_every_picture_stands_once_in_an_endless_gif(tmp_path: Path) -> None:
    files = draw(tmp_path, 6)
    write_gif(files, tmp_path / "turn.gif", 24)
    with Picture.open(tmp_path / "turn.gif") as made:
        assert made.n_frames == 6 and made.info["loop"] == 0 and made.info["duration"] == 40
        for index, file in enumerate(files):
            made.seek(index)
            with Picture.open(file) as original:
                spot = (index * 8 + 8, 30)
                for got, wanted in zip(made.convert("RGB").getpixel(spot), original.getpixel(spot)):
                    assert abs(got - wanted) <= COLOUR_TOLERANCE


def test_the_command_names_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backend.media.gif", str(tmp_path), str(tmp_path / "turn.gif")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 1 and "no pictures" in done.stderr
    assert not (tmp_path / "turn.gif").exists()


def test_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures"):
        write_gif([], tmp_path / "turn.gif", 24)
