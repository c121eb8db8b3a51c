"""Masks on pictures as people take them: animals over photographs of places, found by `observe.mask` as a job without a mask finds them.

Enters the folder of photos with alpha, a folder of validation pictures (may be absent) and the scenes' file; every composite follows from
the seed and its number. One row a composite: IoU of the found mask with the pasted alpha, both cut at one half; 0 where the search ends in
an error, which is named.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.data.composites import SHARES, Composite, Cutout, compose
from backend.data.scenes import read_scenes
from backend.errors import MenagerieError
from backend.evaluate.creature_scores import Row, Sheet
from backend.evaluate.metrics import mask_iou
from backend.media.photo import read_photo
from backend.observe.mask import find_mask
from backend.service.overlay import outline
from backend.types import ByteArray, Image

HEADINGS = ("composite", "outline (true: cyan)", "mask")
COUNT = 60
FOUND, TRUE = (255, 220, 60), (60, 220, 255)
LINE = 2


def photo_cutouts(folder: Path) -> list[Cutout]:
    """The photos in a folder that carry alpha, by name."""
    pictures = [(path.name, read_photo(path)) for path in sorted(folder.glob("*.png"))]
    return [Cutout(name, image.rgb, image.alpha) for name, image in pictures if image.alpha is not None]


def render_cutouts(folder: Path) -> list[Cutout]:
    """The validation pictures that `data.prepare` made, all animals set aside; one of each animal, then the next of each."""
    truth, shapes = np.load(folder / "truth.npz"), np.load(folder / "shapes.npz")
    pictures, masks = np.load(folder / "images_rgb.npy", mmap_mode="r"), np.load(folder / "images_mask.npy", mmap_mode="r")
    index = np.flatnonzero(truth["split"] != "train")
    animals = truth["shape"][index]
    turn = np.array([(animals[:k] == animal).sum() for k, animal in enumerate(animals)])
    ordered = index[np.lexsort((animals, turn))]
    return [Cutout(f"{shapes['species'][truth['shape'][i]]} {i}", np.array(pictures[i]), np.array(masks[i])) for i in ordered]


def make_composite(number: int, seed: int, kinds: dict[str, list[Cutout]], scenes: dict[str, ByteArray]) -> tuple[Row, Composite]:
    """The composite of that number: kinds take turns, then sizes, animals and scenes -> what it is made of, and the picture."""
    kind = list(kinds)[number % len(kinds)]
    turn = number // len(kinds)
    cutout = kinds[kind][turn % len(kinds[kind])]
    scene = list(scenes)[(turn + number % len(kinds) * (len(scenes) // 2)) % len(scenes)]
    share = SHARES[number % len(SHARES)]
    row: Row = {"composite": number, "kind": kind, "animal": cutout.name, "scene": scene, "share": share}
    return row, compose(cutout, scenes[scene], share, np.random.default_rng([seed, number]))


def evaluate_masks(photos: Path, renders: Path | None, source: Path, seed: int, count: int = COUNT) -> tuple[list[Row], Sheet]:
    """-> one row of scores a composite, and the contact sheet's rows. source: see `data.scenes.read_scenes`; raises as that."""
    kinds = {"photo": photo_cutouts(photos)}
    if renders is not None:
        kinds["render"] = render_cutouts(renders)
    if not all(kinds.values()):
        raise MenagerieError("bad_request", f"There are no cut-outs in {photos if not kinds['photo'] else renders}.")
    scenes = read_scenes(source, "evaluation")
    rows: list[Row] = []
    sheet: Sheet = []
    for number in range(count):
        row, composite = make_composite(number, seed, kinds, scenes)
        started = time.perf_counter()
        found, refusal = find(composite.rgb)
        row |= {
            "iou": mask_iou(found, composite.mask > 0.5),
            "seconds": round(time.perf_counter() - started, 2),
            "refused": refusal or "no",
        }
        rows.append(row)
        caption = f"{number} {row['animal']} share {row['share']} iou {row['iou']:.2f} {refusal}"
        sheet.append((caption, [composite.rgb, draw_outlines(composite.rgb, found, composite.mask > 0.5), found.astype(np.uint8) * 255]))
    return rows, sheet


def find(rgb: ByteArray) -> tuple[NDArray[np.bool_], str]:
    """-> the mask that a job would go on with, and "" or the code of the error in which it would end (an empty mask then)."""
    try:
        return find_mask(Image(rgb)) > 0.5, ""
    except MenagerieError as refusal:
        if refusal.code not in ("no_animal", "several_animals"):
            raise
        return np.zeros(rgb.shape[:2], bool), refusal.code


def draw_outlines(rgb: ByteArray, found: NDArray[np.bool_], true: NDArray[np.bool_]) -> ByteArray:
    """The picture with the true outline and, over it, the found one."""
    picture = rgb.copy()
    picture[outline(true, LINE)] = TRUE
    picture[outline(found, LINE)] = FOUND
    return picture


def summarise_masks(rows: list[Row]) -> dict[str, float]:
    """iou: the mean; worst; refused: share that ended in an error; then the means by size and kind of cut-out."""
    values = np.array([float(row["iou"]) for row in rows])  # type: ignore[arg-type]
    summary = {"iou": float(values.mean()), "worst": float(values.min())}
    summary["refused"] = float(np.mean([row["refused"] != "no" for row in rows]))
    for column in ("share", "kind"):
        for value in sorted({str(row[column]) for row in rows}):
            inside = np.array([str(row[column]) == value for row in rows])
            summary[f"iou {column} {value}"] = float(values[inside].mean())
    summary["seconds"] = float(np.mean([float(row["seconds"]) for row in rows]))  # type: ignore[arg-type]
    summary["count"] = float(len(rows))
    return summary
