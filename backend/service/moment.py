"""One errand: a clip and a moment of it in; the frame there out, and what the tracker takes for its animal, before anybody waits for the
whole clip.

At the second where a job starts it is that job's first frame, and its mask what the job begins with. Files: `frame.png`, upright, as clicks
and brushes want it; `mask.png`, grey, of its size; `shown.png`, a small picture of both. Each is written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from backend.errors import MenagerieError
from backend.media.clip import check_settings, read_clip
from backend.media.steady import EDGE
from backend.service.overlay import OUTLINE, outline, visible_photo
from backend.service.overlay_movie import smaller
from backend.service.reconstruct import as_bytes, check_memory, write_picture
from backend.service.result_folder import MASK, hidden_folder
from backend.service.stretch import Track, part_of
from backend.types import ByteArray, Clip, Cost, Image, Mask, Progress, no_progress

FRAME, SHOWN = "frame.png", "shown.png"
SHOWN_SIDE = 480
"""Pixels of the small picture's longer side."""
DIMMED = 0.45
"""Brightness of what isn't the animal in it."""
LINE = 2
"""Pixels of the outline."""
SECONDS, MEMORY_MIB = 3.0, 500.0
"""To find an animal in a frame."""
HARDLY, ABOUT = 0.25, 2.0
"""Seconds that are read: from the moment on, hardly more than two frames; where that is too little, in a slow clip or at its end, what
lies about it."""
READ = 0.4
"""Share of the bar that reading takes."""


def write_moment(
    clip: Path, out: Path, at: float, tracker: Callable[[Clip, Path, Progress, Path | None], Track], fps: float | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:  # fmt: skip
    """Write the files into `out`, made if absent -> `out`, `files`, `seconds` of the clip at which the frame stands, `found`: whether
    an animal was, `warnings`: sentences.

    at: seconds of the clip; tracker, fps: see `service.animate`. Raises `MenagerieError`, `Cancelled`, and `OSError` or `MemoryError` as
    they come.
    """
    check_settings(at, None, fps, 1)
    check_memory(Cost(SECONDS, MEMORY_MIB))
    with hidden_folder(out) as folder:
        frames, k = read_about(clip, folder / "frames", at, fps, lambda stage, share, preview=None: progress(stage, READ * share))
        image = frames.read(k)
        progress("mask", READ)
        mask, warnings = find(part_of(frames, k, k + 1), folder / "masks", tracker, progress)
        write_picture(folder / FRAME, image.rgb if image.alpha is None else np.dstack([image.rgb, image.alpha]))
        write_picture(folder / MASK, as_bytes(mask))
        write_picture(folder / SHOWN, draw(image, mask))
        files = [FRAME, MASK, SHOWN]
        for name in files:
            os.replace(folder / name, out / name)
    progress("done", 1.0)
    found = bool((mask > 0.5).any())
    return {"out": str(out), "files": files, "seconds": float(frames.times[k]), "found": found, "warnings": warnings}


def read_about(clip: Path, folder: Path, at: float, fps: float | None, progress: Progress) -> tuple[Clip, int]:
    """Some frames, and which of them a job that starts at the moment begins with; the last one at the clip's end. Raises as `read_clip`."""
    try:
        return read_clip(clip, folder, start=at, end=at + HARDLY, fps=fps, progress=progress), 0
    except MenagerieError as refusal:
        if refusal.code != "clip_too_short":
            raise
    frames = read_clip(clip, folder, start=max(0.0, at - ABOUT), end=at + ABOUT, fps=fps, progress=progress)
    return frames, min(int(np.searchsorted(frames.times, at - EDGE)), len(frames.times) - 1)


def find(
    frame: Clip, folder: Path, tracker: Callable[[Clip, Path, Progress, Path | None], Track], progress: Progress
) -> tuple[Mask, list[str]]:
    """The mask of the one frame, all 0 where there is no animal, and what to say of it."""
    try:
        track = tracker(frame, folder, lambda stage, share, preview=None: progress(stage, READ + (1 - READ) * share), None)
    except MenagerieError as refusal:
        if refusal.code != "no_animal":
            raise
        return np.zeros((frame.height, frame.width), np.float32), ["No animal stands out in this frame."]
    return track.read_mask(0), list(track.warnings)


def draw(image: Image, mask: Mask) -> ByteArray:
    """(h, w, 3) uint8 of `SHOWN_SIDE` pixels at most: the frame, dimmed where the mask isn't, the mask's outline as a line."""
    small = smaller(image, SHOWN_SIDE)
    rgb = visible_photo(small)
    height, width = rgb.shape[:2]
    share = np.asarray(Picture.fromarray(as_bytes(mask)).resize((width, height), Picture.Resampling.BILINEAR), np.float32) / 255
    shown = np.rint(rgb * (DIMMED + (1 - DIMMED) * share[..., None])).astype(np.uint8)
    shown[outline(share > 0.5, LINE)] = OUTLINE
    return shown
