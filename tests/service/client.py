"""A small client for tests: starts a real child, sends calls, collects messages in a thread."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend import VERSION
from backend.service import wire

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("child.py")
PATIENCE = 180.0
"""Seconds for anything that loads torch at low priority on a busy machine."""


class Client:
    """A child and what it said."""

    def __init__(self, greet: bool = True, command: Sequence[str] = (sys.executable, "-B", str(CHILD))) -> None:
        self.process = subprocess.Popen(list(command), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._count = 0
        if greet:
            assert "result" in self.call("initialize", protocol=wire.PROTOCOL, version=VERSION)

    def _read(self) -> None:
        assert self.process.stdout is not None
        # A test that ends closes the stream under this thread.
        with suppress(ValueError, OSError, wire.FramingError):
            while (body := wire.read_frame(self.process.stdout)) is not None:  # type: ignore[arg-type]
                self.messages.put(json.loads(body))

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a call and wait for its answer; notifications on the way are dropped."""
        self._count += 1
        self.send(wire.frame({"id": self._count, "method": method, "params": params}))
        return self.wait(lambda message: message.get("id") == self._count)

    def wait(self, wanted: Any) -> dict[str, Any]:
        """The first message that `wanted` accepts."""
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self.messages.get(timeout=max(0.1, deadline - time.monotonic()))
            if wanted(message):
                return message

    def job(self, photo: Path, out: Path, **settings: Any) -> str:
        """Start a job -> its id."""
        return str(self.call("reconstruct", photo=str(photo), out=str(out), **settings)["result"]["job"])

    def ending(self, job: str) -> dict[str, Any]:
        """Wait for `finished` or `failed` of a job."""
        return self.wait(lambda m: m.get("method") in ("finished", "failed") and m["params"]["job"] == job)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
