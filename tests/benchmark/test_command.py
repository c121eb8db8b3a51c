"""The benchmark's numbers add up, its large photo is one, and what it lacks on this machine is said with a code."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image as Picture

from backend.benchmark import clips, command, stages
from backend.errors import MenagerieError

ROOT = Path(__file__).parents[2]


def test_the_large_photo_has_twelve_megapixels_and_no_alpha(tmp_path: Path) -> None:
    stages.make_large_photo(ROOT / "tests" / "photos" / "horse.png", tmp_path / "large.jpg")
    with Picture.open(tmp_path / "large.jpg") as opened:
        assert opened.size == (4000, 3000) and opened.mode == "RGB"
        corner, middle = opened.getpixel((5, 5)), opened.getpixel((2000, 1400))
    assert corner != middle


def run_of(photo: Path, quality: str, threads: int) -> dict[str, Any]:
    """A made-up run; the large photo takes longer."""
    factor = 2.0 if photo.name == command.LARGE else 1.0
    parts = {"start": 1.0 * factor, "fit": 3.0 * factor}
    return {"seconds": parts, "cpu_seconds": parts, "wall": 4.0 * factor, "cpu": 4.0 * factor, "peak_memory_mib": 700, "scores": {}}


def test_both_qualities_and_the_large_photo_are_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "time_once", run_of)
    assert command.main(["--json", str(tmp_path / "a" / "b.json")]) == 0
    found = json.loads((tmp_path / "a" / "b.json").read_text())
    assert {"fast", "fast_large", "fine", "fine_large"} <= found.keys()
    assert found["fast"]["wall"] == 4.0 and found["fast_large"]["wall"] == 8.0 and found["fine"]["peak_memory_mib"] == 700
    assert list(found["fast"]["seconds"]) == ["fit", "start"]
    printed = capsys.readouterr().out
    assert "fine: 3 runs" in printed and "700 MiB" in printed and printed.index("start") < printed.index("fit")


def test_a_photo_that_is_not_there_is_coded(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as refusal:
        command.main([str(tmp_path / "none.png")])
    assert refusal.value.code == "photo_unreadable"


def test_parity_without_a_gpu_or_nvdiffrast_is_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(device: str) -> dict[str, Any]:
        raise ImportError("nvdiffrast")

    for found, word in ((False, "GPU"), (True, "nvdiffrast")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=found: found)
        monkeypatch.setattr("backend.benchmark.parity.compare_renderers", missing)
        with pytest.raises(MenagerieError) as refusal:
            command.main(["--parity"])
        assert refusal.value.code == "bad_request" and word in refusal.value.sentence and refusal.value.remedy


def test_clips_of_two_lengths_are_timed_and_their_memory_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths: list[int] = []

    def run(asked: list[str], **_: Any) -> SimpleNamespace:
        frames, out = Path(asked[asked.index("animate") + 1]), Path(asked[asked.index("--out") + 1])
        lengths.append(len(list(frames.glob("*.png"))))
        out.mkdir()
        (out / "report.json").write_text(json.dumps({"seconds": {"method": 1.0}, "peak_memory_mib": 500 + lengths[-1]}))
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(clips, "FRAMES", (3, 8))
    monkeypatch.setattr(command, "FRAMES", (3, 8))
    monkeypatch.setattr(clips.subprocess, "run", run)
    assert command.main(["--animate", "--json", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())["animate"]
    assert lengths == [clips.FIRST, 3, 8] and found["8"]["peak_memory_mib"] == 508
    assert found["memory_growth"] == pytest.approx(508 / 503) and "1.010" in capsys.readouterr().out
    monkeypatch.setattr(clips.subprocess, "run", lambda asked, **_: SimpleNamespace(returncode=1, stderr="first\nno animal in it\n"))
    with pytest.raises(MenagerieError, match="no animal in it"):
        command.main(["--animate"])
    with pytest.raises(MenagerieError) as refusal:
        command.main(["--animate", str(tmp_path / "none")])
    assert refusal.value.code == "bad_request"


def test_a_made_up_clip_goes_to_and_fro(tmp_path: Path) -> None:
    assert [clips.to_and_fro(number, 4) for number in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert clips.to_and_fro(5, 1) == 0
    drifting = clips.make_clip(ROOT / "tests" / "photos" / "horse.png", tmp_path / "drift", 3)
    lefts = []
    for file in sorted(drifting.iterdir()):
        with Picture.open(file) as frame:
            assert frame.mode == "RGBA" and frame.size == clips.SIZE
            box = frame.getchannel("A").getbbox()
            assert box is not None
            lefts.append(box[0])
    assert lefts == sorted(set(lefts))
    again = clips.make_clip(drifting, tmp_path / "again", 5)
    assert [file.read_bytes() for file in sorted(again.iterdir())][3] == sorted(drifting.iterdir())[1].read_bytes()
