"""One worker thread and its queue of jobs.

What enters: parameters of `reconstruct`, or of what else takes its time; what leaves: the notifications `progress`, `finished`, `failed`.
Cancelling is cooperative: the job's `progress` raises `Cancelled` at its next call. Who waits longer than it likes
ends the process; results are whole or absent either way.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.errors import Cancelled, MenagerieError
from backend.service.failures import as_error
from backend.service.seconds_left import SecondsLeft
from backend.types import ByteArray

WAITING_LIMIT = 64
"""Jobs that may wait; one more is refused."""

NOTICE_INTERVAL = 0.1
"""Seconds between two progress notifications of one stage."""

PREVIEW_INTERVAL = 1.0
"""Seconds between two preview pictures."""

PREVIEW_NAMES = ("preview-0.png", "preview-1.png")
"""Written in turn, so that the reader never opens the picture that is being written."""

Post = Callable[[str, dict[str, Any]], None]

Run = Callable[[dict[str, Any], "JobProgress"], dict[str, Any]]

log = logging.getLogger(__name__)


@dataclass
class Job:
    """One job. id: unique in this process; params: as received; run: its work; state: waiting, running, finished, failed."""

    id: str
    params: dict[str, Any]
    run: Run
    state: str = "waiting"
    stage: str = ""
    fraction: float = 0.0
    cancel: threading.Event = field(default_factory=threading.Event)


class JobProgress:
    """The `types.Progress` of one job: raises on cancel, tells the other side, with the seconds left."""

    def __init__(self, job: Job, post: Post) -> None:
        self._job, self._post = job, post
        self._left = SecondsLeft()
        self._last_notice = self._last_preview = -1e9
        self._previews = 0

    def expect(self, seconds: float) -> None:
        """What the job is estimated to take from now on: the first answer to how long it will be."""
        self._left.expect(seconds)

    def __call__(self, stage: str, fraction: float, preview: ByteArray | None = None) -> None:
        if self._job.cancel.is_set():
            raise Cancelled
        now = time.monotonic()
        changed = stage != self._job.stage
        self._job.stage = stage
        # A bar that runs backwards looks broken; a stage that was judged too long just holds it.
        self._job.fraction = min(1.0, max(self._job.fraction, fraction))
        showing = preview is not None and now - self._last_preview >= PREVIEW_INTERVAL
        if not changed and not showing and now - self._last_notice < NOTICE_INTERVAL:
            return
        self._last_notice = now
        params: dict[str, Any] = {"job": self._job.id, "stage": stage, "fraction": round(self._job.fraction, 4)}
        left = self._left.at(self._job.fraction)
        if left is not None:
            params["seconds_left"] = round(left, 1)
        if showing and preview is not None:
            self._last_preview = now
            params["preview"] = self._write_preview(preview)
        self._post("progress", params)

    def _write_preview(self, preview: ByteArray) -> str:
        from PIL import Image as Picture

        folder = Path(self._job.params["out"])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / PREVIEW_NAMES[self._previews % 2]
        self._previews += 1
        Picture.fromarray(preview).save(path, compress_level=1)
        return str(path)


class Worker:
    """Runs jobs one after another in a daemon thread.

    run: the work of jobs that bring none, (params, progress) -> JSON-able result; post: sends a notification, callable from any thread;
    warm_up: what the thread does before its first job.
    """

    def __init__(self, run: Run, post: Post, warm_up: Callable[[], None] | None = None) -> None:
        self._run, self._post, self._warm_up = run, post, warm_up
        self._jobs: dict[str, Job] = {}
        self._waiting: queue.Queue[Job] = queue.Queue()
        self._count = 0
        self._idle = threading.Event()
        self._idle.set()
        threading.Thread(target=self._work, name="worker", daemon=True).start()

    def prepare(self, params: dict[str, Any], run: Run | None = None) -> Job:
        """A new job that is not yet queued, so that its id can be answered before its first notification. run: its own work."""
        if self._waiting.qsize() >= WAITING_LIMIT:
            raise MenagerieError("bad_request", "Too many jobs are waiting already.", "Wait until some have finished.")
        self._count += 1
        job = Job(str(self._count), params, run or self._run)
        self._jobs[job.id] = job
        return job

    def submit(self, job: Job) -> None:
        """Queue a prepared job."""
        self._idle.clear()
        self._waiting.put(job)

    def cancel(self, job_id: str) -> bool:
        """Ask a job to stop; False if there is no such job any more. `failed` with code `cancelled` follows."""
        job = self._jobs.get(job_id)
        if job is None:
            return False
        job.cancel.set()
        return True

    def state(self) -> list[dict[str, Any]]:
        """The jobs that wait or run, oldest first."""
        return [{"job": j.id, "state": j.state, "stage": j.stage, "fraction": j.fraction} for j in list(self._jobs.values())]

    def stop(self, seconds: float) -> bool:
        """Cancel everything and wait so long for the running job to tidy up; True if it did."""
        for job in list(self._jobs.values()):
            job.cancel.set()
        return self._idle.wait(seconds)

    def _work(self) -> None:
        if self._warm_up is not None:
            try:
                self._warm_up()
            except Exception as escaped:  # noqa: BLE001  the job that needs it will fail alike, and report it
                log.warning("warming up failed: %s", escaped)
        while True:
            job = self._waiting.get()
            self._do(job)
            del self._jobs[job.id]
            if self._waiting.empty():
                self._idle.set()

    def _do(self, job: Job) -> None:
        job.state = "running"
        progress = JobProgress(job, self._post)
        try:
            if job.cancel.is_set():
                raise Cancelled
            answer = job.run(job.params, progress)
        except BaseException as escaped:  # noqa: BLE001  the process boundary: everything is re-reported
            error = as_error(escaped)
            if error.code == "internal":
                log.error("job %s failed", job.id, exc_info=escaped)
            else:
                log.info("job %s failed: %s: %s", job.id, error.code, error.sentence)
            job.state = "failed"
            self._remove_previews(job)
            self._post("failed", {"job": job.id, "error": error.to_wire()})
        else:
            job.state = "finished"
            self._remove_previews(job)
            self._post("finished", {"job": job.id, **answer})

    def _remove_previews(self, job: Job) -> None:
        for name in PREVIEW_NAMES if "out" in job.params else ():
            # The folder may be what the job failed on; the thread must outlive that.
            with suppress(OSError):
                (Path(job.params["out"]) / name).unlink(missing_ok=True)
