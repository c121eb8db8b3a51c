"""The main job without a window, as an artist would do it: reconstruct, place, save, export, turn.

    python -m blender_addon.demo PHOTO --out FOLDER --python BACKEND_PYTHON [--quality fast|fine]

Run by `build.py demo` with Blender's module. The backend is started through the add-on's own link, as a child process
over the wire. Written into FOLDER: creature.blend, creature.glb, overlay.png, turntable.mp4, report.json, and
seconds.json with the duration of each stage.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bpy

import blender_addon

from . import compat, paths, turntable
from .link import session
from .link.process import Backend
from .turntable.operator import shown_objects
from .turntable.stage import LIGHTS, set_world, use_standard_view

FILES = {"asset.glb": "creature.glb", "overlay.png": "overlay.png", "report.json": "report.json"}
"""Of the job's folder -> name in FOLDER."""

WATCH_SECONDS = 0.1


class Clock:
    """Seconds of each stage, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Keep the seconds of what happens inside."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 2)
        print(f"   {self.seconds[name]:6.1f} s  {name}", flush=True)


def print_stages(done: threading.Event) -> None:
    """Print each stage of the running job as it begins."""
    seen = ""
    while not done.wait(WATCH_SECONDS):
        job = session.state.job
        if job is not None and job.stage != seen:
            seen = job.stage
            print(f"            {job.fraction:4.0%}  {seen}", flush=True)


def reconstruct(photo: Path, quality: str) -> bpy.types.Object:
    """Press the button and wait. -> the placed armature. Raises RuntimeError with the error's sentence."""
    chosen = bpy.context.scene.menagerie
    chosen.photo, chosen.quality = str(photo), quality
    done = threading.Event()
    watcher = threading.Thread(target=print_stages, args=(done,), daemon=True)
    watcher.start()
    try:
        bpy.ops.menagerie.reconstruct()
    finally:
        done.set()
        watcher.join()
    creature = session.creature_of(bpy.context)
    if creature is None:
        raise RuntimeError("no creature was placed")
    return creature


def light_scene(scene: bpy.types.Scene) -> None:
    """Make the empty scene fit for a render through the photo's camera: a world, a sun over its shoulder, colours as they are."""
    scene.world = bpy.data.worlds.new("Demo")
    compat.use_world_nodes(scene.world)
    set_world(scene.world)
    name, strength, (down, side) = LIGHTS[0]
    sun = bpy.data.objects.new(name, bpy.data.lights.new(name, "SUN"))
    sun.data.energy = strength
    sun.rotation_euler = (math.pi / 2 - down, 0.0, scene.camera.rotation_euler.z + side)
    scene.collection.objects.link(sun)
    use_standard_view(scene)


def run(photo: Path, out: Path, python: Path, quality: str) -> dict[str, float]:
    """The whole walk. -> seconds of each stage. Raises RuntimeError with what went wrong."""
    clock = Clock()
    out.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    try:
        session.use(Backend(python, paths.carried(), paths.version(), out / "backend.log"))
        with clock.stage("reconstruct and place"):
            creature = reconstruct(photo, quality)
        record = session.read_record(creature)
        with clock.stage("save"):
            bpy.ops.menagerie.use_photo_view()
            light_scene(bpy.context.scene)
            bpy.ops.wm.save_as_mainfile(filepath=str(out / "creature.blend"), compress=True)
            for name, wanted in FILES.items():
                shutil.copyfile(Path(record["out"]) / name, out / wanted)
        with clock.stage("turntable"):
            turntable.render(bpy.context, shown_objects(bpy.context), out / "turntable.mp4")
    finally:
        blender_addon.unregister()
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return {**{f"backend: {stage}": seconds for stage, seconds in report["seconds"].items()}, **clock.seconds}


def main(argv: Sequence[str]) -> int:
    """The command of the module's docstring. -> exit status."""
    parser = argparse.ArgumentParser(prog="python -m blender_addon.demo")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True, help="the backend's interpreter")
    parser.add_argument("--quality", choices=["fast", "fine"], default="fine")
    args = parser.parse_args(argv)
    try:
        # The interpreter of a virtual environment is a link: resolving it would leave the environment.
        seconds = run(args.photo.resolve(), args.out.resolve(), args.python.absolute(), args.quality)
    except RuntimeError as reason:
        print(reason, file=sys.stderr)
        return 1
    (args.out / "seconds.json").write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
