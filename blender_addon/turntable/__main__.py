"""Turntables of a folder of assets, without a window.

    python -m blender_addon.turntable DIR --out DIR [--format MP4|PNG|GIF|STILL] [--engine WORKBENCH|EEVEE|CYCLES] [--frames N]
        [--size PIXELS] [--height DEGREES] [--start DEGREES] [--motion HOLD|LOOP|ONCE] [--pass CLAY ...] [--no-ground]
        [--python BACKEND_PYTHON]

with Blender's module, or with Blender itself and the installed add-on's folder:

    blender -b --python .../menagerie/turntable/__main__.py -- DIR --out DIR [...]

DIR holds asset files: NAME.safetensors, or NAME/asset.safetensors as `backend reconstruct` leaves them. Each becomes NAME.mp4 (or a
folder NAME, NAME.gif, NAME.png) in --out, in the pose of its photo; LOOP and ONCE play its first motion. What is there and newer than
its asset is not made again, one that was interrupted goes on where it was, and one that fails is told of and stops no other. Exit
status 1 where one failed. A GIF needs the backend's Python.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # Blender runs the file by its path
    HERE = Path(__file__).resolve().parents[1]
    sys.path.insert(0, str(HERE.parent))
    __package__ = f"{HERE.name}.turntable"
    importlib.import_module(__package__)

import bpy

from .. import compat, paths
from ..link.errors import LinkError
from ..scene.asset_file import read_asset_file
from ..scene.place import place_asset
from .operator import SUFFIXES, failure
from .stage import ENGINES, MOTIONS, PASSES, Look
from .turn import FORMATS, render


def find_assets(folder: Path) -> dict[str, Path]:
    """Name -> asset file, by name."""
    found = {path.stem: path for path in folder.glob("*.safetensors")}
    found |= {path.parent.name: path for path in folder.glob("*/asset.safetensors")}
    return dict(sorted(found.items()))


def turn_asset(path: Path, target: Path, look: Look, format: str, backend: tuple[Path, Path] | None) -> None:
    """One asset in an empty file. Raises LinkError, ValueError, OSError, RuntimeError."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    creature = place_asset(bpy.context, read_asset_file(path))
    if look.motion != "HOLD":
        if not creature.actions:
            raise ValueError("it has no motion to play")
        compat.assign_action(creature.armature, creature.actions[0])
    render(bpy.context, [creature.armature, creature.mesh], target, look, format, backend)


def read_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The words of the module's docstring. Ends the program where they make no sense."""
    parser = argparse.ArgumentParser(prog="python -m blender_addon.turntable")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--format", choices=FORMATS, default="MP4")
    parser.add_argument("--engine", choices=ENGINES, default="WORKBENCH")
    parser.add_argument("--frames", type=int, default=Look.frames)
    parser.add_argument("--size", type=int, default=Look.size)
    parser.add_argument("--height", type=float, default=math.degrees(Look.elevation), help="degrees above the horizon")
    parser.add_argument("--start", type=float, default=0.0, help="where the first picture looks from: 0 the front, 90 its left")
    parser.add_argument("--motion", choices=MOTIONS, default="HOLD")
    parser.add_argument("--pass", dest="passes", choices=PASSES[1:], action="append", default=[], help="beside the texture; repeatable")
    parser.add_argument("--no-ground", action="store_true", help="no shadow below")
    parser.add_argument("--python", type=Path, help="the backend's interpreter, for GIF")
    args = parser.parse_args(argv)
    if args.format == "GIF" and args.python is None:
        parser.error("a GIF is made by the backend: give its interpreter with --python")
    if not args.folder.is_dir():
        parser.error(f"{args.folder} is no folder")
    return args


def main(argv: Sequence[str]) -> int:
    """The command of the module's docstring. -> exit status."""
    args = read_arguments(argv)
    passes = tuple(dict.fromkeys(("TEXTURE", *args.passes)))
    look = Look(
        args.frames, args.size, args.engine, math.radians(args.height),
        motion=args.motion, passes=passes, ground=not args.no_ground, angle=math.radians(args.start),
    )  # fmt: skip
    backend = (args.python.absolute(), paths.carried()) if args.format == "GIF" else None
    args.out.mkdir(parents=True, exist_ok=True)
    assets, failed = find_assets(args.folder), 0
    for name, path in assets.items():
        target = args.out / (name + SUFFIXES[args.format])
        if target.exists() and target.stat().st_mtime > path.stat().st_mtime:
            print(f"{name}: {target.name} is there", flush=True)
            continue
        try:
            turn_asset(path, target, look, args.format, backend)
        except LinkError as error:
            failed += 1
            print(f"{name}: {error.sentence} {error.remedy}", file=sys.stderr, flush=True)
        except (ValueError, OSError, RuntimeError) as reason:
            failed += 1
            print(f"{name}: {failure(reason).sentence}", file=sys.stderr, flush=True)
        else:
            print(f"{name}: {target}", flush=True)
    if not assets:
        print(f"{args.folder} holds no assets", file=sys.stderr)
    return int(failed > 0 or not assets)


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(words[words.index("--") + 1 :] if "--" in words else words))
