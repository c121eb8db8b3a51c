"""What the service asks of the operating system: a low priority, its memory's high-water mark, a quiet stdout, a file's lock.

Each works on Linux, macOS and Windows; where a system lacks the means the answer is 0 and nothing fails.
"""

from __future__ import annotations

import os
import sys

NICENESS = 10
"""Added to the process's niceness, so that Blender's interface wins every race for a core."""

_BELOW_NORMAL = 0x4000


def lower_priority() -> None:
    """Let everything else on the machine go first."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), _BELOW_NORMAL)
    else:
        os.nice(NICENESS)


def peak_memory_mib() -> float:
    """Highest resident memory of this process so far, MiB; 0 where unknown."""
    if sys.platform == "win32":
        return _windows_peak()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux KiB.
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def _windows_peak() -> float:
    """PeakWorkingSetSize from GetProcessMemoryInfo, MiB."""
    import ctypes

    class Counters(ctypes.Structure):
        _fields_ = [("cb", ctypes.c_ulong), ("faults", ctypes.c_ulong)] + [
            (name, ctypes.c_size_t) for name in ("peak", "working", "q1", "q2", "q3", "q4", "page", "peak_page")
        ]

    counters = Counters()
    counters.cb = ctypes.sizeof(Counters)
    windll = getattr(ctypes, "windll")  # noqa: B009  (absent from the stubs of other systems)
    process = ctypes.c_void_p(windll.kernel32.GetCurrentProcess())
    known = windll.psapi.GetProcessMemoryInfo(process, ctypes.byref(counters), counters.cb)
    return counters.peak / (1 << 20) if known else 0.0


def take_stdout() -> int:
    """A descriptor of the real stdout; from now on file descriptor 1 and `sys.stdout` lead to stderr.

    Anything that prints, native code included, would otherwise break into the protocol.
    """
    protocol = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(protocol, os.O_BINARY)
        msvcrt.setmode(0, os.O_BINARY)
    return protocol


def lock(descriptor: int) -> bool:
    """Hold an open file until it is closed or the process ends, however it ends; False where it is held already, or can't be."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
