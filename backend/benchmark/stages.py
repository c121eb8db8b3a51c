"""Photo to asset, as a person waits for it: a fresh process each time, its start included, with its stages and memory.

A fresh process is the honest clock: torch's import, the weights' loading and the kernels' cache are all part of it.
Processor seconds stand beside those of the clock: they say what the work costs however busy the machine is.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from backend.errors import MenagerieError

ROOT = Path(__file__).resolve().parents[2]
START = "process start and imports"
"""What the report can't see: from the command to the first stage, and the process's end."""
LARGE_SIZE = (4000, 3000)
"""A 12-megapixel photo."""
LARGE_SHARE = 0.7
"""Share of the large photo's height or width that the animal takes."""


def make_large_photo(source: Path, target: Path) -> None:
    """A cut-out animal, enlarged, before a soft gradient, as an opaque 12-megapixel JPEG: no alpha gives it away."""
    with Picture.open(source) as opened:
        animal = opened.convert("RGBA")
    scale = LARGE_SHARE * min(side / own for side, own in zip(LARGE_SIZE, animal.size, strict=True))
    animal = animal.resize((round(animal.width * scale), round(animal.height * scale)), Picture.Resampling.BICUBIC)
    ramp = Picture.linear_gradient("L").resize(LARGE_SIZE)
    scene = Picture.merge("RGB", [ramp.point(lambda v, a=a, b=b: a + v * b // 256) for a, b in ((150, 60), (190, 30), (220, -80))])
    scene.paste(animal, ((scene.width - animal.width) // 2, (scene.height - animal.height) // 2), animal)
    scene.save(target, quality=92)


def time_once(photo: Path, quality: str, threads: int) -> dict[str, Any]:
    """One reconstruction in a process of its own. -> seconds and cpu_seconds (stage -> s), wall, cpu, peak_memory_mib, scores.

    Raises `internal` with the process's last line where it fails.
    """
    variables = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory(prefix="menagerie-benchmark-") as folder:
        command = [sys.executable, "-m", "backend", "reconstruct", str(photo), "--out", folder + "/out", "--quality", quality]
        start, before = time.perf_counter(), os.times()
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
        wall, after = time.perf_counter() - start, os.times()
        if done.returncode:
            line = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise MenagerieError("internal", f"The reconstruction of {photo.name} failed: {line}")
        report = json.loads((Path(folder) / "out" / "report.json").read_text(encoding="utf-8"))
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "seconds": {START: wall - report["seconds_total"], **report["seconds"]},
        "cpu_seconds": {START: cpu - sum(report["cpu_seconds"].values()), **report["cpu_seconds"]},
        "wall": wall,
        "cpu": cpu,
        "peak_memory_mib": report["peak_memory_mib"],
        "scores": report["scores"],
    }


def time_stages(photos: Sequence[Path], quality: str, repeats: int, threads: int) -> dict[str, Any]:
    """Every photo `repeats` times. -> medians: seconds and cpu_seconds (stage -> s), wall, cpu; maxima: wall_worst, peak_memory_mib."""
    runs = [time_once(photo, quality, threads) for _ in range(repeats) for photo in photos]
    found: dict[str, Any] = {"quality": quality, "photos": [photo.name for photo in photos], "runs": len(runs), "threads": threads}
    for kind in ("seconds", "cpu_seconds"):
        stages = list(dict.fromkeys(stage for run in runs for stage in run[kind]))
        found[kind] = {stage: round(statistics.median(run[kind].get(stage, 0.0) for run in runs), 3) for stage in stages}
    found["wall"] = round(statistics.median(run["wall"] for run in runs), 2)
    found["cpu"] = round(statistics.median(run["cpu"] for run in runs), 2)
    found["wall_worst"] = round(max(run["wall"] for run in runs), 2)
    found["peak_memory_mib"] = max(run["peak_memory_mib"] for run in runs)
    return found
