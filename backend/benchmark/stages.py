"""Photo to asset, as a person waits for it: a fresh process each time, its start included, with its stages and memory.

A fresh process is the honest clock: torch's import, the weights' loading and the kernels' cache are all part of it.
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

from backend.errors import MenagerieError

ROOT = Path(__file__).resolve().parents[2]
START = "process start and imports"
"""What the report can't see: from the command to the first stage, and the process's end."""


def time_once(photo: Path, quality: str, threads: int) -> dict[str, Any]:
    """One reconstruction in a process of its own. -> seconds (stage -> s), wall, peak_memory_mib, scores.

    Raises `internal` with the process's last line where it fails.
    """
    variables = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory(prefix="menagerie-benchmark-") as folder:
        command = [sys.executable, "-m", "backend", "reconstruct", str(photo), "--out", folder + "/out", "--quality", quality]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
        wall = time.perf_counter() - start
        if done.returncode:
            line = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise MenagerieError("internal", f"The reconstruction of {photo.name} failed: {line}")
        report = json.loads((Path(folder) / "out" / "report.json").read_text(encoding="utf-8"))
    seconds = {START: wall - report["seconds_total"], **report["seconds"]}
    return {"seconds": seconds, "wall": wall, "peak_memory_mib": report["peak_memory_mib"], "scores": report["scores"]}


def time_stages(photos: Sequence[Path], quality: str, repeats: int, threads: int) -> dict[str, Any]:
    """Every photo `repeats` times. -> medians: seconds (stage -> s) and wall; maxima: wall_worst, peak_memory_mib."""
    runs = [time_once(photo, quality, threads) for _ in range(repeats) for photo in photos]
    stages = list(dict.fromkeys(stage for run in runs for stage in run["seconds"]))
    return {
        "quality": quality,
        "photos": [photo.name for photo in photos],
        "runs": len(runs),
        "threads": threads,
        "seconds": {stage: round(statistics.median(run["seconds"].get(stage, 0.0) for run in runs), 3) for stage in stages},
        "wall": round(statistics.median(run["wall"] for run in runs), 2),
        "wall_worst": round(max(run["wall"] for run in runs), 2),
        "peak_memory_mib": max(run["peak_memory_mib"] for run in runs),
    }
