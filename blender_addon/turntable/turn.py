"""One turntable, picture by picture: render, then put the pictures together.

`render` does it in one go, for scripts and background mode. Blender's interface calls `Turn.step` from a timer, one
picture a tick, and `Turn.rest` after each: between ticks nothing of the turntable is in the file, so undo, save and
load have nothing to catch.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy

from . import movie
from .stage import Look, Stage, find_framing

FORMATS = ("MP4", "PNG", "GIF")
PAUSE_SECONDS = 0.05


class Turn:
    """A turntable in the making.

    objects: what is shown (meshes; armatures may be among them); path: the mp4 or GIF, or the folder of PNG files;
    backend: (python, unit) of the backend, for GIF only. Raises ValueError where there is nothing to show, a format
    is unknown, or a GIF is wanted with no backend.
    """

    def __init__(
        self,
        context: bpy.types.Context,
        objects: Sequence[bpy.types.Object],
        path: str | Path,
        look: Look,
        format: str = "MP4",
        backend: tuple[Path, Path] | None = None,
    ) -> None:
        if format not in FORMATS:
            raise ValueError(f"format {format!r} is not one of {FORMATS}")
        if format == "GIF" and backend is None:
            raise ValueError("a GIF is made by the backend, which isn't set up")
        self.look, self.format, self.path, self._backend = look, format, Path(path), backend
        # By name: an undo between two pictures makes new objects of the same names.
        self._names = [thing.name for thing in objects]
        self._framing = find_framing(context, objects, look)
        self._stage: Stage | None = None
        self._gif: movie.Gif | None = None
        self.pictures: list[Path] = []
        self._folder = Path(tempfile.mkdtemp(prefix="menagerie-turntable-"))

    @property
    def fraction(self) -> float:
        """Share of the pictures that are there."""
        return len(self.pictures) / self.look.frames

    def step(self) -> bool:
        """Render the next picture; True while there are more. Raises ValueError where an object is gone, OSError."""
        frame = len(self.pictures)
        picture = self._folder / f"{frame + 1:04d}.png"
        if self._stage is None:
            objects = [bpy.data.objects.get(name) for name in self._names]
            if None in objects:
                raise ValueError("what was to be shown is gone")
            self._stage = Stage(objects, self.look, self._framing)
        self._stage.turn(frame)
        self._stage.scene.render.filepath = str(picture)
        bpy.ops.render.render(write_still=True, scene=self._stage.scene.name)
        if not movie.is_whole(picture):
            raise OSError("Blender rendered no whole picture")
        self.pictures.append(picture)
        return len(self.pictures) < self.look.frames

    def out_of_space(self) -> bool:
        """Whether the disk of the pictures, or that of the result, is full."""
        target = next((folder for folder in (self.path, *self.path.parents) if folder.is_dir()), self._folder)
        return movie.is_full(self._folder) or movie.is_full(target)

    def rest(self) -> None:
        """Remove the temporary scene; the next step makes it anew."""
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.remove()

    def finish(self) -> bool:
        """Put the pictures together at `path`: True once it stands. A GIF takes several calls, as another program makes it.
        Raises OSError."""
        if self.format == "PNG":
            movie.write_pictures(self.pictures, self.path)
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.format == "MP4" or self._backend is None:
            movie.write_mp4(self.pictures, self.path, self.look.size, self.look.fps)
            return True
        if self._gif is None:
            self._gif = movie.Gif(self.pictures, self.path, self.look.fps, *self._backend)
        return self._gif.poll()

    def run(self, progress: Callable[[float], None] | None = None) -> None:
        """Everything at once, for scripts and background mode. Raises as `step` and `finish`."""
        more = True
        while more:
            more = self.step()
            if progress is not None:
                progress(self.fraction)
        self.rest()
        while not self.finish():
            time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """Remove the scene and the temporary pictures, finished or not."""
        self.rest()
        if self._gif is not None:
            self._gif.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def render(
    context: bpy.types.Context,
    objects: Sequence[bpy.types.Object],
    path: str | Path,
    frames: int = 48,
    size: int = 512,
    engine: str = "WORKBENCH",
    format: str = "MP4",
    elevation: float = Look.elevation,
    fps: int = Look.fps,
    backend: tuple[Path, Path] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """A whole turntable at once -> `path`. See `Look` and `Turn` for the arguments; raises ValueError, OSError."""
    turn = Turn(context, objects, path, Look(frames, size, engine, elevation, fps), format, backend)
    try:
        turn.run(progress)
    finally:
        turn.close()
    return turn.path
