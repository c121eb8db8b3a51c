"""A program for a second Blender: it reads a movie and writes what it is, and small pictures of it, so that the artist's own never waits.

    blender --background --factory-startup --python look.py -- MOVIE FOLDER COUNT SIDE
    python look.py MOVIE FOLDER COUNT SIDE        (with Blender as a module)

Writes `clip.json` (width, height, frames, fps) and then COUNT pictures `000.png` .., evenly over the movie, those first that are far from
each other. It ends with a status other than 0 where Blender can't read the movie, and by itself when its parent has gone. It stands alone
and imports nothing of the add-on, which isn't enabled there.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import bpy

NUMBERS = 4
"""Of the words that it gets."""


def main(movie: str, folder: Path, count: int, side: int) -> None:
    """Describe the movie, then picture it."""
    clip = bpy.data.movieclips.load(movie)
    width, height = clip.size
    if not (width and height and clip.frame_duration > 0):
        sys.exit(2)
    told = {"width": width, "height": height, "frames": clip.frame_duration, "fps": clip.fps}
    write(folder / "clip.json", json.dumps(told).encode())
    scene = bpy.context.scene
    render, share = scene.render, side / max(width, height)
    # Before there is a strip: it is fitted to the picture's size as it is made.
    render.resolution_x, render.resolution_y = (max(4, round(length * share)) for length in (width, height))
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_movie(name="clip", filepath=movie, channel=1, frame_start=1, fit_method="STRETCH")
    render.resolution_percentage, render.use_sequencer, render.use_file_extension = 100, True, False
    render.image_settings.file_format, render.image_settings.color_mode, render.image_settings.compression = "PNG", "RGB", 15
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.frame_end = clip.frame_duration
    for number in far_first(count):
        scene.frame_set(1 + round(number * (clip.frame_duration - 1) / max(count - 1, 1)))
        target = folder / f"{number:03d}.png"
        render.filepath = str(target.with_suffix(".partial"))
        bpy.ops.render.render(write_still=True)
        os.replace(render.filepath, target)


def far_first(count: int) -> list[int]:
    """0 .. count - 1: both ends, then the middles between those that are there."""
    order, step = [0, count - 1], count
    while step > 1:
        step = (step + 1) // 2
        order += range(0, count, step)
    return list(dict.fromkeys([*order, *range(count)]))[: max(count, 1)]


def write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def end_with_parent() -> None:
    """The other end of stdin closes when the parent goes."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    words = sys.argv[-NUMBERS:]
    status = 0
    try:
        main(words[0], Path(words[1]), int(words[2]), int(words[3]))
    except (RuntimeError, OSError) as reason:
        print(reason, file=sys.stderr)
        status = 2
    sys.stdout.flush()
    os._exit(status)
