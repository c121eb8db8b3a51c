"""One turntable, picture by picture: render, then put the pictures together.

`render` does it in one go, for scripts and background mode. Blender's interface calls `Turn.step` from a timer, one
picture a tick, and `Turn.rest` after each: between ticks nothing of the turntable is in the file, so undo, save and
load have nothing to catch. Pictures that are there from a turntable that was cancelled (`kept`) are not made again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from . import kept, movie
from .ground import Floor, put_behind, shade_floor, spread_points
from .passes import dress
from .picture import is_whole, read_picture, write_png
from .shown import FRAMING_MOMENTS, Moment, Source, moment_now, moments_of
from .stage import Framing, Look, Stage
from .stands import kept_by_hand

FORMATS = ("MP4", "PNG", "GIF", "STILL")
PAUSE_SECONDS = 0.05


class Turn:
    """A turntable in the making.

    objects: what is shown (meshes; armatures may be among them); path: the mp4, GIF or still, or the folder of PNG files, of the
    TEXTURE pass; those of other passes have the pass's name behind theirs; backend: (python, unit) of the backend, for GIF only.
    Raises ValueError where there is nothing to show or to play, a format is unknown, or a GIF is wanted with no backend; OSError.
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
        if not any(thing.type == "MESH" and len(thing.data.vertices) for thing in objects):
            raise ValueError("there is no mesh to show")
        if format == "STILL":
            look = replace(look, frames=1)
        self.look, self.format, self.path, self._backend = look, format, Path(path), backend
        # By name: an undo between two pictures makes new objects of the same names.
        self._names = [thing.name for thing in objects]
        self._times = moments_of(objects, look, context.scene)
        self._held: Moment | None = None
        self._stage: Stage | None = None
        self._source: Source | None = None
        self._floor: Floor | None = None
        self._gif: movie.Gif | None = None
        self._done = False
        self._take_measure(context, objects)
        self._unwritten = list(look.passes)
        todo = [(name, frame) for name in look.passes for frame in range(look.frames)]
        self._todo = [one for one in todo if not is_whole(self._picture(*one))]
        self.pictures = [self._picture(*one) for one in todo if one not in self._todo]

    def _take_measure(self, context: bpy.types.Context, objects: Sequence[bpy.types.Object]) -> None:
        """Framing over the whole motion, the held pose, and the folder that goes with them."""
        if self.look.motion == "HOLD":
            moments = [moment_now(objects, context.evaluated_depsgraph_get())]
            self._held = moments[0]
        else:
            source = Source(objects)
            try:
                times = sorted(set(self._times))
                moments = [source.at(time) for time in times[:: max(1, len(times) // FRAMING_MOMENTS)]]
            finally:
                source.remove()
        self._framing = Framing.of(np.concatenate([places for moment in moments for places in moment.places]), self.look)
        meshes = [thing for thing in objects if thing.type == "MESH"]
        mark = kept.fingerprint(self.look, self._framing, self._times, moments, meshes)
        self._folder = kept.folder_of(mark)

    @property
    def total(self) -> int:
        """How many pictures there are in the end."""
        return self.look.frames * len(self.look.passes)

    @property
    def fraction(self) -> float:
        """Share of the pictures that are there."""
        return len(self.pictures) / self.total

    def _picture(self, name: str, frame: int) -> Path:
        return self._folder / name.lower() / f"{frame + 1:04d}.png"

    def target(self, name: str) -> Path:
        """Where the pass ends up."""
        if name == "TEXTURE":
            return self.path
        suffix = self.path.suffix if self.format != "PNG" else ""
        return self.path.with_name(f"{self.path.name.removesuffix(suffix)} {name.lower()}{suffix}")

    def step(self) -> bool:
        """Render the next picture; True while there are more. Raises ValueError where what is shown has changed or is gone, OSError."""
        if not self._todo:
            return False
        name, frame = self._todo[0]
        stage = self._set_stage(name, frame)
        picture = self._picture(name, frame)
        picture.parent.mkdir(parents=True, exist_ok=True)
        raw = self._folder / "raw.png"
        stage.render(frame, raw)
        if not is_whole(raw):
            raise OSError("Blender rendered no whole picture")
        camera = self._framing.camera(self.look.angle_at(frame), self.look.elevation)
        write_png(picture, put_behind(read_picture(raw), self._framing, camera, self._floor))
        self._todo.pop(0)
        self.pictures.append(picture)
        return bool(self._todo)

    def _set_stage(self, name: str, frame: int) -> Stage:
        """The stage of the pass with what is shown at that picture; of a held pose it stays as it is from one picture to the next."""
        if self._source is None:
            objects = [bpy.data.objects.get(one) for one in self._names]
            if None in objects:
                raise ValueError("what was to be shown is gone")
            self._source = Source(objects)
        if self._stage is not None and self._stage.name == name and self._held is not None:
            return self._stage
        if self._stage is None or self._stage.name != name:
            self._leave_stage()
            self._stage = Stage(self.look, name, self._framing)
        self._stage.clear()
        moment = self._held if self._held is not None else self._source.at(self._times[frame])
        meshes = self._source.copies(moment)
        if self.look.ground and (self._floor is None or self._held is None):
            self._floor = shade_floor(spread_points(meshes), self._framing)
        dress(self._stage, meshes, moment, self._framing)
        return self._stage

    def out_of_space(self) -> bool:
        """Whether the disk of the pictures, or that of the result, is full."""
        target = next((folder for folder in (self.path, *self.path.parents) if folder.is_dir()), self._folder)
        return movie.is_full(self._folder) or movie.is_full(target)

    def _leave_stage(self) -> None:
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.remove()

    def rest(self) -> None:
        """Remove the temporary scenes; the next step makes them anew."""
        self._leave_stage()
        source, self._source = self._source, None
        if source is not None:
            source.remove()

    def finish(self) -> bool:
        """Put the pictures of the next pass together: True once all stand. A GIF takes several calls, as another program makes it.
        Raises OSError."""
        name = self._unwritten[0]
        pictures, target = [self._picture(name, frame) for frame in range(self.look.frames)], self.target(name)
        (target if self.format == "PNG" else target.parent).mkdir(parents=True, exist_ok=True)
        if self.format == "PNG":
            movie.write_pictures(pictures, target)
        elif self.format == "STILL":
            movie.write_still(pictures[0], target)
        elif self.format == "MP4" or self._backend is None:
            movie.write_mp4(pictures, target, self.look.size, self.look.fps)
        else:
            if self._gif is None:
                self._gif = movie.Gif(pictures, target, self.look.fps, *self._backend)
            if not self._gif.poll():
                return False
            self._gif = None
        self._unwritten.pop(0)
        self._done = not self._unwritten
        return self._done

    def run(self, progress: Callable[[float], None] | None = None) -> None:
        """Everything at once, for scripts and background mode. Raises as `step` and `finish`."""
        while self._todo:
            self.step()
            if progress is not None:
                progress(self.fraction)
        self.rest()
        while not self.finish():
            time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """Remove the scenes, and once all is written the temporary pictures; of an unfinished turntable they stay."""
        self.rest()
        if self._gif is not None:
            self._gif.stop()
        if self._done:
            shutil.rmtree(self._folder, ignore_errors=True)


def render(
    context: bpy.types.Context,
    objects: Sequence[bpy.types.Object],
    path: str | Path,
    look: Look | None = None,
    format: str = "MP4",
    backend: tuple[Path, Path] | None = None,
    progress: Callable[[float], None] | None = None,
    **settings: object,
) -> Path:
    """A whole turntable at once -> `path`. settings: fields of a `Look`, where none is given. See `Turn`; raises ValueError, OSError."""
    turn = Turn(context, objects, path, Look(**settings) if look is None else look, format, backend)  # type: ignore[arg-type]
    try:
        with kept_by_hand(context):
            turn.run(progress)
    finally:
        turn.close()
    return turn.path
