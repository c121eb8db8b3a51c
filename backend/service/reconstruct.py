"""One job: a photo file, or several of one animal -> a folder with the asset, its glTF, mask, overlay and report, and an upright copy of
a photo that Blender would show differently. Of further photos the folder holds a numbered mask and overlay each.

The command line and the service both come through here. A result is whole or absent (`result_folder`). The report is the only file
with times, memory and paths.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from backend import VERSION
from backend.asset.gltf import write_gltf
from backend.asset.schema import fit_name
from backend.asset.write import write_asset
from backend.errors import CODES, Cancelled, MenagerieError
from backend.media.photo import read_photo
from backend.methods.index import METHODS, load
from backend.methods.request import Photo, Quality, Request, Sighting
from backend.observe.mask import find_mask, keep_islands
from backend.service.joints import UNSURE, check_pins, joints_in_photo
from backend.service.machine import available_memory_mib, peak_memory_mib
from backend.service.overlay import draw_overlay
from backend.service.result_folder import (
    ASSET,
    FURTHER_MASK,
    FURTHER_OVERLAY,
    GLB,
    MASK,
    OVERLAY,
    PHOTO,
    REPORT,
    VIEWPOINT,
    remove_abandoned,
    whole_folder,
)
from backend.types import Asset, ByteArray, Cost, Image, Mask, Progress, no_progress

PHOTO_QUALITY = 92

SHARES = {"photo": (0.0, 0.03), "mask": (0.03, 0.1), "method": (0.1, 0.9), "write": (0.9, 1.0)}
"""Parts of the whole job's bar."""

STRIP_ROWS = 256

MASK_ASPECT_TOLERANCE = 0.03
"""A mask of another size is stretched to the photo's; its proportions may differ by this share, no more."""

PAUSE = 2.0
"""Seconds within a stage after which `Stages.between` is called again."""
MOST_PHOTOS = 12
"""Of one animal: each is held at its full size."""


@dataclass(frozen=True)
class Further:
    """A further photo of the animal. mask: a picture that covers it there; found otherwise."""

    photo: Path
    mask: Path | None = None


class Stages:
    """A `Progress` that keeps the seconds of each stage and scales a part's fraction into the whole job's.

    seconds: by the clock; cpu_seconds: of all the process's threads, what a stage costs however busy the machine is; between: called
    where one stage ends and the next begins, and now and then within a long one (`PAUSE`).
    """

    def __init__(
        self, progress: Progress, shares: Mapping[str, tuple[float, float]] = SHARES, between: Callable[[], None] = lambda: None
    ) -> None:
        self._progress, self._shares, self._between, self._paused = progress, shares, between, time.perf_counter()
        self._range = (0.0, 1.0)
        self._stage, self._since, self._cpu_since = "", time.perf_counter(), time.process_time()
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}

    def part(self, name: str) -> Stages:
        """From now on fractions are within the part `name` of the shares."""
        self._range = self._shares[name]
        return self

    def __call__(self, stage: str, fraction: float, preview: ByteArray | None = None) -> None:
        if stage != self._stage or time.perf_counter() - self._paused > PAUSE:
            self._between()
            self._paused = time.perf_counter()
        if stage != self._stage:
            self.close()
            self._stage = stage
        low, high = self._range
        self._progress(stage, low + (high - low) * min(1.0, max(0.0, fraction)), preview)

    def close(self) -> None:
        """End the current stage."""
        now, cpu_now = time.perf_counter(), time.process_time()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
            self.cpu_seconds[self._stage] = self.cpu_seconds.get(self._stage, 0.0) + cpu_now - self._cpu_since
        self._since, self._cpu_since = now, cpu_now


def reconstruct(
    photo: Path,
    out: Path,
    *,
    mask: Path | None = None,
    others: Sequence[Further] = (),
    method: str = "fauna",
    quality: Quality = "fast",
    seed: int = 0,
    viewpoint: int | None = None,
    flip_heading: bool = False,
    swap_legs: bool = False,
    name: str | None = None,
    pins: Mapping[str, Any] | None = None,
    methods: Mapping[str, str] = METHODS,
    progress: Progress = no_progress,
    expect: Callable[[float], None] = lambda seconds: None,
) -> dict[str, Any]:
    """Reconstruct the animal in `photo` into the folder `out`, made if absent -> the report.

    mask: a picture whose alpha, or else brightness, covers the animal; others: further photos of this very animal, in any pose and from
    any side: they make one creature, in `photo`'s pose and camera, and an error names the photo that it is about; viewpoint,
    flip_heading, swap_legs: see `methods.request.Request`; name: of the creature, the photo's by default, cut to what Blender keeps;
    pins: joint -> [x, y], pixels of the upright photo; expect: told once, as soon as the photo is read, how many seconds the rest
    should take. Raises `MenagerieError`, `Cancelled`, and `OSError` or `MemoryError` as they come: the process boundary makes coded
    errors of them.
    """
    stages = Stages(progress)
    start = time.perf_counter()
    remove_abandoned(out.parent)
    stages.part("photo")("photo", 0.0)
    module = load(method, methods)
    check_others(photo, others, method, getattr(module, "INPUTS", ()))
    with naming(photo, others):
        image = read_photo(photo)
    further = [read_further(other, others) for other in others]
    height, width = image.rgb.shape[:2]
    known = check_pins(pins or {}, (width, height))
    unseen = tuple(Photo(one, unknown(one)) for one in further)
    named = fit_name(name or photo.stem)
    request = Request(image, unknown(image), quality, seed, viewpoint, flip_heading, swap_legs, named, known, unseen)
    cost = module.estimate(request)
    check_memory(cost)
    expect(cost.seconds)
    stages.part("mask")("mask", 0.0)
    with naming(photo, others):
        cover = find_mask(image, stages) if mask is None else read_mask(mask, image)
    seen = tuple(cover_further(other, one, others, stages) for other, one in zip(others, further, strict=True))
    result = module.run(replace(request, mask=cover, others=seen), stages.part("method"))
    stages.part("write")("write", 0.0)
    # Files are packed, without Python's lock, while the overlay is drawn.
    with whole_folder(out) as folder, ThreadPoolExecutor(1) as packer:
        waiting = [packer.submit(write_asset, result.asset, folder / ASSET), packer.submit(write_gltf, result.asset, folder / GLB)]
        waiting.append(packer.submit(write_picture, folder / MASK, as_bytes(cover)))
        for index, view in enumerate(result.viewpoints):
            waiting.append(packer.submit(write_picture, folder / VIEWPOINT.format(index), view.thumbnail))
        for number, one in enumerate(seen, 2):
            waiting.append(packer.submit(write_picture, folder / FURTHER_MASK.format(number), as_bytes(one.mask)))
        if not image.plain:
            waiting.append(packer.submit(Picture.fromarray(image.rgb).save, folder / PHOTO, quality=PHOTO_QUALITY))
        write_picture(folder / OVERLAY, draw_overlay(image, result.asset))
        for number, (one, there) in enumerate(zip(seen, result.others, strict=True), 2):
            posed = replace(result.asset, camera=there.camera, photo_pose=there.pose)
            write_picture(folder / FURTHER_OVERLAY.format(number), draw_overlay(one.image, posed))
        stages("write", 0.9)
        for written in waiting:
            written.result()
        stages("done", 1.0)
        stages.close()
        report = {
            "photo": str(photo),
            "others": [tell_further(*of, result.asset) for of in zip(range(2, 2 + len(others)), others, result.others, strict=True)],
            "out": str(out),
            "files": sorted([path.name for path in folder.iterdir()] + [REPORT]),
            "method": method,
            "settings": {
                "quality": quality, "seed": seed, "viewpoint": viewpoint, "flip_heading": flip_heading, "swap_legs": swap_legs,
                "pins": {joint: list(place) for joint, place in known.items()},
            },
            "joints": joints_in_photo(result.asset),
            "unsure": sorted(joint for joint, sure in result.confidence.items() if sure < UNSURE),
            "warnings": [*image.warnings, *(said for one in further for said in one.warnings), *cost.warnings],
            "scores": result.scores,
            "viewpoints": [{"probability": float(v.probability), "file": VIEWPOINT.format(i)} for i, v in enumerate(result.viewpoints)],
            "viewpoint": result.chosen,
            "seconds": {stage: round(seconds, 3) for stage, seconds in stages.seconds.items()},
            "cpu_seconds": {stage: round(seconds, 3) for stage, seconds in stages.cpu_seconds.items()},
            "seconds_total": round(time.perf_counter() - start, 3),
            "peak_memory_mib": round(peak_memory_mib()),
            "provenance": result.asset.provenance,
            "version": VERSION,
            "system": {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()},
        }
        (folder / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def check_others(photo: Path, others: Sequence[Further], method: str, inputs: Sequence[str]) -> None:
    """Raises `bad_request` for photos that can't make one creature."""
    if not others:
        return
    if "photos" not in inputs:
        raise MenagerieError("bad_request", f"The method {method!r} takes one photo of an animal.", "Choose one photo, or another method.")
    paths = [photo, *(other.photo for other in others)]
    if len(paths) > MOST_PHOTOS:
        raise MenagerieError("bad_request", f"There are {len(paths)} photos; {MOST_PHOTOS} can make one creature.", "Choose the best.")
    twice = next((path for number, path in enumerate(paths) if path in paths[:number]), None)
    if twice is not None:
        raise MenagerieError("bad_request", f"The photo {twice.name} is given twice.", "Give each photo once.")


@contextmanager
def naming(photo: Path, others: Sequence[Further]) -> Iterator[None]:
    """Where there are several photos, an error says of which it speaks."""
    try:
        yield
    except Cancelled:
        raise
    except MenagerieError as error:
        if not others:
            raise
        raise MenagerieError(error.code, f"{photo.name}: {error.sentence}", error.remedy) from error


def read_further(other: Further, others: Sequence[Further]) -> Image:
    """A further photo's picture."""
    with naming(other.photo, others):
        return read_photo(other.photo)


def cover_further(other: Further, image: Image, others: Sequence[Further], progress: Progress) -> Photo:
    """A further photo with its mask."""
    with naming(other.photo, others):
        return Photo(image, find_mask(image, progress) if other.mask is None else read_mask(other.mask, image))


def tell_further(number: int, other: Further, there: Sighting, asset: Asset) -> dict[str, Any]:
    """What the report says of a further photo: its files, and the creature's camera and pose there, as the asset file has its own."""
    turns = zip(asset.skeleton.names, there.pose.rotations.tolist(), strict=True)
    return {
        "photo": str(other.photo), "mask": FURTHER_MASK.format(number), "overlay": FURTHER_OVERLAY.format(number), "iou": there.iou,
        "camera": {
            "width": there.camera.width, "height": there.camera.height, "focal_px": there.camera.focal_px,
            "object_to_camera": there.camera.object_to_camera.tolist(),
        },
        "pose": {"rotations": dict(turns), "root_translation": there.pose.root_translation.tolist()},
    }  # fmt: skip


def unknown(image: Image) -> Mask:
    """A mask that is not yet found."""
    return np.broadcast_to(np.float32(0), image.rgb.shape[:2])


def check_memory(cost: Cost) -> None:
    """Raises `no_memory` where the job needs more than there is: the system would end this process, or another, in the midst of it."""
    available = available_memory_mib()
    if available is not None and available < cost.memory_mib:
        needed, free = cost.memory_mib / 1024, available / 1024
        raise MenagerieError("no_memory", f"The job needs about {needed:.1f} GiB of memory, and {free:.1f} GiB are free.")


def read_mask(path: Path, image: Image) -> Mask:
    """A mask picture -> (h, w) in [0, 1] at the photo's size: its alpha if it has one, else its brightness, less stray specks.

    What counts as a speck in what was painted or loaded is told by `observe.mask.keep_islands`. Raises `mask_unreadable` where it
    is no picture or has other proportions, `no_animal` where it is empty.
    """
    try:
        picture = read_photo(path)
    except MenagerieError as refusal:
        raise MenagerieError("mask_unreadable", f"The mask can't be read: {refusal.sentence}") from refusal
    red, green, blue = (picture.rgb[..., channel] for channel in range(3))
    # Plane by plane: numpy's maximum along the last axis takes nine times as long.
    cover = picture.alpha if picture.alpha is not None else np.maximum(np.maximum(red, green), blue)
    (height, width), (rows, columns) = image.rgb.shape[:2], cover.shape
    if abs(columns * height / (rows * width) - 1) > MASK_ASPECT_TOLERANCE:
        raise MenagerieError("mask_unreadable", f"The mask is {columns}x{rows}, the photo {width}x{height}.")
    if (rows, columns) != (height, width):
        cover = np.asarray(Picture.fromarray(cover).resize((width, height), Picture.Resampling.BILINEAR))
    if not (cover > 127).any():
        raise MenagerieError("no_animal", "The mask covers nothing.", CODES["mask_unreadable"])
    return np.multiply(keep_islands(cover), np.float32(1 / 255), dtype=np.float32)


def as_bytes(cover: Mask) -> ByteArray:
    """(h, w) in [0, 1] -> uint8, by strips: a large photo's mask as floats is large enough once."""
    result = np.empty(cover.shape, np.uint8)
    for top in range(0, len(cover), STRIP_ROWS):
        result[top : top + STRIP_ROWS] = np.rint(cover[top : top + STRIP_ROWS] * 255)
    return result


def write_picture(path: Path, pixels: ByteArray) -> None:
    """(h, w) or (h, w, 3) uint8 -> PNG."""
    Picture.fromarray(pixels).save(path, compress_level=1)
