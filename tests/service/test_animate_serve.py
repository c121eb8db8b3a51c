"""The job of a clip through the wire: parameters, progress with previews, cancel in time, and going on after the process has died."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backend.service import wire
from backend.service.work_folder import WORK
from tests.service.client import Client
from tests.service.test_animate import FILES, draw_clip

CANCEL_SECONDS = 2.0


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return draw_clip(tmp_path / "Clips 动物" / "Löwe", [True] * 6)


def begin(client: Client, clip: Path, out: Path, **settings: object) -> str:
    return str(client.call("animate", clip=str(clip), out=str(out), **settings)["result"]["job"])


def test_a_clip_comes_back_as_a_whole_result(client: Client, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "Ergebnis 结果"
    job = begin(client, clip, out, fps=12, start=0, end=0.4, stride=2, camera="still", seed=3, name="Leo")
    stages: list[str] = []

    def ended(message: dict) -> bool:
        if message.get("method") == "progress":
            stages.append(message["params"]["stage"])
        return message.get("method") in ("finished", "failed")

    ending = client.wait(ended)
    assert ending["method"] == "finished" and ending["params"]["job"] == job, ending
    assert {path.name for path in out.iterdir()} == FILES == set(ending["params"]["files"])
    report = ending["params"]["report"]
    assert report["frames"]["numbers"] == [0, 2, 4] and report["frames"]["fps"] == 6.0 and report["settings"]["seed"] == 3
    assert [stage for stage in dict.fromkeys(stages) if stage in ("clip", "mask", "fit", "overlay")] == ["clip", "mask", "fit", "overlay"]


def test_a_cancelled_clip_stops_in_time_and_leaves_nothing(client: Client, clip: Path, tmp_path: Path) -> None:
    job = begin(client, clip, tmp_path / "out", name="slow")
    client.wait(lambda m: m.get("method") == "progress" and m["params"]["stage"] == "slow" and "preview" in m["params"])
    start = time.monotonic()
    client.call("cancel", job=job)
    assert client.ending(job)["params"]["error"]["code"] == "cancelled"
    assert time.monotonic() - start < CANCEL_SECONDS
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"clip": "/a.mp4"},
        {"clip": "a.mp4", "out": "/b"},
        {"clip": "/a.mp4", "out": "/b", "mask_dir": "masks"},
        {"clip": "/a.mp4", "out": "/b", "start": "0"},
        {"clip": "/a.mp4", "out": "/b", "fps": True},
        {"clip": "/a.mp4", "out": "/b", "stride": 1.5},
        {"clip": "/a.mp4", "out": "/b", "camera": "drone"},
        {"clip": "/a.mp4", "out": "/b", "quality": "fast"},
    ],
)
def test_bad_parameters_are_refused(client: Client, params: dict[str, object]) -> None:
    reply = client.call("animate", **params)
    assert reply["error"]["code"] == wire.INVALID_PARAMS and reply["error"]["data"]["code"] == "bad_request"


def test_a_clip_that_is_none_has_its_code(client: Client, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no clip")
    error = client.ending(begin(client, tmp_path / "bad.mp4", tmp_path / "out"))["params"]["error"]
    assert error["code"] == "clip_unsupported" and error["remedy"] and not (tmp_path / "out").exists()


def test_after_the_process_has_died_the_job_goes_on(clip: Path, tmp_path: Path) -> None:
    first = Client()
    try:
        begin(first, clip, tmp_path / "out", name="dies")
        first.process.wait(timeout=120)
    finally:
        first.close()
    assert [path for path in tmp_path.glob(f"{WORK}*") if path.is_dir()]
    second = Client()
    try:
        ending = second.ending(begin(second, clip, tmp_path / "out", name="lives"))
        assert ending["method"] == "finished" and ending["params"]["report"]["resumed"]
        assert not list(tmp_path.glob(f"{WORK}*"))
    finally:
        second.close()
