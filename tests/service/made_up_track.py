"""A tracker for tests: the animal is what is red. It keeps its masks in the folder, and says in `called` how many it made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from backend.types import Clip, FloatArray, Mask, Progress

called: list[int] = []
"""Frames that were masked, of every call."""


@dataclass(frozen=True)
class MadeUpTrack:
    """As `observe.tracking.Track`."""

    visible: np.ndarray
    folder: Path
    background: FloatArray | None = None
    warnings: tuple[str, ...] = ()

    def read_mask(self, k: int) -> Mask:
        return np.asarray(Picture.open(self.folder / f"{k}.png"), np.float32) / 255


def track(clip: Clip, folder: Path, progress: Progress, mask_dir: Path | None = None) -> MadeUpTrack:
    """Background: each frame's stands one pixel further right."""
    folder.mkdir(exist_ok=True)
    visible, made = [], 0
    for k in range(len(clip.times)):
        progress("mask", k / len(clip.times))
        path = folder / f"{k}.png"
        if not path.exists():
            rgb = clip.read(k).rgb.astype(int)
            cover = (rgb[..., 0] - rgb[..., 1] > 80).astype(np.uint8) * 255
            Picture.fromarray(cover).save(path)
            made += 1
        visible.append(bool(np.asarray(Picture.open(path)).any()))
    called.append(made)
    background = np.tile(np.eye(3, dtype=np.float32), (len(visible), 1, 1))
    background[:, 0, 2] = np.arange(len(visible))
    warnings = ("Its masks are somebody's own.",) if mask_dir is not None else ()
    return MadeUpTrack(np.array(visible), folder, background, warnings)
