"""The job of a clip: a result whole or absent, work that is never lost, the stretch in which the animal is seen, and the movie over it."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Picture

from backend.asset.read import read_asset
from backend.errors import Cancelled, MenagerieError
from backend.service import animate as service
from backend.service import reconstruct
from backend.service.animate import Choices, animate
from backend.service.failures import as_error
from backend.service.stretch import bridge, longest_stretch, visible_runs
from backend.service.work_folder import WORK, remove_abandoned_work, work_folder
from tests.service import made_up_track
from tests.service.made_up import MEMORY_MIB, SECONDS

METHODS = {"fauna": "tests.service.made_up"}
FILES = {"asset.safetensors", "asset.glb", "mask.png", "overlay.png", "overlay.mp4", "photo.jpg", "report.json"}
SIZE = (121, 80)
"""An odd width: the movie's is even."""


def draw_clip(folder: Path, seen: Sequence[bool]) -> Path:
    """Frames with a red animal that goes to the right, or none."""
    folder.mkdir(parents=True)
    for k, there in enumerate(seen):
        picture = Picture.new("RGB", SIZE, (90, 110, 90))
        if there:
            picture.paste((220, 60, 40), (20 + k, 20, 60 + k, 60))
        picture.save(folder / f"{k}.png")
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return draw_clip(tmp_path / "Löwe 動物", [True] * 8)


def run(clip: Path, out: Path, **more: object) -> dict:
    return animate(clip, out, more.pop("choices", Choices()), methods=METHODS, tracker=made_up_track.track, **more)  # type: ignore[arg-type]


def left(beside: Path) -> list[Path]:
    return sorted(beside.glob(f"{WORK}*"))


def decode(path: Path) -> tuple[list[np.ndarray], float, str]:
    with av.open(str(path)) as movie:
        stream = movie.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in movie.decode(stream)]
        return pictures, float(stream.average_rate), stream.codec_context.pix_fmt


def test_a_clip_becomes_a_whole_result_and_nothing_else_stays(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "out"
    told: list[object] = []
    report = run(clip, out, progress=lambda stage, fraction, preview=None: told.append((stage, fraction)), expect=told.append)
    assert {path.name for path in out.iterdir()} == FILES == set(report["files"]) and not left(out.parent)
    assert json.loads((out / "report.json").read_text(encoding="utf-8")) == report
    asset = read_asset(out / "asset.safetensors")
    assert asset.name == "Löwe 動物" and len(asset.motions) == 1 and asset.motions[0].fps == 24.0 and len(asset.motions[0].rotations) == 8
    assert report["frames"]["count"] == 8 and report["frames"]["numbers"] == list(range(8)) and report["warnings"] == []
    assert report["seconds"].keys() >= {"clip", "mask", "fit", "overlay"} and report["seconds_a_frame"] > 0 and not report["resumed"]
    fractions = [entry[1] for entry in told if isinstance(entry, tuple)]
    assert (np.diff(fractions) > -1e-9).all() and fractions[-1] == 1.0
    assert told.index(SECONDS) < next(place for place, entry in enumerate(told) if isinstance(entry, tuple) and entry[0] == "mask")
    assert Picture.open(out / "mask.png").size == Picture.open(out / "photo.jpg").size == Picture.open(out / "overlay.png").size == SIZE


@pytest.mark.parametrize(("pause", "calls"), [(100.0, 2), (-1.0, 5)])
def test_between_stages_and_now_and_then_within_them_memory_is_given_back(
    monkeypatch: pytest.MonkeyPatch, pause: float, calls: int
) -> None:
    monkeypatch.setattr(reconstruct, "PAUSE", pause)
    called: list[int] = []
    stages = reconstruct.Stages(lambda *_: None, {"all": (0.0, 1.0)}, between=lambda: called.append(1))
    for stage in ("see", "see", "see", "fit", "fit"):
        stages.part("all")(stage, 0.5)
    assert len(called) == calls


def test_the_movie_shows_the_creature_over_every_frame_at_the_clips_rate(clip: Path, tmp_path: Path) -> None:
    run(clip, tmp_path / "out", choices=Choices(fps=12.5))
    pictures, rate, pixels = decode(tmp_path / "out" / "overlay.mp4")
    assert (len(pictures), rate, pixels) == (8, 12.5, "yuv420p") and pictures[0].shape == (80, 120, 3)
    for k, picture in enumerate(pictures):
        plain = np.asarray(Picture.open(clip / f"{k}.png"))[:, :120]
        changed = np.abs(picture.astype(int) - plain).max(-1) > 40
        assert changed[20:70].mean() > 0.1 and changed[:4].mean() < 0.05
    assert np.abs(pictures[0].astype(int) - pictures[7]).mean() > 2


def test_a_moving_camera_moves_in_every_file(clip: Path, tmp_path: Path) -> None:
    run(clip, tmp_path / "still")
    run(clip, tmp_path / "moving", choices=Choices(camera="moving"))
    cameras = read_asset(tmp_path / "moving" / "asset.safetensors").motions[0].cameras
    assert cameras is not None and len(cameras) == 8
    assert read_asset(tmp_path / "still" / "asset.safetensors").motions[0].cameras is None
    still, moving = (decode(tmp_path / name / "overlay.mp4")[0] for name in ("still", "moving"))
    assert np.abs(still[7].astype(int) - moving[7]).mean() > 2


def test_work_that_broke_off_goes_on_where_it_was(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made_up_track.called.clear()
    with pytest.raises(RuntimeError, match="made-up break"):
        run(clip, out, name="breaks at 5")
    assert not out.exists() and len([path for path in left(tmp_path) if path.is_dir()]) == 1
    report = run(clip, out, name="breaks at 5")
    assert report["resumed"] and report["scores"]["made"] == 3 and made_up_track.called == [8, 0]
    assert {path.name for path in out.iterdir()} == FILES and not left(tmp_path)


def test_work_of_other_settings_is_not_taken_for_ones_own(clip: Path, tmp_path: Path) -> None:
    for choices in (Choices(), Choices(seed=1), Choices(stride=2), Choices(camera="still")):
        with pytest.raises(RuntimeError, match="made-up break"):
            run(clip, tmp_path / "out", name="breaks at 2", choices=choices)
    assert len([path for path in left(tmp_path) if path.is_dir()]) == 4


def test_a_cancelled_job_leaves_no_result_and_none_of_its_frames(clip: Path, tmp_path: Path) -> None:
    def stop(stage: str, fraction: float, preview: object = None) -> None:
        if stage == "overlay":
            raise Cancelled

    with pytest.raises(Cancelled):
        run(clip, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(f"{WORK}*/frames"))
    assert run(clip, tmp_path / "out")["scores"]["made"] == 0


def test_a_failure_leaves_the_earlier_result_whole(clip: Path, tmp_path: Path) -> None:
    run(clip, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(OSError, match="No space"):
        run(clip, tmp_path / "out", name="disk full")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_movie_that_finds_no_space_is_a_coded_failure(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(service, "write_overlay_movie", full)
    with pytest.raises(OSError) as escaped:
        run(clip, tmp_path / "out")
    assert as_error(escaped.value).code == "disk_full" and not (tmp_path / "out").exists()


def test_abandoned_work_is_taken_away_and_what_is_in_use_or_young_is_not(clip: Path, tmp_path: Path) -> None:
    for name in ("old", "young", "held"):
        (tmp_path / f"{WORK}{name}").mkdir()
        (tmp_path / f"{WORK}{name}" / "x").touch()
    for name in ("old", "held"):
        for path in (tmp_path / f"{WORK}{name}" / "x", tmp_path / f"{WORK}{name}"):
            os.utime(path, (time.time() - 10 * 86400,) * 2)
    with work_folder(tmp_path, "held") as held:
        os.utime(held, (time.time() - 10 * 86400,) * 2)
        remove_abandoned_work(tmp_path)
        assert {path.name for path in left(tmp_path) if path.is_dir()} == {f"{WORK}young", f"{WORK}held"}
    assert [path.name for path in left(tmp_path)] == [f"{WORK}young"]


def test_two_of_the_same_job_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with work_folder(tmp_path, "a") as first, work_folder(tmp_path, "a") as second:
        assert first != second and first.is_dir() and second.is_dir()
    assert not left(tmp_path)


def test_too_little_memory_is_told_before_the_animal_is_looked_for(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.service.reconstruct.available_memory_mib", lambda: MEMORY_MIB - 0.1)
    with pytest.raises(MenagerieError) as refusal:
        animate(clip, tmp_path / "out", methods=METHODS, tracker=lambda *_: pytest.fail("it was looked for"))
    assert refusal.value.code == "no_memory" and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("choices", "code"),
    [
        (Choices(start=-1), "bad_request"), (Choices(start=2, end=1), "bad_request"), (Choices(method="magic"), "bad_request"),
        (Choices(camera="drone"), "bad_request"), (Choices(mask_dir=Path("nowhere")), "mask_unreadable"),
        (Choices(start=50), "clip_too_short"),
    ],
)  # fmt: skip
def test_choices_that_are_none_are_refused_and_leave_nothing(clip: Path, tmp_path: Path, choices: Choices, code: str) -> None:
    with pytest.raises(MenagerieError) as refusal:
        run(clip, tmp_path / "out", choices=choices)
    assert refusal.value.code == code and not (tmp_path / "out").exists() and not left(tmp_path)


def test_a_method_for_photos_alone_is_refused(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.service.made_up.INPUTS", ("photo",))
    with pytest.raises(MenagerieError) as refusal:
        run(clip, tmp_path / "out")
    assert refusal.value.code == "bad_request" and "clip" in refusal.value.sentence


def test_warnings_of_every_part_are_told_once(clip: Path, tmp_path: Path) -> None:
    masks = draw_clip(tmp_path / "masks", [True])
    report = run(clip, tmp_path / "out", name="warns", choices=Choices(mask_dir=masks))
    assert report["warnings"] == ["Its masks are somebody's own.", "A made-up warning."]
    assert report["settings"]["mask_dir"] == str(masks)


def test_a_short_gap_is_bridged_and_a_long_one_ends_the_stretch(tmp_path: Path) -> None:
    seen = [False] * 2 + [True] * 5 + [False] * 4 + [True] * 6 + [False] * 7 + [True] * 8
    clip = draw_clip(tmp_path / "frames", seen)
    report = run(clip, tmp_path / "out", choices=Choices(fps=5.0))
    assert report["frames"]["numbers"] == list(range(2, 17)) and report["frames"]["unseen"] == 4 == report["scores"]["unseen"]
    assert len(read_asset(tmp_path / "out" / "asset.safetensors").motions[0].rotations) == 15
    assert report["warnings"] == [
        "The animal is out of sight from 1.40 to 2.20 seconds; how it moves there is guessed.",
        "The animal is seen from 0.40 to 3.40 seconds and from 4.80 to 6.40 seconds; "
        "the longest stretch, from 0.40 to 3.40 seconds, was used.",
    ]


def stretch_of(tmp_path: Path, seen: Sequence[bool], change: Callable[[object], object] = lambda track: track):  # noqa: ANN201
    from backend.media.clip import read_clip

    clip = read_clip(draw_clip(tmp_path / "frames", seen), tmp_path / "work")
    return clip, longest_stretch(clip, change(made_up_track.track(clip, tmp_path / "masks", lambda *_: None)))  # type: ignore[arg-type]


def test_a_stretch_counts_from_its_own_first_frame(tmp_path: Path) -> None:
    clip, stretch = stretch_of(tmp_path, [False] * 3 + [True] * 5)
    assert stretch.clip.numbers.tolist() == [3, 4, 5, 6, 7] and stretch.clip.times[0] == pytest.approx(3 / 24)
    assert np.array_equal(stretch.clip.read(1).rgb, clip.read(4).rgb) and stretch.mask(0).any()
    with pytest.raises(IndexError):
        stretch.clip.read(5)
    # Each frame's background stands one pixel further right: so it does from the stretch's first on.
    assert np.allclose(stretch.background[:, 0, 2], np.arange(5)) and np.allclose(stretch.background[0], np.eye(3))


@pytest.mark.parametrize("seen", [[False] * 5, [False, True, False]])
def test_a_clip_without_an_animal_has_its_code(tmp_path: Path, seen: list[bool]) -> None:
    with pytest.raises(MenagerieError) as refusal:
        stretch_of(tmp_path, seen)
    assert refusal.value.code == "no_animal" and "clip" in refusal.value.sentence


def test_a_track_without_a_background_has_none_in_the_stretch(tmp_path: Path) -> None:
    _, stretch = stretch_of(tmp_path, [True] * 3, lambda track: replace(track, background=None))  # type: ignore[type-var]
    assert stretch.background is None and stretch.warnings == ()


def test_runs_are_joined_over_gaps_that_are_short_enough() -> None:
    visible = np.array([0, 1, 1, 0, 1, 0, 0, 1], bool)
    assert visible_runs(visible) == [(1, 3), (4, 5), (7, 8)] and visible_runs(~np.ones(3, bool)) == []
    assert bridge(visible_runs(visible), 1) == [(1, 5), (7, 8)] and bridge(visible_runs(visible), 2) == [(1, 8)]
