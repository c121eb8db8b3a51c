"""Pictures -> one file: mp4 by Blender's own FFMPEG, GIF by the backend (Blender writes none).

Everything is written under a temporary name first and renamed when whole.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import bpy

from .. import compat
from ..link.process import clean_environment, quiet_flags
from .stage import NAME, use_standard_view

GIF_SECONDS = 120


def write_mp4(pictures: Sequence[Path], target: Path, size: int, fps: int) -> None:
    """H.264 of square pictures of `size` pixels, each shown once. Raises OSError where nothing was written."""
    scene = bpy.data.scenes.new(NAME + " Movie")
    try:
        strips = compat.sequencer_strips(scene.sequence_editor_create())
        strip = strips.new_image(name="frames", filepath=str(pictures[0]), channel=1, frame_start=1)
        for picture in pictures[1:]:
            strip.elements.append(picture.name)
        scene.frame_start, scene.frame_end = 1, len(pictures)
        render = scene.render
        render.resolution_x = render.resolution_y = size - size % 2  # H.264 halves its colour planes
        render.resolution_percentage, render.fps, render.fps_base = 100, fps, 1.0
        render.use_sequencer, render.use_file_extension = True, False
        compat.set_file_format(render.image_settings, "FFMPEG")
        render.image_settings.color_mode = "RGB"
        render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.audio_codec = "MPEG4", "H264", "NONE"
        render.ffmpeg.constant_rate_factor = "HIGH"
        render.ffmpeg.gopsize = fps
        use_standard_view(scene)
        partial = target.with_name(f".{target.name}.partial.mp4")
        render.filepath = str(partial)
        bpy.ops.render.render(animation=True, scene=scene.name)
        replace(partial, target)
    finally:
        bpy.data.scenes.remove(scene)


class Gif:
    """An endless GIF in the making by the backend's Python. python, unit: of the backend. Raises OSError as it starts."""

    def __init__(self, pictures: Sequence[Path], target: Path, fps: int, python: Path, unit: Path) -> None:
        self._target, self._partial = target, target.with_name(f".{target.name}.partial")
        self._words = pictures[0].parent / "gif.log"
        self._deadline = time.monotonic() + GIF_SECONDS
        command = [python, "-E", "-s", "-B", "-m", "backend.media.gif", pictures[0].parent, self._partial, "--fps", fps]
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                [str(word) for word in command], cwd=unit, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=words, **quiet_flags(),
            )  # fmt: skip

    def poll(self) -> bool:
        """True once the GIF stands; never waits. Raises OSError with the backend's last words where it failed."""
        status = self._process.poll()
        if status is None and time.monotonic() < self._deadline:
            return False
        if status is None:
            self.stop()
            raise OSError(f"the GIF took longer than {GIF_SECONDS} s")
        if status:
            lines = self._words.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise OSError("the backend could not write the GIF: " + (lines or ["no reason given"])[-1])
        replace(self._partial, self._target)
        return True

    def stop(self) -> None:
        """End it; nothing of it stays."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._partial.unlink(missing_ok=True)


def write_pictures(pictures: Sequence[Path], target: Path) -> None:
    """Numbered PNG files into the folder `target`, made if absent."""
    target.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        partial = target / f".{picture.name}.partial"
        partial.write_bytes(picture.read_bytes())
        replace(partial, target / picture.name)


def replace(partial: Path, target: Path) -> None:
    """Rename a finished file into place. Raises OSError where there is none."""
    if not partial.is_file() or not partial.stat().st_size:
        partial.unlink(missing_ok=True)
        raise OSError(f"{target.name} was not written")
    os.replace(partial, target)
