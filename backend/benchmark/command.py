"""How long things take on this machine.

    python -m backend benchmark [PHOTO ...] [--quality fast|fine|both] [--repeat N] [--threads N] [--json FILE]
    python -m backend benchmark --raster [--json FILE]
    python -m backend benchmark --parity [--json FILE]
    python -m backend benchmark --animate [CLIP] [--json FILE]

Prints each stage of photo to asset, process start included, by the clock and in processor seconds, and peak memory. Without
PHOTO the project's own photos are used, and one of them again as a 12-megapixel photo. --raster times the rasteriser against
Open3D's (a development dependency); --parity compares the CPU's renderer with nvdiffrast's on a GPU, values and gradients.
--animate turns a clip into a creature, once over 100 frames and once over 600, and prints seconds a frame and whether memory stays flat:
CLIP is a folder of frames, played to and fro; without one, a photo of the project's drifts through the picture. --json writes the
same numbers to a file.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend import VERSION
from backend.benchmark.clips import FRAMES, time_clips
from backend.benchmark.stages import ROOT, make_large_photo, time_stages
from backend.errors import MenagerieError

PHOTOS = ("horse.png", "elephant.png", "lion-2.png")
"""Of tests/photos: three shapes of different length."""
LARGE = "horse-12-megapixels.jpg"


def print_stages(found: dict[str, Any]) -> None:
    """A table of one quality."""
    print(f"\n{found['quality']}: {found['runs']} runs on {found['threads']} threads ({', '.join(found['photos'])}); medians")
    print("   by clock    processor")
    for stage, seconds in found["seconds"].items():
        print(f"  {seconds:8.2f} s   {found['cpu_seconds'][stage]:8.2f} s  {stage}")
    print(f"  {found['wall']:8.2f} s   {found['cpu']:8.2f} s  in all")
    print(f"  the slowest {found['wall_worst']:.2f} s; peak memory {found['peak_memory_mib']} MiB", flush=True)


def choose_photos(given: Sequence[Path]) -> list[Path]:
    """The photos given, else the project's. Raises `photo_unreadable` for one that is not there."""
    photos = list(given) or [ROOT / "tests" / "photos" / name for name in PHOTOS]
    for photo in photos:
        if not photo.is_file():
            raise MenagerieError("photo_unreadable", f"There is no photo at {photo}.")
    return photos


def benchmark_stages(given: Sequence[Path], quality: str, repeats: int, threads: int) -> dict[str, Any]:
    """Time and print each quality. -> quality -> numbers, and quality + "_large" for the 12-megapixel photo."""
    photos, found = choose_photos(given), {}
    with tempfile.TemporaryDirectory(prefix="menagerie-benchmark-") as folder:
        large = Path(folder) / LARGE
        if not given:
            make_large_photo(photos[0], large)
        for each in ("fast", "fine") if quality == "both" else (quality,):
            found[each] = time_stages(photos, each, repeats, threads)
            print_stages(found[each])
            if not given:
                found[f"{each}_large"] = time_stages([large], each, repeats, threads)
                print_stages(found[f"{each}_large"])
    return found


def benchmark_raster() -> dict[str, Any]:
    """The rasteriser over Open3D's, printed."""
    from backend.benchmark.raster import raster_ratio

    try:
        found = raster_ratio()
    except ImportError as error:
        remedy = "Install backend/requirements/development.txt, or run python3 build.py setup."
        raise MenagerieError("bad_request", "Open3D, the yardstick, is not installed.", remedy) from error
    print("rasteriser over Open3D's ray caster:")
    print_values(found)
    return found


def benchmark_parity() -> dict[str, Any]:
    """The CPU's renderer beside nvdiffrast's on this machine's GPU, printed. Raises `bad_request` without a GPU or nvdiffrast."""
    import torch

    from backend.benchmark.parity import compare_renderers

    if not torch.cuda.is_available():
        remedy = "Run it on a machine with an NVIDIA GPU and a CUDA build of torch."
        raise MenagerieError("bad_request", "The comparison of renderers needs a CUDA GPU, and torch finds none.", remedy)
    try:
        found = compare_renderers("cuda")
    except ImportError as error:
        remedy = "Build it from the package diffrp-nvdiffrast with nvcc (its licence is non-commercial)."
        raise MenagerieError("bad_request", "The comparison of renderers needs nvdiffrast, which is not installed.", remedy) from error
    found["gpu"], found["torch"] = torch.cuda.get_device_name(), torch.__version__
    print("renderers, CPU beside GPU; largest differences, gradients by norm:")
    print_values(found)
    return found


def benchmark_clips(given: Sequence[Path], threads: int) -> dict[str, Any]:
    """A clip of each length to a creature, printed. -> number of frames -> numbers, and `memory_growth`."""
    source = given[0] if given else ROOT / "tests" / "photos" / PHOTOS[0]
    print(f"clips made of {source.name}, {threads} threads, process start included:", flush=True)
    found = time_clips(source, threads, print_clip)
    print(f"  memory of {FRAMES[-1]} frames over that of {FRAMES[0]}: {found['memory_growth']:.3f}", flush=True)
    return found


def print_clip(one: dict[str, Any]) -> None:
    """A line a clip."""
    print(f"  {one['frames']:4} frames  {one['seconds_a_frame']:6.2f} s a frame  {one['cpu_seconds_a_frame']:6.2f} s of the processor  "
          f"peak memory {one['peak_memory_mib']} MiB", flush=True)  # fmt: skip


def print_values(found: dict[str, Any]) -> None:
    """A line a number."""
    for name, value in found.items():
        print(f"  {name:<20} {value:.4g}" if isinstance(value, float) else f"  {name:<20} {value}")


def main(argv: Sequence[str]) -> int:
    """The command of the module's docstring. -> exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m backend benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--quality", choices=["fast", "fine", "both"], default="both")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--raster", action="store_true", help="time the rasteriser against Open3D's ray caster")
    parser.add_argument("--parity", action="store_true", help="compare the CPU's renderer with the GPU's")
    parser.add_argument("--animate", action="store_true", help="time clips of two lengths")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args(argv)
    found: dict[str, Any] = {"version": VERSION, "machine": platform.machine(), "python": platform.python_version()}
    if args.raster or args.parity or args.animate:
        if args.raster:
            found["raster"] = benchmark_raster()
        if args.parity:
            found["parity"] = benchmark_parity()
        if args.animate:
            found["animate"] = benchmark_clips(args.photos, args.threads)
    else:
        found |= benchmark_stages(args.photos, args.quality, args.repeat, args.threads)
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0
