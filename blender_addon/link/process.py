"""The backend as a child process, seen from Blender: start, watch, restart.

Nothing here touches bpy and nothing blocks: a starter thread opens the process and then reads its messages into a
queue, a writer thread empties another, and `pump()` -- called by a timer, or by a loop in tests -- moves jobs along.
A process that dies fails its jobs with `backend_killed` (or `backend_missing`, if it never came up) and the next job
starts a new one. A job that does not stop 1.5 s after it was cancelled takes its process with it.
"""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import wire
from .errors import LinkError

CANCEL_SECONDS = 1.5
"""How long a cancelled job may take to stop by itself."""

START_SECONDS = 120.0
"""How long a process may take to answer `initialize`: a cold disk and a virus scanner can make Python slow."""

LOG_LIMIT = 1 << 20
"""A log larger than this is renamed to `*.old` at the next start."""

ENTRY = ("-m", "backend", "serve")

KEPT_VARIABLES = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "USER", "LOGNAME", "USERPROFILE", "APPDATA",
    "LOCALAPPDATA", "XDG_CACHE_HOME", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "CUDA_VISIBLE_DEVICES",
    "NUMBA_CACHE_DIR", "MENAGERIE_WEIGHTS",
)  # fmt: skip
"""Everything else stays behind: Blender's and other add-ons' PYTHON*, LD_*, proxies and tokens."""

log = logging.getLogger(__name__)


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The child's environment variables."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in KEPT_VARIABLES}
    kept.update(PYTHONDONTWRITEBYTECODE="1", PYTHONUTF8="1", PYTHONNOUSERSITE="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    kept.update(extra or {})
    return kept


def quiet_flags() -> dict[str, Any]:
    """`Popen` arguments: no console window on Windows, signals of the parent's terminal not shared elsewhere."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS}
    return {"start_new_session": True}


@dataclass
class Job:
    """One reconstruction, or other work of the backend's worker, as the add-on sees it.

    params: of the wire's method; method: its name there; state: waiting, running, finished, failed; seconds_left: None while unknown;
    preview: path of the newest preview; result: of `finished` (of `reconstruct`: out, files, report); error: of `failed`.
    """

    params: dict[str, Any]
    method: str = "reconstruct"
    state: str = "waiting"
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None
    preview: str | None = None
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    id: str | None = None
    cancelled_at: float | None = None

    @property
    def done(self) -> bool:
        """Finished or failed."""
        return self.state in ("finished", "failed")


@dataclass
class _Child:
    """One process and its queues; replaced as a whole when it dies, so that nothing of an old one is ever read."""

    inbox: queue.SimpleQueue[tuple[str, Any]] = field(default_factory=queue.SimpleQueue)
    outbox: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)
    process: subprocess.Popen[bytes] | None = None
    started: float = field(default_factory=time.monotonic)
    welcome: dict[str, Any] | None = None
    ended: bool = False


class Backend:
    """The link to one backend.

    python: its interpreter; unit: folder that holds `backend/`; version: the add-on's, compared at `initialize`;
    log_path: file for the child's stderr; entry: arguments after the interpreter's own flags; variables: extra ones.
    """

    def __init__(
        self,
        python: str | Path,
        unit: str | Path,
        version: str,
        log_path: str | Path | None = None,
        entry: Sequence[str] = ENTRY,
        variables: dict[str, str] | None = None,
    ) -> None:
        self.python, self.unit, self.version = Path(python), Path(unit), version
        self.log_path = Path(log_path) if log_path else None
        self._entry, self.variables = tuple(entry), variables or {}
        self._child: _Child | None = None
        self._replies: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._calls = 0
        self.jobs: list[Job] = []
        self.error: dict[str, str] | None = None

    @property
    def state(self) -> str:
        """stopped, starting or ready."""
        if self._child is None:
            return "stopped"
        return "ready" if self._child.welcome else "starting"

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        child = self._child
        return child.process.pid if child and child.process else None

    # -- for operators ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process if there is none; returns at once."""
        if self._child is not None:
            return
        self._child = child = _Child()
        self._replies.clear()
        threading.Thread(target=self._live, args=(child,), name="menagerie-reader", daemon=True).start()
        hello = {"protocol": wire.PROTOCOL, "version": self.version, "client": "blender_addon"}
        self._call("initialize", hello, self._greeted)

    def reconstruct(self, photo: str | Path, out: str | Path, **settings: Any) -> Job:
        """Queue a job; settings: photos, mask, method, quality, seed, viewpoint, flip_heading, swap_legs, pins, name. Returns at once."""
        return self.begin("reconstruct", photo=Path(photo).absolute(), out=Path(out).absolute(), **settings)

    def begin(self, method: str, **params: Any) -> Job:
        """Queue work of the backend's worker: a method of the wire that answers with a job. Parameters that are None are left out."""
        self.pump()  # a process that died while nobody looked must not take this job with it
        given = {key: str(value) if isinstance(value, Path) else value for key, value in params.items() if value is not None}
        job = Job(given, method)
        self.jobs.append(job)
        self.error = None
        if self.state == "ready":
            self._send_job(job)
        else:
            self.start()
        return job

    def cancel(self, job: Job) -> None:
        """Ask a job to stop; it fails with `cancelled` within two seconds."""
        if job.done or job.cancelled_at is not None:
            return
        job.cancelled_at = time.monotonic()
        if job.id is not None:
            self._call("cancel", {"job": job.id}, lambda reply: None)

    def ask(self, method: str, answer: Callable[[dict[str, Any]], None]) -> None:
        """Call `status` or `weights`; answer receives the whole reply (with `result` or `error`) in a later pump."""
        self.start()
        self._call(method, {}, answer)

    def pump(self) -> bool:
        """Move what has arrived; True if anything changed. Takes well under 10 ms and never waits."""
        child = self._child
        if child is None:
            return False
        changed = False
        for _ in range(200):
            try:
                kind, value = child.inbox.get_nowait()
            except queue.Empty:
                break
            changed = True
            if kind == "message":
                self._receive(value)
            else:
                self._lost(child, value)
            if self._child is not child:
                return True
        return self._watch(child) or changed

    def run(self, job: Job, seconds: float = 3600.0, pause: float = 0.02) -> Job:
        """Pump until the job is done: for background mode and scripts, never for Blender's interface."""
        deadline = time.monotonic() + seconds
        while not job.done and time.monotonic() < deadline:
            self.pump()
            time.sleep(pause)
        return job

    def stop(self) -> None:
        """End the process now; its jobs fail with `cancelled`. For unregistering: waits for nothing."""
        child, self._child = self._child, None
        if child:
            self._end(child)
        self._fail_all(LinkError("cancelled", "The backend was stopped.").to_wire())

    # -- messages -----------------------------------------------------------------------------------------------

    def _call(self, method: str, params: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        if self._child is None:
            return
        self._calls += 1
        self._replies[self._calls] = answer
        self._child.outbox.put(wire.frame({"id": self._calls, "method": method, "params": params}))

    def _greeted(self, reply: dict[str, Any]) -> None:
        child = self._child
        if child is None:
            return
        if "error" in reply:
            self._refuse(reply["error"].get("data") or LinkError("protocol", "The backend refused the add-on.").to_wire())
            return
        if reply["result"].get("protocol") != wire.PROTOCOL or reply["result"].get("version") != self.version:
            self._refuse(LinkError("backend_mismatch", "The backend and the add-on are of different versions.").to_wire())
            return
        child.welcome = reply["result"]
        for job in self.jobs:
            self._send_job(job)

    def _refuse(self, error: dict[str, str]) -> None:
        child, self._child = self._child, None
        if child:
            self._end(child)
        self.error = error
        self._fail_all(error)

    def _send_job(self, job: Job) -> None:
        def answered(reply: dict[str, Any]) -> None:
            if "error" in reply:
                self._fail(job, reply["error"].get("data") or LinkError("protocol", str(reply["error"].get("message"))).to_wire())
                return
            job.id = str(reply["result"]["job"])
            if job.cancelled_at is not None:
                self._call("cancel", {"job": job.id}, lambda reply: None)

        self._call(job.method, job.params, answered)

    def _receive(self, message: dict[str, Any]) -> None:
        if "id" in message:
            answer = self._replies.pop(message["id"], None) if isinstance(message["id"], int) else None
            if answer is not None:
                answer(message)
            return
        params = message.get("params")
        job = self._job(params.get("job")) if isinstance(params, dict) else None
        if job is None or not isinstance(params, dict):
            return
        if message.get("method") == "progress":
            job.state = "running"
            job.stage, job.fraction = str(params.get("stage", "")), float(params.get("fraction", 0.0))
            job.seconds_left = params.get("seconds_left")
            job.preview = params.get("preview", job.preview)
        elif message.get("method") == "finished":
            job.state, job.fraction, job.result = "finished", 1.0, params
            self.jobs.remove(job)
        elif message.get("method") == "failed":
            self._fail(job, params.get("error") or LinkError("protocol", "The backend gave no reason.").to_wire())

    def _job(self, job_id: Any) -> Job | None:
        return next((job for job in self.jobs if job.id == job_id and job_id is not None), None)

    def _fail(self, job: Job, error: dict[str, str]) -> None:
        job.state, job.error = "failed", error
        if job in self.jobs:
            self.jobs.remove(job)

    def _fail_all(self, error: dict[str, str]) -> None:
        for job in list(self.jobs):
            cancelled = LinkError("cancelled", "The job was cancelled.").to_wire()
            self._fail(job, error if job.cancelled_at is None else cancelled)

    # -- the process --------------------------------------------------------------------------------------------

    def _watch(self, child: _Child) -> bool:
        """Deadlines: a process that does not come up, a job that does not stop."""
        now = time.monotonic()
        if child.welcome is None and now - child.started > START_SECONDS:
            self._refuse(LinkError("backend_killed", "The backend did not answer in time.").to_wire())
            return True
        late = [job for job in self.jobs if job.cancelled_at is not None and now - job.cancelled_at > CANCEL_SECONDS]
        if not late:
            return False
        for job in late:
            self._fail(job, LinkError("cancelled", "The job was cancelled.").to_wire())
        self._end(child)
        self._child = None
        for job in self.jobs:  # those that waited behind it start again in the next process
            job.id, job.state, job.stage, job.fraction = None, "waiting", "", 0.0
        self.start()
        return True

    def _lost(self, child: _Child, error: dict[str, str]) -> None:
        self._child = None
        self._end(child)
        self.error = error
        interrupted = child.welcome is not None and bool(self.jobs)
        self._fail_all(error)
        if interrupted:  # only then: a process that dies by itself again and again must not be started for ever
            self.start()

    def _end(self, child: _Child) -> None:
        """Close and kill without waiting; a thread collects the exit status."""
        child.ended = True
        child.outbox.put(None)
        process = child.process
        if process and process.poll() is None:
            process.kill()
            threading.Thread(target=process.wait, name="menagerie-reaper", daemon=True).start()

    def _live(self, child: _Child) -> None:
        """The starter and reader thread: opens the process, then reads until it ends."""
        command = [str(self.python), "-E", "-s", "-B", "-X", "utf8", *self._entry]
        try:
            if not self.python.is_file():
                raise FileNotFoundError(str(self.python))
            stderr = self._open_log()
            try:
                process = subprocess.Popen(
                    command, cwd=self.unit, env=clean_environment(self.variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=stderr, **quiet_flags(),
                )  # fmt: skip
            finally:
                if not isinstance(stderr, int):
                    stderr.close()
        except OSError as error:
            log.warning("the backend did not start: %s", error)
            child.inbox.put(("lost", LinkError("backend_missing", "The backend isn't set up, or its Python is gone.").to_wire()))
            return
        child.process = process
        if child.ended:  # stopped while it was being started
            process.kill()
        threading.Thread(target=_write, args=(child, process), name="menagerie-writer", daemon=True).start()
        assert process.stdout is not None
        broken = False
        greeted = False
        try:
            while (message := wire.read_message(process.stdout)) is not None:
                greeted = True
                child.inbox.put(("message", message))
        except (wire.BrokenWire, OSError, ValueError) as error:
            log.warning("the backend's messages broke off: %s", error)
            broken = True
        if broken:
            process.kill()
        child.outbox.put(None)
        status = process.wait()
        if greeted:
            error_ = LinkError("backend_killed", f"The backend ended unexpectedly (status {status}).")
        else:
            error_ = LinkError("backend_missing", f"The backend could not start (status {status}).")
        child.inbox.put(("lost", error_.to_wire()))

    def _open_log(self) -> Any:
        if self.log_path is None:
            return subprocess.DEVNULL
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT:
            os.replace(self.log_path, self.log_path.with_suffix(".old"))
        return self.log_path.open("ab")


def _write(child: _Child, process: subprocess.Popen[bytes]) -> None:
    """The writer thread: a full pipe never blocks the main thread."""
    assert process.stdin is not None
    try:
        while (data := child.outbox.get()) is not None:
            process.stdin.write(data)
            process.stdin.flush()
        process.stdin.close()
    except (OSError, ValueError):
        # The reader notices the end and tells why.
        return
