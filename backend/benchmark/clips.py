"""Clip to creature, as an artist waits for it: a fresh process over a short clip and over a long one.

Enters a folder of frames, played to and fro to the wanted length, or one cut-out photo, which drifts through the picture and back: the
cost of a clip lies in its frames' number and size, not in what the animal does. Leaves seconds a frame and peak memory of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from backend.benchmark.stages import ROOT
from backend.errors import MenagerieError

FRAMES = (100, 600)
"""Frames of the two clips."""
FIRST = 4
"""Frames of a clip that goes before them and isn't counted: in a new environment it compiles the kernels, which takes half a minute and
150 MiB."""
SIZE = (480, 320)
"""Pixels of the drifting photo's frames."""
SHARE = 0.6
"""Of the frame's height or width that the animal takes."""
ROUND = 48
"""Frames in which it drifts once from left to right."""


def make_clip(source: Path, target: Path, count: int) -> Path:
    """-> `target`, `count` PNG frames in it. source: a folder of PNG frames or a cut-out photo. Raises `bad_request` for neither."""
    target.mkdir(parents=True, exist_ok=True)
    frames = sorted(source.glob("*.png")) if source.is_dir() else []
    if not frames and not source.is_file():
        raise MenagerieError("bad_request", f"{source.name} holds no PNG frames and is no photo.")
    for number in range(count):
        file = target / f"{number:05}.png"
        if frames:
            file.write_bytes(frames[to_and_fro(number, len(frames))].read_bytes())
        else:
            drift(source, to_and_fro(number, ROUND) / (ROUND - 1)).save(file, compress_level=1)
    return target


def to_and_fro(number: int, length: int) -> int:
    """0, 1, .. length - 1, length - 2, .. 0, 1 ..: neighbours are always neighbours."""
    turn = number % max(2 * length - 2, 1)
    return min(turn, 2 * length - 2 - turn)


def drift(photo: Path, share: float) -> Picture.Image:
    """The photo's animal at `share` of its way from the frame's left to its right; nothing behind it."""
    with Picture.open(photo) as opened:
        animal = opened.convert("RGBA")
    scale = SHARE * min(side / own for side, own in zip(SIZE, animal.size, strict=True))
    animal = animal.resize((round(animal.width * scale), round(animal.height * scale)), Picture.Resampling.BICUBIC)
    frame = Picture.new("RGBA", SIZE)
    frame.paste(animal, (round(share * (SIZE[0] - animal.width)), (SIZE[1] - animal.height) // 2))
    return frame


def time_clip(folder: Path, threads: int) -> dict[str, Any]:
    """One clip in a process of its own. -> frames, wall, cpu, seconds_a_frame, cpu_seconds_a_frame, seconds (stage -> s),
    peak_memory_mib. Raises `internal` with the process's last line where it fails."""
    variables = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    count = len(list(folder.glob("*.png")))
    with tempfile.TemporaryDirectory(prefix="menagerie-benchmark-") as spare:
        command = [sys.executable, "-m", "backend", "animate", str(folder), "--out", spare + "/out"]
        start, before = time.perf_counter(), os.times()
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
        wall, after = time.perf_counter() - start, os.times()
        if done.returncode:
            line = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise MenagerieError("internal", f"A clip of {count} frames failed: {line}")
        report = json.loads((Path(spare) / "out" / "report.json").read_text(encoding="utf-8"))
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "frames": count, "wall": round(wall, 2), "cpu": round(cpu, 2), "seconds_a_frame": wall / count, "cpu_seconds_a_frame": cpu / count,
        "seconds": report["seconds"], "peak_memory_mib": report["peak_memory_mib"],
    }  # fmt: skip


def time_clips(source: Path, threads: int, told: Callable[[dict[str, Any]], None] = lambda one: None) -> dict[str, Any]:
    """Both lengths -> number of frames, as text -> numbers of `time_clip`; memory_growth: peak of the longest over that of the shortest.

    told: called with each clip's numbers as they come: the long one takes many minutes.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="menagerie-benchmark-") as spare:
        time_clip(make_clip(source, Path(spare) / "first", FIRST), threads)
        for count in FRAMES:
            found[str(count)] = time_clip(make_clip(source, Path(spare) / str(count), count), threads)
            told(found[str(count)])
    found["memory_growth"] = found[str(FRAMES[-1])]["peak_memory_mib"] / found[str(FRAMES[0])]["peak_memory_mib"]
    return found
