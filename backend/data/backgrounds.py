"""Pictures without animals for learning masks: the photographs, grounds and skies of backgrounds.json, and places made of them.

Enter the folder that holds gcompris's .rcc files, 0 A.D.'s public.zip and perhaps a folder of further photographs; leave squares of
colour: part of a photograph, a ground that recedes under a sky, a ground seen from above, or something plain. Nothing that a mask is
judged on is read.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFilter

from backend.data.qt_resources import QtResources
from backend.data.scenes import decode_picture, listed, read_scenes
from backend.errors import MenagerieError
from backend.types import ByteArray

LONGEST = 1024
"""Pixels to which a photograph is reduced."""
TEXTURE = 512
GROUNDS = 160
"""Grounds that are read, drawn from all."""
KINDS = ("photograph", "landscape", "ground", "plain")
KIND_SHARES = (0.62, 0.2, 0.06, 0.12)
CLOSEST = 0.22
"""Smallest part of a photograph's shorter side that fills a square."""
SQUEEZE = 0.45
"""Largest logarithm of the sides' ratio of what is squeezed into a square."""
BLURRED, MOST_BLUR = 0.25, 5.0
HORIZON = (0.15, 0.75)
"""Where ground and sky meet, from the top."""


@dataclass(frozen=True)
class Backgrounds:
    """photographs, grounds, skies: RGB pictures."""

    photographs: tuple[PillowImage.Image, ...]
    grounds: tuple[PillowImage.Image, ...]
    skies: tuple[PillowImage.Image, ...]


@cache
def named() -> dict[str, Any]:
    """backgrounds.json."""
    return dict(json.loads((Path(__file__).parent / "backgrounds.json").read_text("utf-8")))


def read_backgrounds(source: Path, archive: Path, further: Path | None, seed: int) -> Backgrounds:
    """source: a folder that holds the .rcc files at any depth; archive: 0 A.D.'s public.zip; further: a folder of JPEG photographs.

    Raises bad_request where a listed picture is not there or can't be decoded.
    """
    photographs = list(read_scenes(source, "training").values())
    for file, names in named()["photographs"].items():
        resources = find_resources(source, file)
        photographs += [read_listed(resources, name) for name in names]
    if further is not None:
        photographs += [decode_picture(path.read_bytes(), path.name) for path in sorted(further.glob("*.jpg"))]
    grounds, skies = _read_textures(archive, np.random.default_rng([seed, 1]))
    return Backgrounds(tuple(_reduce(PillowImage.fromarray(picture), LONGEST) for picture in photographs), grounds, skies)


def find_resources(source: Path, file: str) -> QtResources:
    """An .rcc file that lies in a folder at any depth. Raises bad_request where it doesn't."""
    return QtResources(next(iter(sorted(source.rglob(file))), source / file))


def read_listed(resources: QtResources, name: str) -> ByteArray:
    """The one picture (h, w, 3) whose path ends with `name`. Raises bad_request where there is none, or one that masks are judged on."""
    paths = [path for path in resources.names if f"/{path}".endswith(f"/{name}")]
    if len(paths) != 1 or any(paths[0].endswith(f"/{scene}") for scene in listed()["evaluation"]):
        raise MenagerieError("bad_request", f"{resources.name} has no picture {name} that may be learnt from.")
    return decode_picture(resources.read(paths[0]), name)


def _read_textures(archive: Path, rng: np.random.Generator) -> tuple[tuple[PillowImage.Image, ...], tuple[PillowImage.Image, ...]]:
    """0 A.D.'s grounds, some of them, and the sides of its skies."""
    with zipfile.ZipFile(archive) as files:
        names = sorted(name for name in files.namelist() if name.endswith(".dds"))
        without = named()["ground_without"]
        grounds = [name for name in names if name.startswith(named()["ground"]) and not any(word in name for word in without)]
        skies = [name for name in names if name.startswith(named()["sky"]) and "/top" not in name]
        chosen = sorted(rng.permutation(len(grounds))[:GROUNDS])
        read = [[_decode(files.read(name), name) for name in group] for group in ([grounds[i] for i in chosen], skies)]
    return tuple(read[0]), tuple(read[1])


def _decode(data: bytes, name: str) -> PillowImage.Image:
    try:
        return _reduce(PillowImage.open(io.BytesIO(data), formats=["DDS"]).convert("RGB"), TEXTURE)
    except (OSError, ValueError, NotImplementedError) as fault:
        raise MenagerieError("bad_request", f"The texture {name} cannot be decoded: {fault}.") from fault


def _reduce(picture: PillowImage.Image, longest: int) -> PillowImage.Image:
    picture.thumbnail((longest, longest), PillowImage.Resampling.BILINEAR)
    return picture


def draw_background(backgrounds: Backgrounds, side: int, rng: np.random.Generator) -> ByteArray:
    """-> (side, side, 3) uint8, a place or something plain, without an animal."""
    kind = KINDS[rng.choice(len(KINDS), p=KIND_SHARES)]
    if kind == "photograph":
        picture = crop_photograph(backgrounds, side, rng)
    elif kind == "landscape":
        picture = _draw_landscape(backgrounds, side, rng)
    elif kind == "ground":
        picture = _cut(_any(backgrounds.grounds, rng), side, rng.uniform(0.4, 1.0), rng)
    else:
        picture = _draw_plain(backgrounds, side, rng)
    if rng.random() < BLURRED:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, MOST_BLUR)))
    return np.asarray(picture)


def crop_photograph(backgrounds: Backgrounds, side: int, rng: np.random.Generator) -> PillowImage.Image:
    """Part of a photograph, or all of it, perhaps mirrored, squeezed into a square."""
    picture = _any(backgrounds.photographs, rng)
    return _cut(picture, side, float(np.exp(rng.uniform(np.log(CLOSEST), 0))), rng)


def _any(pictures: tuple[PillowImage.Image, ...], rng: np.random.Generator) -> PillowImage.Image:
    return pictures[rng.integers(len(pictures))]


def _cut(picture: PillowImage.Image, side: int, share: float, rng: np.random.Generator) -> PillowImage.Image:
    """A window that takes `share` of the shorter side, about square."""
    ratio = np.exp(rng.uniform(-SQUEEZE, SQUEEZE) / 2)
    length = share * min(picture.size)
    width, height = min(length * ratio, picture.width), min(length / ratio, picture.height)
    left, top = rng.uniform(0, picture.width - width), rng.uniform(0, picture.height - height)
    part = picture.resize((side, side), PillowImage.Resampling.BICUBIC, box=(left, top, left + width, top + height))
    return part.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part


def _draw_landscape(backgrounds: Backgrounds, side: int, rng: np.random.Generator) -> PillowImage.Image:
    """A ground that recedes to a horizon, and above it a sky or part of a photograph."""
    horizon = round(side * rng.uniform(*HORIZON))
    low = side - horizon
    ground = _any(backgrounds.grounds, rng)
    turns = int(rng.integers(2, 5))
    tiled = PillowImage.fromarray(np.tile(np.asarray(ground.resize((side, side))), (turns, turns, 1)))
    far, near = tiled.width / 2, rng.uniform(0.15, 0.6) * tiled.width / 2
    middle, end = tiled.width / 2, tiled.height - 1.0
    # Far corners of the ground's square, then near ones: x' = (a x + b y + c) / (g x + h y + 1).
    source = ((middle - far, 0.0), (middle + far, 0.0), (middle + near, end), (middle - near, end))
    target = ((0, 0), (side, 0), (side, low), (0, low))
    rows = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    coefficients = np.linalg.solve(np.array(rows, float), np.array(source).ravel())
    receding = tiled.transform((side, low), PillowImage.Transform.PERSPECTIVE, coefficients.tolist(), PillowImage.Resampling.BILINEAR)
    if rng.random() < 0.4:
        above = crop_photograph(backgrounds, side, rng)
    else:
        above = _cut(_any(backgrounds.skies, rng), side, rng.uniform(0.6, 1.0), rng)
    above.paste(receding, (0, horizon))
    if rng.random() < 0.6:  # no horizon is as sharp as a cut
        edge = slice(max(0, horizon - 4), horizon + 4)
        pixels = np.array(above)
        pixels[edge] = np.asarray(above.filter(ImageFilter.GaussianBlur(2)))[edge]
        above = PillowImage.fromarray(pixels)
    return above


def _draw_plain(backgrounds: Backgrounds, side: int, rng: np.random.Generator) -> PillowImage.Image:
    """One colour, a gradient, or a photograph out of all focus."""
    if rng.random() < 0.4:
        return crop_photograph(backgrounds, side, rng).filter(ImageFilter.GaussianBlur(side * rng.uniform(0.03, 0.12)))
    corners = rng.uniform(0, 255, (1, 1, 3)) + rng.normal(0, 25 * (rng.random() < 0.6), (2, 2, 3))
    return PillowImage.fromarray(np.clip(corners, 0, 255).astype(np.uint8)).resize((side, side), PillowImage.Resampling.BICUBIC)
