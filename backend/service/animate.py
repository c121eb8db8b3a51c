"""One job: a clip -> a folder with the asset and its motion, its glTF, a movie of the creature over the clip, mask and photo of the first
frame, and report.

The command line and the service both come through here. A result is whole or absent (`result_folder`). What was decoded, masked and fitted
stands in a work folder beside it until the job has succeeded (`work_folder`): the same job goes on where it broke off.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from PIL import Image as Picture

from backend import VERSION
from backend.asset.gltf import write_gltf
from backend.asset.schema import fit_name
from backend.asset.write import write_asset
from backend.errors import MenagerieError
from backend.media.clip import check_settings, hash_clip, read_clip
from backend.media.frame_folder import list_frames
from backend.methods.index import METHODS, load_for_clips
from backend.methods.request import CameraKind, ClipRequest
from backend.service.machine import peak_memory_mib, release_memory
from backend.service.overlay import draw_overlay, visible_photo
from backend.service.overlay_movie import write_overlay_movie
from backend.service.reconstruct import PHOTO_QUALITY, Stages, as_bytes, check_memory, write_picture
from backend.service.result_folder import ASSET, GLB, MASK, MOVIE, OVERLAY, PHOTO, REPORT, remove_abandoned, whole_folder
from backend.service.stretch import Stretch, Track, longest_stretch
from backend.service.work_folder import remove_abandoned_work, work_folder
from backend.types import Clip, Mask, Progress, no_progress

SHARES = {"clip": (0.0, 0.08), "mask": (0.08, 0.3), "method": (0.3, 0.9), "write": (0.9, 1.0)}
"""Parts of the whole job's bar."""

FRAMES, MASKS, FIT = "frames", "masks", "fit"
"""What stands in the work folder: decoded frames, the track's masks, what the method keeps."""

TRACKER = "backend.observe.tracking"

Tracker = Callable[[Clip, Path, Progress, Path | None], Track]
"""(clip, folder to keep masks in, progress, folder of the person's own masks or None) -> where the animal is."""


@dataclass(frozen=True)
class Choices:
    """What the person chose of a clip and how. start, end: seconds; fps, stride: see `media.clip.read_clip`; mask_dir: masks of their own;
    camera: see `methods.request.ClipRequest`."""

    start: float = 0.0
    end: float | None = None
    fps: float | None = None
    stride: int = 1
    mask_dir: Path | None = None
    method: str = "fauna"
    camera: CameraKind = "auto"
    seed: int = 0


def animate(
    clip: Path,
    out: Path,
    choices: Choices = Choices(),  # noqa: B008  (frozen)
    *,
    name: str | None = None,
    methods: Mapping[str, str] = METHODS,
    tracker: Tracker | None = None,
    progress: Progress = no_progress,
    expect: Callable[[float], None] = lambda seconds: None,
) -> dict[str, Any]:
    """Make a creature with the motion of the animal in `clip` in the folder `out`, made if absent -> the report.

    name: of the creature, the clip's by default; tracker: finds the animal in every frame; expect: told once, as soon as the clip is
    read, how many seconds the rest should take. Raises `MenagerieError`, `Cancelled`, and `OSError` or `MemoryError` as they come: the
    process boundary makes coded errors of them.
    """
    stages = Stages(progress, SHARES, between=release_memory)
    start = time.perf_counter()
    remove_abandoned(out.parent)
    remove_abandoned_work(out.parent)
    check_choices(choices)
    stages.part("clip")("clip", 0.0)
    module = load_for_clips(choices.method, methods)
    with work_folder(out.parent, identify(clip, choices), bulky=(FRAMES,)) as work:
        resumed = any(work.iterdir())
        whole = read_clip(
            clip, work / FRAMES, start=choices.start, end=choices.end, fps=choices.fps, stride=choices.stride, progress=stages
        )
        for kept in (MASKS, FIT):
            (work / kept).mkdir(exist_ok=True)
        request = ClipRequest(
            whole, unseen(whole), np.ones(len(whole.times), bool), work / FIT, camera=choices.camera, seed=choices.seed,
            name=fit_name(name or clip.stem),
        )  # fmt: skip
        cost = module.estimate_clip(request)
        check_memory(cost)
        expect(cost.seconds)
        stages.part("mask")("mask", 0.0)
        track = (tracker or load_tracker())(whole, work / MASKS, stages, choices.mask_dir)
        stretch = longest_stretch(whole, track)
        request = replace(request, clip=stretch.clip, mask=stretch.mask, visible=stretch.visible, background=stretch.background)
        result = module.animate(request, stages.part("method"))
        stages.part("write")("write", 0.0)
        with whole_folder(out) as folder, ThreadPoolExecutor(1) as packer:
            # Files are packed, without Python's lock, while the overlay is drawn.
            waiting = [packer.submit(write_asset, result.asset, folder / ASSET), packer.submit(write_gltf, result.asset, folder / GLB)]
            first = stretch.clip.read(0)
            write_picture(folder / MASK, as_bytes(stretch.mask(0)))
            Picture.fromarray(visible_photo(first)).save(folder / PHOTO, quality=PHOTO_QUALITY)
            write_picture(folder / OVERLAY, draw_overlay(first, result.asset))
            write_overlay_movie(folder / MOVIE, stretch.clip, result.asset, stages, (0.05, 0.95))
            for written in waiting:
                written.result()
            stages("done", 1.0)
            stages.close()
            report = {
                "clip": str(clip),
                "out": str(out),
                "files": sorted([path.name for path in folder.iterdir()] + [REPORT]),
                "method": choices.method,
                "settings": {**asdict(choices), "mask_dir": None if choices.mask_dir is None else str(choices.mask_dir)},
                "frames": describe(stretch),
                "warnings": [*whole.warnings, *track.warnings, *stretch.warnings, *cost.warnings],
                "scores": result.scores,
                "resumed": resumed,
                "seconds": {stage: round(seconds, 3) for stage, seconds in stages.seconds.items()},
                "cpu_seconds": {stage: round(seconds, 3) for stage, seconds in stages.cpu_seconds.items()},
                "seconds_total": round(time.perf_counter() - start, 3),
                "seconds_a_frame": round((time.perf_counter() - start) / len(stretch.clip.times), 3),
                "peak_memory_mib": round(peak_memory_mib()),
                "provenance": result.asset.provenance,
                "version": VERSION,
                "system": {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()},
            }  # fmt: skip
            (folder / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def check_choices(choices: Choices) -> None:
    """Raises `bad_request`."""
    check_settings(choices.start, choices.end, choices.fps, choices.stride)
    if choices.camera not in get_args(CameraKind):
        raise MenagerieError("bad_request", f"There is no kind of camera called {choices.camera!r}.", "Choose auto, still or moving.")
    if choices.mask_dir is not None and not choices.mask_dir.is_dir():
        raise MenagerieError("mask_unreadable", f"{choices.mask_dir.name} is no folder.", "Choose the folder that holds the masks.")


def identify(clip: Path, choices: Choices) -> str:
    """Hex digits for everything that what stands in the work folder depends on. Raises `clip_unreadable`, `clip_too_large`."""
    masks = None
    if choices.mask_dir is not None:
        masks = hash_clip(choices.mask_dir) if list_frames(choices.mask_dir) else ""
    told = [hash_clip(clip), masks, choices.start, choices.end, choices.fps, choices.stride]
    told += [choices.method, choices.camera, choices.seed, VERSION]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:20]


def load_tracker() -> Tracker:
    """Imported when first asked for: it brings networks."""
    return cast(Tracker, importlib.import_module(TRACKER).track)


def describe(stretch: Stretch) -> dict[str, Any]:
    """Which frames of the clip the motion is of. numbers: in the file, from 0; start, end: seconds of it at which the first and the last
    stand; unseen: how many lie in gaps that were bridged."""
    clip = stretch.clip
    return {
        "count": len(clip.times), "fps": clip.fps, "width": clip.width, "height": clip.height, "start": float(clip.times[0]),
        "end": float(clip.times[-1]), "unseen": int((~stretch.visible).sum()), "numbers": clip.numbers.tolist(),
    }  # fmt: skip


def unseen(clip: Clip) -> Callable[[int], Mask]:
    """Masks before anything was looked for."""
    return lambda k: np.zeros((clip.height, clip.width), np.float32)
