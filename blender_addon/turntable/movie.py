"""Pictures -> one file: mp4 by Blender's own FFMPEG, GIF by the backend (Blender writes none).

Everything is written under a temporary name first and renamed when whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import bpy

from .. import compat
from ..link.process import clean_environment, quiet_flags
from .picture import chunk
from .stage import NAME, run_render, use_standard_view

GIF_SECONDS = 120
SPARE_BYTES = 1 << 16
"""A disk with less room than this counts as full: programs that ran out of it leave a little."""


def write_mp4(pictures: Sequence[Path], target: Path, size: int, fps: int) -> None:
    """H.264 of square pictures of `size` pixels, each shown once. Raises OSError where nothing was written, or RuntimeError."""
    scene = bpy.data.scenes.new(NAME + " Movie")
    partial = target.with_name(f".{target.name}.partial.mp4")
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
        render.filepath = str(partial)
        run_render(scene, animation=True)
        if is_full(target.parent):  # of what it could not write Blender's movie writer may say nothing
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
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
    """Numbered PNG files into the folder `target`, made if absent, in place of those of an earlier turn. Raises OSError."""
    target.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        partial = target / f".{picture.name}.partial"
        try:
            partial.write_bytes(sign(picture.read_bytes()))
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        replace(partial, target / picture.name)
    for path in target.glob("[0-9]*.png"):
        if path.stem.isdecimal() and int(path.stem) > len(pictures) and is_signed(path):
            path.unlink()


def write_still(picture: Path, target: Path) -> None:
    """One PNG file. Raises OSError."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.copyfile(picture, partial)
        replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def sign(png: bytes) -> bytes:
    """The PNG with our mark behind its header: the artist's own renders are numbered alike, and must never be taken for ours."""
    return png[:HEADER_BYTES] + MARK + png[HEADER_BYTES:]


def is_signed(path: Path) -> bool:
    """Whether `sign` has marked the file."""
    with path.open("rb") as stream:
        return stream.read(HEADER_BYTES + len(MARK))[HEADER_BYTES:] == MARK


HEADER_BYTES = 33
"""A PNG's signature and its first chunk, IHDR."""
MARK = chunk(b"tEXt", b"Software\0Menagerie turntable")


def is_full(folder: Path) -> bool:
    """Whether hardly anything more can be written where the folder stands."""
    try:
        return shutil.disk_usage(folder).free < SPARE_BYTES
    except OSError:
        return False


def replace(partial: Path, target: Path) -> None:
    """Rename a finished file into place. Raises OSError where there is none."""
    if not partial.is_file() or not partial.stat().st_size:
        partial.unlink(missing_ok=True)
        raise OSError(f"{target.name} was not written")
    os.replace(partial, target)
