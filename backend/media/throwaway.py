"""A Python of our own in a throwaway process: for work on files that nobody vouches for.

It starts with a cleaned environment and without a window, reads one line of JSON, and ends with its parent, however that ends: the pipe
to its standard input closes then. Portable: no fork, no signals. The other side is `end_with_parent` and `take_no_more_memory`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNIT = Path(__file__).resolve().parents[2]
"""The folder that holds `backend/`."""

KEPT_VARIABLES = {
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT",
    "SYSTEMDRIVE", "WINDIR",
}  # fmt: skip
"""Everything else stays behind: proxies and tokens are nothing to a decoder."""

STATM = Path("/proc/self/statm")


@contextmanager
def throwaway(module: str, request: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs `python -m module` on the request, killed when the block ends. What it prints goes to our stderr."""
    environment = {name: value for name, value in os.environ.items() if name.upper() in KEPT_VARIABLES}
    environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    command = [sys.executable, "-E", "-s", "-B", "-X", "utf8", "-m", module]
    flags: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS}
    process = subprocess.Popen(command, cwd=UNIT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **flags)
    try:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            pass  # it has ended already: its status tells
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:
                pass  # what was not yet written went nowhere


def read_request() -> dict[str, Any]:
    """In the process: what it was asked. From now on it ends with its parent."""
    request: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    return request


def _end_with_parent() -> None:
    """Wait for the end of stdin, and end whatever native code runs."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def take_no_more_memory(most: int) -> None:
    """In the process: from now on at most `most` bytes more, on Linux; elsewhere the limits of pixels and frames have to do."""
    if sys.platform == "win32":
        return
    import resource

    try:
        have = int(STATM.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (have + most, have + most))
    except (OSError, ValueError):
        return  # a stricter limit stands already, or none can be set
