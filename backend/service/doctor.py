"""Is this environment able to work? Versions, weights' hashes, a rendered triangle, a decoded clip and a whole small job, as JSON.

    python -m backend doctor [--quick] [--warm]

Set-up runs it before an environment is put to use, and "Copy diagnostics" quotes it. Exit status 0 where nothing
failed. `--quick` leaves clip and job out. `--warm` only compiles the kernels (half a minute), so that no artist's job has to.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend import VERSION
from backend.errors import MenagerieError
from backend.service.failures import as_error
from backend.types import ByteArray

PACKAGES = (
    "torch", "numpy", "scipy", "numba", "pillow", "pillow-heif", "safetensors", "huggingface-hub", "xatlas", "av", "opencv-python-headless",
)  # fmt: skip
"""What the backend needs, by the names that pip knows."""

PHOTO_SIZE = 192
"""Pixels a side of the drawn photo."""


def find_versions() -> dict[str, str]:
    """Package -> installed version. Raises `backend_missing` for one that is absent."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise MenagerieError("backend_missing", f"The package {package} is not installed in the backend's environment.") from None
    return versions


def check_weights() -> dict[str, str]:
    """Hash every weights file that is there. -> id: "good" or "absent". Raises for damaged and for missing bundled ones."""
    from backend.weights.manifest import load_manifest, locate, verify

    states = {}
    for entry in load_manifest().values():
        path = locate(entry)
        if entry.bundled or path.is_file():
            verify(entry, path)
        states[entry.id] = "good" if path.is_file() else "absent"
    return states


def render_triangles() -> dict[str, Any]:
    """Forward and gradient of every renderer operation on two triangles; the first call in an environment compiles."""
    import torch

    from backend.render import cpu

    corners = torch.tensor([[[-0.8, -0.8, 0.1, 1], [0.8, -0.8, 0.2, 1], [0.0, 0.8, 0.3, 1], [0.9, 0.9, 0.5, 1]]])
    clip = corners.repeat(2, 1, 1).requires_grad_()
    faces = torch.tensor([[0, 1, 2], [1, 3, 2]], dtype=torch.int32)
    picture = torch.rand(1, 8, 8, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    rast = cpu.rasterize(clip, faces, (32, 32))
    uv = cpu.interpolate((clip[..., :2] * 0.5 + 0.5), rast, faces)
    color = cpu.texture(picture, uv)
    smooth = cpu.antialias(color * (rast[..., 3:] > 0), rast, clip, faces)
    smooth.square().sum().backward()  # type: ignore[no-untyped-call]
    covered = int((rast[..., 3] > 0).sum())
    if not covered or clip.grad is None or not bool(torch.isfinite(clip.grad).all()):
        raise MenagerieError("internal", "The renderer's gradients are not finite in this environment.")
    return {"covered_pixels": covered, "threads": torch.get_num_threads()}


def compile_kernels() -> None:
    """Have numba compile and cache every kernel that a job uses, and nothing a second time."""
    from backend.render import cpu
    from backend.rig import bend_energy, embed
    from backend.shape import cleanup

    cpu.prepare()
    cleanup.compile_kernels()
    bend_energy.compile_kernels()
    embed.compile_kernels()


def decode_clip() -> dict[str, Any]:
    """Write a movie of three grey frames and decode it, which takes a process of its own. -> frames and their size."""
    from backend.media.clip import read_clip
    from backend.media.movie_writer import write_movie

    with tempfile.TemporaryDirectory(prefix="menagerie-doctor-") as folder:
        movie = Path(folder) / "clip.mp4"
        write_movie(movie, (np.full((48, 64, 3), shade, np.uint8) for shade in (40, 120, 200)), 24.0)
        clip = read_clip(movie, Path(folder) / "frames")
        shades = [round(float(clip.read(k).rgb.mean())) for k in range(len(clip.times))]
    if len(shades) != 3 or shades != sorted(shades):
        raise MenagerieError("internal", "A clip that was just written doesn't come back as it was in this environment.")
    return {"frames": len(shades), "size": [clip.width, clip.height]}


def draw_animal() -> ByteArray:
    """A crude animal from the side, (PHOTO_SIZE, PHOTO_SIZE, 4) uint8 with alpha."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (PHOTO_SIZE, PHOTO_SIZE), (120, 160, 90, 0))
    pen = ImageDraw.Draw(picture)
    coat = (140, 100, 60, 255)
    pen.ellipse((40, 70, 145, 118), fill=coat)
    pen.polygon(((50, 85), (22, 45), (38, 40), (75, 78)), fill=coat)
    pen.ellipse((8, 36, 46, 58), fill=coat)
    for x in (52, 68, 116, 132):
        pen.rectangle((x, 105, x + 8, 165), fill=coat)
    pen.line((143, 85, 156, 120), fill=coat, width=5)
    return np.asarray(picture, np.uint8)


def run_small_job() -> dict[str, Any]:
    """A whole job on the drawn animal, in a temporary folder. -> its seconds and what it wrote."""
    from PIL import Image

    from backend.service.reconstruct import reconstruct

    with tempfile.TemporaryDirectory(prefix="menagerie-doctor-") as folder:
        photo = Path(folder) / "animal.png"
        Image.fromarray(draw_animal()).save(photo)
        report = reconstruct(photo, Path(folder) / "out")
    return {"seconds": report["seconds_total"], "files": report["files"], "peak_memory_mib": report["peak_memory_mib"]}


def examine(quick: bool = False) -> dict[str, Any]:
    """Run every check and go on after a failure. -> JSON-able; `good` says whether all passed."""
    checks: dict[str, Callable[[], Any]] = {"packages": find_versions, "weights": check_weights, "render": render_triangles}
    if not quick:
        checks |= {"clip": decode_clip, "job": run_small_job}
    found: dict[str, Any] = {
        "version": VERSION, "python": platform.python_version(), "system": platform.system(), "machine": platform.machine(), "good": True,
        "problems": [],
    }  # fmt: skip
    for name, check in checks.items():
        start = time.perf_counter()
        try:
            found[name] = check()
        except Exception as escaped:  # noqa: BLE001  (a diagnosis reports every failure, and goes on)
            found["good"] = False
            found["problems"].append({"check": name, **as_error(escaped).to_wire()})
        found.setdefault("seconds", {})[name] = round(time.perf_counter() - start, 3)
    return found


def main(argv: list[str]) -> int:
    """The command of the module's docstring. -> exit status."""
    parser = argparse.ArgumentParser(prog="python -m backend doctor")
    parser.add_argument("--quick", action="store_true", help="without the whole job")
    parser.add_argument("--warm", action="store_true", help="only compile the kernels")
    args = parser.parse_args(argv)
    if args.warm:
        compile_kernels()
        return 0
    found = examine(args.quick)
    print(json.dumps(found, indent=2, sort_keys=True))
    return 0 if found["good"] else 1
