"""What the service asks of the operating system: a low priority, its memory's high-water mark, the memory that is left, what was freed
given back, a quiet stdout, a file's lock.

Each works on Linux, macOS and Windows; where a system lacks the means the answer is 0 or None and nothing fails.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
    # Linux begins a process's ru_maxrss with what its parent held when it was started: a Blender of 3 GiB would be charged to every job.
    status = Path("/proc/self/status")
    if status.exists():
        high = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if high:
            return int(high[0]) / 1024
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


def release_memory() -> None:
    """Give what was freed back to the system.

    glibc keeps it: what lies free between two blocks in use stays the process's, and each stage's peak stands on what the ones before it
    left. Other C libraries give it back by themselves, or have no call for it. `malloc_trim(3)`.
    """
    if sys.platform.startswith("linux"):
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def available_memory_mib() -> float | None:
    """What this process can still take before the system refuses it or ends a process for it, MiB; None where unknown.

    Swap counts: what has to be swapped is slow, but ends well. macOS goes on compressing and swapping, and tells no limit.
    """
    if sys.platform == "win32":
        return _windows_available()
    return linux_available() if sys.platform.startswith("linux") else None


def linux_available(processes: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> float | None:
    """MemAvailable and free swap of /proc/meminfo, or less where a control group (version 2: containers, systemd's limits) allows
    less; MiB, None where /proc does not say. Kernel's Documentation/admin-guide/cgroup-v2.rst, "Memory".
    """
    try:
        lines = (processes / "meminfo").read_text().splitlines()
        kib = {name: float(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        swap = kib.get("SwapFree", 0.0) * 1024
        least = kib["MemAvailable"] * 1024 + swap
        own = [line[3:].strip("/") for line in (processes / "self" / "cgroup").read_text().splitlines() if line.startswith("0::")]
    except (OSError, KeyError, ValueError, IndexError):
        return None
    folder = groups / (own[0] if own else "")
    while folder.is_relative_to(groups):
        used, limit = _group_bytes(folder, "memory.current"), _group_bytes(folder, "memory.max")
        if used is not None and limit is not None:
            swap_used, swap_limit = _group_bytes(folder, "memory.swap.current"), _group_bytes(folder, "memory.swap.max")
            swappable = swap if swap_used is None or swap_limit is None else min(swap, max(0.0, swap_limit - swap_used))
            least = min(least, max(0.0, limit - used) + _group_cache(folder) + swappable)
        folder = folder.parent
    return least / (1 << 20)


def _group_bytes(folder: Path, name: str) -> float | None:
    """One number of a control group; None where there is none, or "max"."""
    try:
        return float((folder / name).read_text())
    except (OSError, ValueError):
        return None


def _group_cache(folder: Path) -> float:
    """Bytes of files that a control group holds in memory and gives up when memory is short."""
    try:
        fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return float(fields.get("inactive_file", 0)) + float(fields.get("active_file", 0))
    except (OSError, ValueError):
        return 0.0


def _windows_available() -> float | None:
    """ullAvailPageFile from GlobalMemoryStatusEx, what this process can still commit, MiB: beyond it an allocation fails."""
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_uint32), ("load", ctypes.c_uint32)] + [
            (name, ctypes.c_uint64) for name in ("physical", "free", "commit", "free_commit", "virtual", "free_virtual", "extended")
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    windll = getattr(ctypes, "windll")  # noqa: B009  (absent from the stubs of other systems)
    known = windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return status.free_commit / (1 << 20) if known else None


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
