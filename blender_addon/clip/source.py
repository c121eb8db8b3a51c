"""The clip that is chosen: its size and length, and small pictures of it, for the panel.

A movie is read by a second Blender in the background (`look`), because opening one and looking for a frame takes longer than the
interface may wait, and a damaged file then ends nothing but that. A folder of frames shows its own pictures. Nothing of this is in the
artist's file. `seen` and `picture` answer at once with what is there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ..link.process import clean_environment, quiet_flags
from .movie import FRAMES, frames_in

PICTURES, SIDE = 24, 224
"""How many pictures there are of a movie, and pixels of their longer side."""
TICK_SECONDS = 0.25
LONGEST_SECONDS = 180.0
"""After this the second Blender is ended; what it has written stays."""
MOVIES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif")
"""Endings of movies that Blender may be able to read."""


@dataclass(frozen=True)
class Seen:
    """What is known of a clip. width, height: pixels; frames; fps: 0 for a folder, which doesn't say."""

    width: int
    height: int
    frames: int
    fps: float


@dataclass
class Look:
    """path: of the clip that is looked at; folder: where pictures of a movie are; process: the second Blender; files: of a folder of
    frames; seen: None until it is known; failed: Blender can't read it;
    waiting: what is looked at next."""

    path: Path | None = None
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    files: list[Path] = field(default_factory=list)
    seen: Seen | None = None
    failed: bool = False
    waiting: Path | None = None


state = Look()


def is_frame(path: Path) -> bool:
    """Whether a file is a still picture, hence one of a folder of frames. An animated WebP or PNG is a clip."""
    return path.suffix.lower() in FRAMES and not moves(path)


def moves(path: Path) -> bool:
    """Whether a WebP or PNG says in its first bytes that it is animated."""
    try:
        with path.open("rb") as stream:
            begin = stream.read(64)
    except OSError:
        return False
    if begin[:4] == b"RIFF" and begin[8:16] == b"WEBPVP8X":
        return len(begin) > 20 and bool(begin[20] & 0x02)
    return begin[:8] == b"\x89PNG\r\n\x1a\n" and b"acTL" in begin


def look(path: Path) -> None:
    """Begin to look at a clip; returns at once."""
    forget()
    state.path = path
    if path.is_dir():
        state.files = frames_in(path)
        state.failed = not state.files
        state.seen = Seen(0, 0, len(state.files), 0.0) if state.files else None
        return
    if path.suffix.lower() not in MOVIES or not path.is_file():
        state.failed = True
        return
    state.folder = Path(tempfile.mkdtemp(prefix="menagerie-clip-", dir=bpy.app.tempdir or None))
    script = str(Path(__file__).with_name("look.py"))
    words = [str(path), str(state.folder), str(PICTURES), str(SIDE)]
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--factory-startup", "-noaudio", "--python", script, "--", *words]
    else:
        command = [sys.executable, script, *words]
    try:
        state.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment(), **quiet_flags()
        )
    except OSError:
        state.failed = True
        return
    state.began = time.monotonic()
    if not bpy.app.background and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=TICK_SECONDS, persistent=True)


def look_soon(path: Path | None) -> None:
    """Look at a clip that isn't looked at yet, a moment later: a panel that is drawn may start nothing."""
    if path is None or path in (state.path, state.waiting) or bpy.app.background:
        return
    state.waiting = path
    if not bpy.app.timers.is_registered(begin):
        bpy.app.timers.register(begin, first_interval=0.0)


def begin() -> None:
    """The timer that `look_soon` sets."""
    if state.waiting is not None:
        look(state.waiting)


def pump() -> bool:
    """Take up what the second Blender has written; True while it works."""
    if state.folder is not None and state.seen is None:
        try:
            told = json.loads((state.folder / "clip.json").read_text())
            state.seen = Seen(int(told["width"]), int(told["height"]), int(told["frames"]), float(told["fps"]))
        except (OSError, ValueError, KeyError, TypeError):
            state.seen = None  # not yet
    if state.process is None:
        return False
    if state.process.poll() is None:
        if time.monotonic() - state.began < LONGEST_SECONDS:
            return True
        end()
    state.process = None
    state.failed = state.seen is None
    return False


def tick() -> float | None:
    """The timer: take up, redraw. None ends it."""
    from ..link import session

    going = pump()
    session.redraw()
    return TICK_SECONDS if going else None


def finish(seconds: float = LONGEST_SECONDS) -> None:
    """Wait until all is there: for background mode and scripts."""
    deadline = time.monotonic() + seconds
    while pump() and time.monotonic() < deadline:
        time.sleep(0.02)
    pump()


def seen(path: Path | None) -> Seen | None:
    """What is known of a clip so far."""
    return state.seen if path is not None and path == state.path else None


def picture(path: Path | None, share: float) -> Path | None:
    """A picture of the clip near a share (0 .. 1) of its length, None where there is none yet."""
    if path is None or path != state.path:
        return None
    if state.files:
        return state.files[round(min(max(share, 0.0), 1.0) * (len(state.files) - 1))]
    if state.folder is None:
        return None
    wanted = round(min(max(share, 0.0), 1.0) * (PICTURES - 1))
    # The nearest that has been made; panels draw often, so few files are asked for.
    for away in range(PICTURES // 2):
        for number in dict.fromkeys((wanted - away, wanted + away)):
            if 0 <= number < PICTURES and (state.folder / f"{number:03d}.png").is_file():
                return state.folder / f"{number:03d}.png"
    return None


def end() -> None:
    """Stop the second Blender."""
    if state.process is not None and state.process.poll() is None:
        state.process.kill()
        state.process.wait()


def forget() -> None:
    """Look at nothing any more."""
    for timer in (tick, begin):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    end()
    if state.folder is not None:
        shutil.rmtree(state.folder, ignore_errors=True)
    state.__init__()  # type: ignore[misc]
