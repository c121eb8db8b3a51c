"""What the operating system says of its memory: the machine's own numbers, and a control group's where it allows less."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backend.service.machine import available_memory_mib, linux_available

MIB = 1 << 20
GROUP = "/user.slice/snap.blender.scope"


def machine(folder: Path, group: dict[str, str] | None = None) -> tuple[Path, Path]:
    """A made-up /proc with 8 GiB available and 1 GiB of free swap, and a control group's files -> both folders."""
    processes, groups = folder / "proc", folder / "cgroup"
    (processes / "self").mkdir(parents=True)
    (processes / "meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\nSwapFree: 1048576 kB\nHugePages_Total: 0\n")
    (processes / "self" / "cgroup").write_text(f"9:cpu:/\n0::{GROUP}\n")
    own = groups / GROUP.strip("/")
    own.mkdir(parents=True)
    for name, text in (group or {}).items():
        (own.parent / name).write_text(text + "\n")  # the limit of a parent holds as well
    return processes, groups


def test_what_is_available_is_memory_and_swap(tmp_path: Path) -> None:
    assert linux_available(*machine(tmp_path)) == 9 * 1024


@pytest.mark.parametrize(("swap", "left"), [("0", 224), ("max", 224 + 1024), (str(50 * MIB), 224 + 20)])
def test_a_control_groups_limit_counts_without_the_files_it_can_let_go(tmp_path: Path, swap: str, left: float) -> None:
    group = {
        "memory.max": str(1024 * MIB), "memory.current": str(900 * MIB), "memory.swap.max": swap, "memory.swap.current": str(30 * MIB),
        "memory.stat": f"anon {700 * MIB}\ninactive_file {60 * MIB}\nactive_file {40 * MIB}",
    }  # fmt: skip
    assert linux_available(*machine(tmp_path, group)) == left


def test_a_group_without_a_limit_and_a_system_without_proc_are_no_obstacle(tmp_path: Path) -> None:
    assert linux_available(*machine(tmp_path, {"memory.max": "max", "memory.current": str(900 * MIB)})) == 9 * 1024
    assert linux_available(tmp_path / "absent", tmp_path) is None


def test_this_machine_has_some_memory_left_where_it_says() -> None:
    available = available_memory_mib()
    assert available is None if sys.platform == "darwin" else available is not None and 0 < available < 1 << 26


def test_a_childs_peak_is_its_own_not_its_parents() -> None:
    held = bytearray(b"x") * (600 << 20)
    command = "from backend.service.machine import peak_memory_mib; print(peak_memory_mib())"
    said = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert len(held) == 600 << 20 and 0 < float(said.stdout) < 300


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere freed memory goes back by itself")
def test_what_was_freed_goes_back_to_the_system() -> None:
    """In a process of its own: small blocks, the last of which stays, hold all that lies before them."""
    program = """
from pathlib import Path
from backend.service.machine import release_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) / 256
blocks = [bytearray(60_000) for _ in range(2000)]
last, full = blocks[-1], resident()
del blocks
before = resident()
release_memory()
print(full, before, resident())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    full, before, after = (float(word) for word in done.stdout.split())
    assert before > full - 20  # else there was nothing to release
    assert after < full - 90
