"""How long things take on this machine.

    python -m backend benchmark [PHOTO ...] [--quality fast|fine|both] [--repeat N] [--threads N] [--raster] [--json FILE]

Prints each stage of photo to asset, process start included, and with --raster the rasteriser's time over Open3D's (a
development dependency). --json writes the same numbers to a file. Without PHOTO the project's own photos are used.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend import VERSION
from backend.benchmark.stages import ROOT, time_stages
from backend.errors import MenagerieError

PHOTOS = ("horse.png", "elephant.png", "lion-2.png")
"""Of tests/photos: three shapes of different length."""


def print_stages(found: dict[str, Any]) -> None:
    """A table of one quality."""
    print(f"\n{found['quality']}: {found['runs']} runs on {found['threads']} threads ({', '.join(found['photos'])}); medians")
    for stage, seconds in found["seconds"].items():
        print(f"  {seconds:8.2f} s  {stage}")
    print(f"  {found['wall']:8.2f} s  in all; the slowest {found['wall_worst']:.2f} s; peak memory {found['peak_memory_mib']} MiB")


def choose_photos(given: Sequence[Path]) -> list[Path]:
    """The photos given, else the project's. Raises `photo_unreadable` for one that is not there."""
    photos = list(given) or [ROOT / "tests" / "photos" / name for name in PHOTOS]
    for photo in photos:
        if not photo.is_file():
            raise MenagerieError("photo_unreadable", f"There is no photo at {photo}.")
    return photos


def main(argv: Sequence[str]) -> int:
    """The command of the module's docstring. -> exit status."""
    parser = argparse.ArgumentParser(prog="python -m backend benchmark", description=main.__doc__)
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--quality", choices=["fast", "fine", "both"], default="both")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--raster", action="store_true", help="time the rasteriser against Open3D's ray caster")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args(argv)
    found: dict[str, Any] = {"version": VERSION, "machine": platform.machine(), "python": platform.python_version()}
    if args.raster:
        from backend.benchmark.raster import raster_ratio

        found["raster"] = raster_ratio()
        print("rasteriser over Open3D's ray caster:")
        for name, value in found["raster"].items():
            print(f"  {name:<12} {value:.4g}" if isinstance(value, float) else f"  {name:<12} {value}")
    else:
        photos = choose_photos(args.photos)
        for quality in ("fast", "fine") if args.quality == "both" else (args.quality,):
            found[quality] = time_stages(photos, quality, args.repeat, args.threads)
            print_stages(found[quality])
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0
