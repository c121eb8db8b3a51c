"""The service as a real child process: versions, jobs, cancel, refusals, and nothing but protocol on stdout."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from PIL import Image as Picture

from backend import VERSION
from backend.service import wire
from tests.service.client import Client
from tests.service.made_up import SECONDS

CANCEL_SECONDS = 2.0
ORPHAN_SECONDS = 2.0


def test_a_job_ends_with_a_whole_result(client: Client, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "Ergebnis 结果"
    ending = client.ending(client.job(photo, out, seed=3))
    assert ending["method"] == "finished", ending
    files = {"asset.safetensors", "asset.glb", "mask.png", "overlay.png", "report.json"} | {f"viewpoint-{i}.png" for i in range(4)}
    assert {path.name for path in out.iterdir()} == files == set(ending["params"]["files"])
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["settings"]["seed"] == 3 and report["seconds"] and report["peak_memory_mib"] > 0
    assert Picture.open(out / "overlay.png").size == Picture.open(out / "mask.png").size == (96, 64)


def test_the_methods_estimate_is_the_first_number_of_seconds_left(client: Client, photo: Path, tmp_path: Path) -> None:
    job = client.job(photo, tmp_path / "out")
    notice = client.wait(lambda m: m.get("method") == "progress" and "seconds_left" in m["params"])
    assert notice["params"]["stage"] == "mask" and 0 < notice["params"]["seconds_left"] <= SECONDS
    assert client.ending(job)["method"] == "finished"


def test_a_cancelled_job_stops_in_time_and_leaves_nothing(client: Client, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = client.job(photo, out, name="slow")
    client.wait(lambda m: m.get("method") == "progress" and m["params"]["stage"] == "slow" and "preview" in m["params"])
    start = time.monotonic()
    assert client.call("cancel", job=job)["result"] == {"known": True}
    ending = client.ending(job)
    assert time.monotonic() - start < CANCEL_SECONDS
    assert ending["params"]["error"]["code"] == "cancelled"
    assert not out.exists() or not list(out.iterdir())


def test_what_a_method_prints_never_reaches_the_wire(client: Client, photo: Path, tmp_path: Path) -> None:
    assert client.ending(client.job(photo, tmp_path / "out", name="prints"))["method"] == "finished"


@pytest.mark.parametrize(("name", "code"), [("disk full", "disk_full"), ("no memory", "no_memory"), ("several", "several_animals")])
def test_a_failure_arrives_with_code_sentence_and_remedy(client: Client, photo: Path, tmp_path: Path, name: str, code: str) -> None:
    error = client.ending(client.job(photo, tmp_path / "out", name=name))["params"]["error"]
    assert error["code"] == code and error["sentence"] and error["remedy"]
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_can_not_be_is_a_coded_failure_and_survived(client: Client, photo: Path, tmp_path: Path) -> None:
    error = client.ending(client.job(photo, photo / "out"))["params"]["error"]
    assert error["code"] == "not_writable"
    assert client.ending(client.job(photo, tmp_path / "out"))["method"] == "finished"


def test_a_photo_that_is_none_has_its_code(client: Client, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    assert client.ending(client.job(bad, tmp_path / "out"))["params"]["error"]["code"] in ("photo_unreadable", "photo_unsupported")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"photo": "/a.png"},
        {"photo": "a.png", "out": "b"},
        {"photo": "/a.png", "out": "/b", "seed": True},
        {"photo": "/a.png", "out": "/b", "quality": "best"},
        {"photo": "/a.png", "out": "/b", "viewpoint": 4},
        {"photo": "/a.png", "out": "/b", "shell": "x"},
    ],
)
def test_bad_parameters_are_refused(client: Client, params: dict[str, object]) -> None:
    reply = client.call("reconstruct", **params)
    assert reply["error"]["code"] == wire.INVALID_PARAMS and reply["error"]["data"]["code"] == "bad_request"


def test_unknown_methods_and_broken_json_are_answered_and_survived(client: Client) -> None:
    assert client.call("exec", code="1")["error"]["code"] == wire.METHOD_NOT_FOUND
    client.send(b"Content-Length: 3\r\n\r\n{{{")
    assert client.wait(lambda m: "error" in m)["error"]["code"] == wire.PARSE_ERROR
    assert client.call("status")["result"]["version"] == VERSION


def test_weights_are_listed_with_their_licences(client: Client) -> None:
    rows = client.call("weights")["result"]["weights"]
    assert rows and all(row["licence"] and row["bytes"] > 0 for row in rows)


def test_another_version_is_refused_with_a_remedy() -> None:
    client = Client(greet=False)
    try:
        assert client.call("status")["error"]["data"]["code"] == "protocol"
        error = client.call("initialize", protocol=wire.PROTOCOL, version="99.0")["error"]["data"]
        assert error["code"] == "backend_mismatch" and error["remedy"]
    finally:
        client.close()


@pytest.mark.parametrize("name", ["slow", "stuck"])
def test_the_child_ends_with_its_parent(photo: Path, tmp_path: Path, name: str) -> None:
    client = Client()
    try:
        client.job(photo, tmp_path / "out", name=name)
        client.wait(lambda m: m.get("method") == "progress" and m["params"]["stage"] == name)
        start = time.monotonic()
        assert client.process.stdin is not None
        client.process.stdin.close()
        client.process.wait(timeout=ORPHAN_SECONDS)
        assert time.monotonic() - start < ORPHAN_SECONDS
    finally:
        client.close()


def test_a_broken_frame_ends_the_process() -> None:
    client = Client()
    try:
        client.send(b"Content-Length: 99999999\r\n\r\n")
        assert client.process.wait(timeout=ORPHAN_SECONDS) == 2
    finally:
        client.close()
