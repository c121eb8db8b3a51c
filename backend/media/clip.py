"""Clips as they come, decoded without trust: upright sRGB frames at a steady rate, read one at a time.

Enters a movie (MP4, MOV, WebM, Matroska), an animated GIF, WebP or PNG, or a folder of frames; leaves a `types.Clip`, or a coded error. No
byte of the file is looked into by this process: a throwaway one (`decode`) decodes it under limits of bytes, pixels, frames, seconds
and memory, and is ended when it takes too long or the person cancels. Frames stand in a folder, so that a long clip takes no more memory
than a short one; what stands there whole is used again.
"""

from __future__ import annotations

import hashlib
import math
import subprocess
import time
from pathlib import Path
from typing import Any

from backend.errors import CODES, MenagerieError
from backend.media import frame_store
from backend.media.frame_folder import list_frames
from backend.media.source import LARGEST_FILE, refuse
from backend.media.throwaway import throwaway
from backend.types import Clip, Progress, no_progress

DECODER = "backend.media.decode"
DECODER_VERSION = 1
"""Raised when the same file and settings would give other frames: what an older version has left is not used then."""
POLL_SECONDS = 0.05
PREVIEW_SECONDS = 1.0
LONGEST_SILENCE, LONGEST_WORK = 120.0, 3600.0
"""Seconds without a new frame, and in all, after which the decoder is ended."""
HASHING = 0.1
"""Share of the bar."""
HIGHEST_RATE = 240.0
"""Frames a second that may be asked for."""


def read_clip(
    path: Path, folder: Path, *, start: float = 0.0, end: float | None = None, fps: float | None = None, stride: int = 1,
    progress: Progress = no_progress,
) -> Clip:  # fmt: skip
    """Decode the stretch from `start` up to `end` (seconds) of a clip into `folder`, made if absent.

    fps: frames a second to keep, at most the clip's own; of a folder of frames: its rate (24 otherwise); stride: of these, each so-many-th.
    Frames are at most `frame_store.LONGEST_SIDE` pixels long. Raises `clip_unreadable`, `clip_unsupported`, `clip_too_large`,
    `clip_too_long`, `clip_too_short`, `bad_request`, `disk_full`, `not_writable`, and what `progress` raises.
    """
    check_settings(start, end, fps, stride)
    progress("clip", 0.0)
    settings: dict[str, Any] = {"start": start, "end": end, "fps": fps, "stride": stride}
    request = {"sha256": hash_clip(path, progress), "version": DECODER_VERSION, **settings}
    known = frame_store.open_frames(folder, request)
    if known is not None:
        progress("clip", 1.0)
        return known
    folder.mkdir(parents=True, exist_ok=True)
    frame_store.clear(folder)
    asked = {"path": str(path.absolute()), "folder": str(folder.absolute()), "request": request, **settings}
    with throwaway(DECODER, asked) as process:
        status = _follow(process, path, folder, progress)
    clip = frame_store.open_frames(folder, request) if status == 0 else None
    if status == frame_store.NO_ROOM:
        raise MenagerieError("disk_full", "There is no space left for the clip's frames.")
    if clip is None:
        refusal = _refusal(path, frame_store.read_json(folder / frame_store.REFUSAL) if status == 1 else None)
        frame_store.clear(folder)
        raise refusal
    progress("clip", 1.0)
    return clip


def check_settings(start: float, end: float | None, fps: float | None, stride: int) -> None:
    """Raises `bad_request` for a stretch or a rate that is none."""
    if not (math.isfinite(start) and start >= 0) or (end is not None and not (math.isfinite(end) and end > start)):
        raise MenagerieError("bad_request", "The stretch must start at 0 seconds or later, and end after its start.")
    if fps is not None and not 0 < fps <= HIGHEST_RATE:
        raise MenagerieError("bad_request", f"The frames a second must be more than 0 and {HIGHEST_RATE:.0f} at most.")
    if stride < 1:
        raise MenagerieError("bad_request", "The stride must be 1 or more.")


def hash_clip(path: Path, progress: Progress = no_progress) -> str:
    """Hex sha256 of a file's bytes, or of the frames' in a folder. Raises `clip_unreadable`, `clip_too_large`."""
    digest, done = hashlib.sha256(), 0
    try:
        files = list_frames(path) if path.is_dir() else [path]
        sizes = [file.stat().st_size for file in files]
        if not path.is_dir() and sizes[0] > LARGEST_FILE:
            raise refuse("clip_too_large", path, f"is larger than {LARGEST_FILE >> 30} GiB")
        if not path.is_dir() and not path.is_file():
            raise refuse("clip_unreadable", path, "is not a file", "Choose the clip again.")
        for file in files:
            if len(files) > 1:
                digest.update(str(done).encode())  # where one frame ends and the next begins counts
            with file.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
                    done += len(chunk)
                    progress("clip", HASHING * done / max(1, sum(sizes)))
    except FileNotFoundError:
        raise refuse("clip_unreadable", path, "does not exist", "Choose the clip again.") from None
    except OSError as error:
        remedy = "Allow your user to read it, or copy it into a folder of your own and choose the copy."
        raise refuse("clip_unreadable", path, f"can't be read: {error.strerror or error}", remedy) from error
    return digest.hexdigest()


def _follow(process: subprocess.Popen[bytes], path: Path, folder: Path, progress: Progress) -> int:
    """Wait for the decoder's end, telling how far it is. -> its status. Raises `clip_unreadable` where it takes too long."""
    begin = moved = shown = time.monotonic()
    done = 0
    while True:
        try:
            return process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        count = frame_store.count_frames(folder)
        if count != done:
            done, moved = count, now
        if now - moved > LONGEST_SILENCE or now - begin > LONGEST_WORK:
            raise refuse("clip_unreadable", path, "could not be decoded in a sensible time")
        preview = None
        if done and now - shown >= PREVIEW_SECONDS:
            shown = now
            newest = frame_store.newest_frame(folder)
            preview = None if newest is None else newest.rgb
        total = (frame_store.read_json(folder / frame_store.PLAN) or {}).get("frames")
        share = done / total if isinstance(total, int) and total >= max(1, done) else 0.0
        progress("clip", HASHING + (1 - HASHING) * share, preview)


def _refusal(path: Path, told: dict[str, Any] | None) -> MenagerieError:
    """The decoder's own error, or the one for a decoder that broke off."""
    if told is not None and told.get("code") in CODES and isinstance(told.get("sentence"), str) and isinstance(told.get("remedy"), str):
        return MenagerieError(told["code"], told["sentence"], told["remedy"])
    return refuse("clip_unreadable", path, "is damaged: the decoder broke off on it")
