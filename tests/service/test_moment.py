"""A look at one moment of a clip: the frame that a job from there begins with, and what would be taken for its animal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from backend.errors import MenagerieError
from backend.media.clip import read_clip
from backend.media.movie_writer import write_movie
from backend.service import wire
from backend.service.moment import FRAME, SHOWN, SHOWN_SIDE, write_moment
from tests.service import made_up_track
from tests.service.client import Client
from tests.service.test_animate import SIZE, draw_clip

FILES = {FRAME, "mask.png", SHOWN}
FPS = 24.0


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames; in the last four there is no animal."""
    return draw_clip(tmp_path / "Löwe 動物", [True] * 8 + [False] * 4)


def look(clip: Path, out: Path, at: float, fps: float | None = FPS) -> dict[str, Any]:
    return write_moment(clip, out, at, made_up_track.track, fps)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Picture.open(path))


@pytest.mark.parametrize("number", [0, 3, 7])
def test_frame_and_mask_are_those_with_which_a_job_from_there_begins(clip: Path, tmp_path: Path, number: int) -> None:
    out = tmp_path / "out"
    told = look(clip, out, number / FPS)
    assert set(told["files"]) == FILES == {path.name for path in out.iterdir()}
    assert told["seconds"] == pytest.approx(number / FPS) and told["found"] and told["warnings"] == []
    frame, mask = pixels(out / FRAME), pixels(out / "mask.png")
    assert np.array_equal(frame, pixels(clip / f"{number}.png"))
    assert np.array_equal(mask > 127, frame[..., 0] > 200)


def test_what_is_shown_is_the_animal_lit_and_outlined(clip: Path, tmp_path: Path) -> None:
    look(clip, tmp_path, 0.0)
    shown, frame = pixels(tmp_path / SHOWN).astype(int), pixels(tmp_path / FRAME).astype(int)
    assert shown.shape == (SIZE[1], SIZE[0], 3) and max(shown.shape) <= SHOWN_SIDE
    assert np.array_equal(shown[30:50, 30:50], frame[30:50, 30:50])  # inside
    assert (shown[2:10, 2:10] < 0.5 * frame[2:10, 2:10]).all()
    assert (shown[40, 20] == (255, 220, 60)).all()


def test_a_moment_without_the_animal_is_shown_and_said(clip: Path, tmp_path: Path) -> None:
    def track(*_: object) -> made_up_track.MadeUpTrack:
        raise MenagerieError("no_animal", "No animal stands out in any frame of the clip.")

    told = write_moment(clip, tmp_path / "out", 10 / FPS, track, FPS)
    assert not told["found"] and told["warnings"] and not pixels(tmp_path / "out" / "mask.png").any()
    assert np.array_equal(pixels(tmp_path / "out" / FRAME), pixels(clip / "10.png"))


@pytest.mark.parametrize(("at", "fps", "number"), [(11 / FPS, FPS, 11), (99.0, 2.0, None), (5.3, 2.0, 11), (5.5, 2.0, 11), (0.4, 2.0, 1)])
def test_slow_clips_and_their_ends_have_frames_too(clip: Path, tmp_path: Path, at: float, fps: float, number: int | None) -> None:
    if number is None:
        with pytest.raises(MenagerieError) as refusal:
            look(clip, tmp_path / "out", at, fps)
        assert refusal.value.code == "clip_too_short" and not (tmp_path / "out").exists()
        return
    assert look(clip, tmp_path / "out", at, fps)["seconds"] == pytest.approx(number / fps)
    assert np.array_equal(pixels(tmp_path / "out" / FRAME), pixels(clip / f"{number}.png"))


def test_of_a_movie_it_is_the_same_frame(clip: Path, tmp_path: Path) -> None:
    frames = [np.ascontiguousarray(pixels(clip / f"{k}.png")[:, :120]) for k in range(12)]
    write_movie(tmp_path / "clip.mp4", iter(frames), FPS)
    told = look(tmp_path / "clip.mp4", tmp_path / "out", 6 / FPS, None)
    job = read_clip(tmp_path / "clip.mp4", tmp_path / "job", start=6 / FPS)
    assert told["seconds"] == job.times[0] == pytest.approx(6 / FPS, abs=1e-3)
    assert np.array_equal(pixels(tmp_path / "out" / FRAME), job.read(0).rgb)


def test_over_the_wire(client: Client, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "Ergebnis 结果"
    job = str(client.call("moment", clip=str(clip), out=str(out), at=0, fps=24)["result"]["job"])
    ending = client.ending(job)
    assert ending["method"] == "finished" and set(ending["params"]["files"]) == FILES and ending["params"]["found"] is True
    job = str(client.call("moment", clip=str(tmp_path / "none.mp4"), out=str(tmp_path / "b"), at=1.5)["result"]["job"])
    assert client.ending(job)["params"]["error"]["code"] == "clip_unreadable" and not (tmp_path / "b").exists()
    for params in ({"clip": str(clip), "out": "b", "at": 1.0}, {"clip": str(clip), "out": str(out)}, {"clip": 1, "out": str(out), "at": 0}):
        assert client.call("moment", **params)["error"]["code"] == wire.INVALID_PARAMS
