"""The worker: one job after another, cancel by the next progress, every failure re-reported with a code."""

from __future__ import annotations

import errno
import queue
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import MenagerieError
from backend.service.failures import as_error
from backend.service.jobs import Run, Worker

Posted = queue.Queue[tuple[str, dict[str, Any]]]
PATIENCE = 5.0


def start(run: Run) -> tuple[Worker, Posted]:
    posted: Posted = queue.Queue()
    return Worker(run, lambda method, params: posted.put((method, params))), posted


def ending(posted: Posted) -> tuple[str, dict[str, Any]]:
    while True:
        method, params = posted.get(timeout=PATIENCE)
        if method in ("finished", "failed"):
            return method, params


def test_jobs_run_in_order_and_answer_with_their_own_id(tmp_path: Path) -> None:
    worker, posted = start(lambda params, progress: {"said": params["word"]})
    jobs = [worker.prepare({"out": str(tmp_path), "word": word}) for word in ("one", "two")]
    for job in jobs:
        worker.submit(job)
    assert [ending(posted)[1] for _ in jobs] == [{"job": "1", "said": "one"}, {"job": "2", "said": "two"}]


def test_a_running_and_a_waiting_job_stop_when_cancelled(tmp_path: Path) -> None:
    def run(params: dict[str, Any], progress: Any) -> dict[str, Any]:
        while True:
            progress("turning", 0.5)
            time.sleep(0.005)

    worker, posted = start(run)
    first, second = (worker.prepare({"out": str(tmp_path)}) for _ in range(2))
    worker.submit(first)
    worker.submit(second)
    assert posted.get(timeout=PATIENCE)[0] == "progress"
    assert worker.cancel(second.id) and worker.cancel(first.id)
    for job in (first, second):
        method, params = ending(posted)
        assert (method, params["job"], params["error"]["code"]) == ("failed", job.id, "cancelled")
    assert worker.stop(PATIENCE) and not worker.cancel(first.id)


def test_a_failed_job_leaves_the_worker_ready(tmp_path: Path) -> None:
    def run(params: dict[str, Any], progress: Any) -> dict[str, Any]:
        if params["bad"]:
            raise ZeroDivisionError("at /home/somebody/secret")
        return {}

    worker, posted = start(run)
    for bad in (True, False):
        worker.submit(worker.prepare({"out": str(tmp_path), "bad": bad}))
    assert ending(posted)[1]["error"]["code"] == "internal"
    assert ending(posted)[0] == "finished"


def test_the_bar_never_runs_backwards_and_previews_vanish_with_the_job(tmp_path: Path) -> None:
    seen: list[Path] = []

    def run(params: dict[str, Any], progress: Any) -> dict[str, Any]:
        for step, fraction in enumerate((0.1, 0.4, 0.2, 0.9)):
            progress(f"stage {step}", fraction, np.zeros((4, 4, 3), np.uint8))
            seen.extend(tmp_path.glob("preview-*.png"))
        return {}

    worker, posted = start(run)
    worker.submit(worker.prepare({"out": str(tmp_path)}))
    fractions = []
    while (message := posted.get(timeout=PATIENCE))[0] == "progress":
        fractions.append(message[1]["fraction"])
    assert fractions == sorted(fractions) and fractions[-1] == 0.9
    assert seen and not list(tmp_path.iterdir())


def test_the_first_seconds_left_are_the_estimate(tmp_path: Path) -> None:
    def run(params: dict[str, Any], progress: Any) -> dict[str, Any]:
        progress("photo", 0.0)
        progress.expect(18.0)
        progress("mask", 0.03)
        return {}

    worker, posted = start(run)
    worker.submit(worker.prepare({"out": str(tmp_path)}))
    notices = [posted.get(timeout=PATIENCE)[1] for _ in range(2)]
    assert "seconds_left" not in notices[0] and 17 <= notices[1]["seconds_left"] <= 18


@pytest.mark.parametrize(
    ("escaped", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full"),
        (PermissionError(errno.EACCES, "Permission denied"), "not_writable"),
        (MemoryError(), "no_memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), "no_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "no_memory"),
        (MenagerieError("no_animal", "No animal was found."), "no_animal"),
        (KeyError("x"), "internal"),
    ],
)
def test_what_escapes_becomes_an_error_a_person_can_act_on(escaped: BaseException, code: str) -> None:
    error = as_error(escaped)
    assert error.code == code and error.sentence and error.remedy
