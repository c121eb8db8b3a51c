"""Every test run of `build.py test`: which tests run in which environment, and how many runs at a time.

Enters: the interpreters of the backend's and of Blender's environments, and words for pytest. Leaves: the names of the runs
that failed, with what they printed. Needs nothing but the standard library, from Python 3.9 on.

All of tests/blender runs in one Blender, 4.5; in each of the others what touches Blender's own data and interface runs too
(marked `blender5`). Those runs are processes of one thread that wait for children of their own, so that two fit on two
cores. What they share, the creatures of the sample photos, is made before them. The other rooms measure seconds and memory
and use every core: they run alone, at the end.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHOLE = "4.5"
"""The Blender in which all of tests/blender runs."""
MARKED = ["-m", "blender5"]
WITHOUT_EEVEE = ["-k", "not EEVEE"]
"""4.2 draws as 4.5 does and 5.0 as 5.2; EEVEE without a graphics card takes half a minute a picture."""
WITHOUT_RIGIFY = ["-k", "not EEVEE and not control_rig"]
"""4.2 breaks under Rigify's rigs (`blender_addon.compat`), and the add-on refuses to make one there: test_rigify_versions.py."""
CHOICE = {"4.2": [*MARKED, *WITHOUT_RIGIFY], "4.5": [], "5.0": [*MARKED, *WITHOUT_EEVEE], "5.2": MARKED}
"""What runs in each Blender."""
LIMIT_SECONDS = 1500
"""Of one run; a hung Blender is ended."""


@dataclass(frozen=True)
class Run:
    """name: for the person; command: what is started in the project's folder."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Ending:
    """How a run ended. good: every test passed; seconds: by the clock; text: what it printed."""

    run: Run
    good: bool
    seconds: float
    text: str


def prepare(blenders: dict[str, Path]) -> Run:
    """What makes the creatures of the sample photos, which two runs would otherwise make at once."""
    program = "from tests.blender.photo_creatures import photo_creatures; photo_creatures()"
    return Run("creatures of the sample photos", [str(blenders[WHOLE]), "-c", program])


def beside_each_other(blenders: dict[str, Path], words: Sequence[str]) -> list[Run]:
    """The runs of which several go on at a time, the longest first. words: more of them for pytest."""
    order = sorted(blenders, key=lambda version: (version != WHOLE, version))
    # -p no:cacheprovider: they would write the same folder.
    pytest = ["-m", "pytest", "tests/blender", "-p", "no:cacheprovider"]
    return [Run(f"tests in Blender {version}", [str(blenders[version]), *pytest, *CHOICE[version], *words]) for version in order]


def alone(backend: Path, words: Sequence[str]) -> Run:
    """The tests of the other rooms."""
    return Run("tests of the rooms", [str(backend), "-m", "pytest", "tests", *words])


def follow(run: Run, quiet: bool) -> Ending:
    """Start a run and wait for its end. quiet: its text is kept, so that two runs don't mix; else shown as it comes."""
    start = time.monotonic()
    pipe = subprocess.PIPE if quiet else None
    try:
        done = subprocess.run(run.command, cwd=ROOT, stdout=pipe, stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS)
        good, text = done.returncode == 0, (done.stdout or b"").decode(errors="replace") + f"status {done.returncode}\n"
    except subprocess.TimeoutExpired as late:
        good, text = False, (late.stdout or b"").decode(errors="replace") + f"took longer than {LIMIT_SECONDS} s and was ended\n"
    return Ending(run, good, time.monotonic() - start, text)


def run_all(backend: Path, blenders: dict[str, Path], words: Sequence[str] = ()) -> list[Ending]:
    """Every run, several at a time where there are cores. Shows each run's text in one piece when it has ended."""
    first, beside, last = prepare(blenders), beside_each_other(blenders, words), alone(backend, words)
    print(f"== {first.name}", flush=True)
    endings = [follow(first, quiet=False)]
    print(f"== tests in {len(beside)} Blenders", flush=True)
    with ThreadPoolExecutor(max_workers=min(len(beside), os.cpu_count() or 1)) as pool:
        for ending in pool.map(lambda run: follow(run, quiet=True), beside):
            print(f"== {ending.run.name}\n{ending.text}", flush=True)
            endings.append(ending)
    print(f"== {last.name}", flush=True)
    return [*endings, follow(last, quiet=False)]
