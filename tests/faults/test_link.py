"""The add-on's link to a real child: kills, hangs, mismatches and broken messages are named, and the next job works."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from backend import VERSION
from tests import promise
from tests.faults.link import ROOT, link_module

process = link_module("process")

KILL_SECONDS = 1.0
CANCEL_SECONDS = 2.0
ORPHAN_SECONDS = 2.0
PATIENCE = 60.0
NETWORK = {"socket", "ssl", "urllib", "http", "requests", "ftplib", "smtplib", "asyncio", "xmlrpc", "telnetlib", "webbrowser"}
NO_MESSAGE = "import sys; sys.stdout.write('Content-Length: 2\\r\\n\\r\\n{}'); sys.stdout.flush()"
CHILD = str(ROOT / "tests" / "service" / "child.py")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Any]:
    link = process.Backend(sys.executable, ROOT, VERSION, tmp_path / "logs" / "backend.log", entry=(CHILD,))
    yield link
    link.stop()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Tier 动物.png"
    picture = Picture.new("RGBA", (96, 64), (120, 80, 40, 0))
    picture.paste((120, 80, 40, 255), (24, 16, 72, 48))
    picture.save(path)
    return path


def pump_until(backend: Any, holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        backend.pump()
        time.sleep(0.005)


def exists(pid: int) -> bool:
    """The process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_promise_3_a_killed_backend_is_named_within_a_second_and_the_next_job_works(backend: Any, photo: Path, tmp_path: Path) -> None:
    job = backend.reconstruct(photo, tmp_path / "out", name="slow")
    pump_until(backend, lambda: job.stage == "slow")
    start = time.monotonic()
    os.kill(backend.pid, signal.SIGKILL)
    pump_until(backend, lambda: job.done)
    assert time.monotonic() - start < KILL_SECONDS
    assert job.error["code"] == "backend_killed" and job.error["remedy"]
    again = backend.run(backend.reconstruct(photo, tmp_path / "again"), PATIENCE)
    assert again.state == "finished", again.error
    assert (tmp_path / "again" / "report.json").is_file()


@pytest.mark.parametrize("name", ["slow", "stuck"])
def test_promise_3_cancel_works_within_two_seconds_even_if_the_method_hangs(backend: Any, photo: Path, tmp_path: Path, name: str) -> None:
    job = backend.reconstruct(photo, tmp_path / "out", name=name)
    behind = backend.reconstruct(photo, tmp_path / "behind")
    pump_until(backend, lambda: job.stage == name)
    pid, start = backend.pid, time.monotonic()
    backend.cancel(job)
    pump_until(backend, lambda: job.done)
    assert time.monotonic() - start < CANCEL_SECONDS
    assert job.error["code"] == "cancelled"
    pump_until(backend, lambda: behind.done)
    assert behind.state == "finished", behind.error
    assert exists(pid) == (name == "slow")


def test_a_job_cancelled_before_it_was_answered_stops_too(backend: Any, photo: Path, tmp_path: Path) -> None:
    job = backend.reconstruct(photo, tmp_path / "out", name="slow")
    backend.cancel(job)
    pump_until(backend, lambda: job.done)
    assert job.error["code"] == "cancelled" and not (tmp_path / "out").exists()


def test_a_backend_that_ends_itself_is_named(backend: Any, photo: Path, tmp_path: Path) -> None:
    job = backend.run(backend.reconstruct(photo, tmp_path / "out", name="dies"), PATIENCE)
    assert job.error["code"] == "backend_killed" and "9" in job.error["sentence"]


@pytest.mark.parametrize(
    ("python", "entry", "version", "code"),
    [
        ("/nowhere/python", (CHILD,), VERSION, "backend_missing"),
        (sys.executable, ("-c", "raise SystemExit(3)"), VERSION, "backend_missing"),
        (sys.executable, (CHILD,), "0.0.1", "backend_mismatch"),
        (sys.executable, ("-c", "print('hello')"), VERSION, "backend_missing"),
        (sys.executable, ("-c", NO_MESSAGE), VERSION, "backend_missing"),
    ],
)
def test_a_backend_that_does_not_come_up_is_named(photo: Path, tmp_path: Path, python: str, entry: Any, version: str, code: str) -> None:
    link = process.Backend(python, ROOT, version, tmp_path / "backend.log", entry=entry)
    job = link.run(link.reconstruct(photo, tmp_path / "out"), PATIENCE)
    assert job.state == "failed" and job.error["code"] == code and job.error["remedy"]
    assert link.state == "stopped"


def test_promise_3_the_child_ends_within_two_seconds_of_blenders_death(photo: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.faults.link import link_module\n"
        f"b = link_module('process').Backend(sys.executable, {str(ROOT)!r}, {VERSION!r}, entry=({CHILD!r},))\n"
        f"j = b.reconstruct({str(photo)!r}, {str(tmp_path / 'out')!r}, name='stuck')\n"
        "while j.stage != 'stuck': b.pump(); time.sleep(0.01)\n"
        "print(b.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert exists(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + ORPHAN_SECONDS
    while exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not exists(pid)


def test_promise_1_pump_takes_less_than_ten_milliseconds_while_a_job_runs(backend: Any, photo: Path, tmp_path: Path) -> None:
    took: list[promise.Took] = []
    with promise.own_garbage_only():
        job = promise.timed(took, lambda: backend.reconstruct(photo, tmp_path / "out", name="slow"))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            promise.timed(took, backend.pump)
            time.sleep(0.01)
    assert not job.done
    assert promise.slow_and_worst(took)[0] < promise.CALLBACK_SECONDS


def test_promise_1_the_child_has_a_low_priority_and_a_clean_environment(
    backend: Any, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("LD_PRELOAD_SECRET", "x")
    job = backend.reconstruct(photo, tmp_path / "out", name="slow")
    pump_until(backend, lambda: job.stage == "slow")
    variables = dict(line.split("=", 1) for line in Path(f"/proc/{backend.pid}/environ").read_text().split("\0") if line)
    assert "PYTHONPATH" not in variables and "LD_PRELOAD_SECRET" not in variables
    assert os.getpriority(os.PRIO_PROCESS, backend.pid) > os.getpriority(os.PRIO_PROCESS, 0)


def test_promise_6_the_child_holds_no_socket(backend: Any, photo: Path, tmp_path: Path) -> None:
    job = backend.reconstruct(photo, tmp_path / "out", name="slow")
    pump_until(backend, lambda: job.stage == "slow")
    links = [os.readlink(entry) for entry in Path(f"/proc/{backend.pid}/fd").iterdir()]
    assert not [link for link in links if link.startswith("socket:")]


def test_promise_6_the_add_on_imports_nothing_that_talks_to_a_network() -> None:
    found = {}
    for path in sorted((ROOT / "blender_addon").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if talking := {name.split(".")[0] for name in names} & NETWORK:
                found[path.name] = talking
    assert not found
