"""The one door to what turns a clip into a creature.

Enters: the folder of a clip with truth. Leaves: the asset, how long it took, and how much memory. `by_method` asks the method itself,
given the true masks (the alpha of cut-outs): it takes other weights than the bundled ones. `by_command` goes the artist's way,
`python -m backend animate`, in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backend.asset.read import read_asset
from backend.data.clip_truth import ClipTruth
from backend.errors import MenagerieError
from backend.media.photo import read_photo
from backend.methods import index
from backend.methods.request import ClipMethod, ClipRequest
from backend.service.machine import peak_memory_mib
from backend.types import Asset, Clip, Image, Mask, no_progress

ROOT = Path(__file__).resolve().parents[2]
CLEAR = Path("/proc/self/clear_refs")
"""Linux: writing 5 there makes the highest resident memory count from now on."""


@dataclass(frozen=True)
class Found:
    """seconds: of all frames; memory_mib: the process's highest while it worked, 0 where unknown; scores: the method's own; start: the
    clip's frame that the motion begins with."""

    asset: Asset
    seconds: float
    memory_mib: float
    scores: dict[str, float] = field(default_factory=dict)
    start: int = 0


Road = Callable[[Path, ClipTruth, Path, int], Found]
"""A clip's folder, its truth, a folder for what comes out, a seed -> what was found."""


def frame_files(folder: Path) -> list[Path]:
    """The pictures of a clip's folder in their order. Raises bad_request where there are none."""
    files = sorted((folder / "frames").glob("*.png"))
    if not files:
        raise MenagerieError("bad_request", f"{folder.name} has no frames.")
    return files


def open_clip(folder: Path, truth: ClipTruth) -> Clip:
    """The frames as a method is given them: no focal length, as an artist's clip has none."""
    files = frame_files(folder)
    times = np.arange(len(files)) / truth.fps

    def read(number: int) -> Image:
        return read_photo(files[number])

    alpha = read(0).alpha is not None
    return Clip(truth.facts["width"], truth.facts["height"], truth.fps, times, np.arange(len(files), dtype=np.int32), read, alpha)


def true_mask(folder: Path, number: int) -> Mask:
    """(h, w) share of each pixel that the animal covers: the frame's alpha, or the mask beside it."""
    image = read_photo(frame_files(folder)[number])
    if image.alpha is not None:
        return image.alpha.astype(np.float32) / np.float32(255)
    return read_photo(folder / "masks" / f"{number:04}.png").rgb[..., 0].astype(np.float32) / np.float32(255)


def by_method(folder: Path, truth: ClipTruth, out: Path, seed: int) -> Found:
    """`fauna` itself, in this process. Raises as it does."""
    method = index.load("fauna")
    if not hasattr(method, "animate"):
        raise MenagerieError("bad_request", "This version's method takes no clips.")
    clip, taker = open_clip(folder, truth), _clip_method(method)
    out.mkdir(parents=True, exist_ok=True)
    visible = np.ones(len(clip.times), bool)
    request = ClipRequest(clip, lambda k: true_mask(folder, k), visible, out, truth.background, seed=seed, name="creature")
    forget_peak()
    started = time.perf_counter()
    result = taker.animate(request, no_progress)
    return Found(result.asset, time.perf_counter() - started, peak_memory_mib(), result.scores)


def _clip_method(method: object) -> ClipMethod:
    return method  # type: ignore[return-value]  # a module that has `animate`, see `by_method`


def by_command(folder: Path, truth: ClipTruth, out: Path, seed: int) -> Found:
    """What the artist's command does, bundled weights and all. Raises internal with its last line where it fails."""
    command = [sys.executable, "-m", "backend", "animate", str(folder / "frames"), "--out", str(out)]
    command += ["--fps", str(truth.fps), "--seed", str(seed)]
    if (folder / "masks").is_dir():
        command += ["--mask-dir", str(folder / "masks")]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        line = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise MenagerieError("internal", f"The clip {folder.name} could not be animated: {line}")
    report = json.loads((out / "report.json").read_text("utf-8"))
    scores = {name: float(value) for name, value in report.get("scores", {}).items()}
    start = int(report["frames"]["numbers"][0])
    return Found(read_asset(out / "asset.safetensors"), seconds, float(report["peak_memory_mib"]), scores, start)


def forget_peak() -> None:
    """Count the process's highest memory from now on, where the system can."""
    if CLEAR.exists():
        try:
            CLEAR.write_text("5")
        except OSError:  # a container may forbid it: then the peak is that of all clips so far
            return
