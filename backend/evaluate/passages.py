"""Tracking on passages (`data.passages`): animals set aside, moving over photographs of places, the camera still or turning.

Enters 0 A.D.'s archive, the scenes' file and a seed. One row a passage: IoU of the tracked masks with the true ones over the clip, the
worst frame, flicker (mean change of that IoU from frame to frame), the same of matting each frame alone (told by the truth which animal is
meant) where it is asked for, the largest error of the background's homographies at the frame's corners, and seconds a frame, by the clock
and of the processor. In passages with several animals the first frame's mask is given.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy import ndimage

from backend.data.passages import HEIGHT, SCRIPTS, WIDTH, Passage, make_passage
from backend.data.scenes import Part, read_scenes
from backend.errors import MenagerieError
from backend.evaluate.creature_scores import Row, Sheet
from backend.evaluate.masks import draw_outlines
from backend.evaluate.metrics import mask_iou
from backend.observe.mask import find_mask
from backend.observe.tracking import Track, track
from backend.types import FloatArray

HEADINGS = ("first", "a quarter", "half", "three quarters", "last", "worst (true: cyan)")


def evaluate_passages(
    source: Path, places: Path, seed: int, limit: int = 0, alone: bool = False, part: Part = "evaluation",
    told: Callable[[Row], None] = lambda row: None,
) -> tuple[list[Row], Sheet]:  # fmt: skip
    """-> one row a passage, and the contact sheet's rows. source: 0 A.D.'s public.zip; places: see `data.scenes.read_scenes`; limit: of
    passages, 0 for all; alone: matting of each frame alone too, which takes twice as long again; told: called with each row as it comes.
    Raises as what it reads."""
    scenes = list(read_scenes(places, part).values())
    rows: list[Row] = []
    sheet: Sheet = []
    for number, script in enumerate(SCRIPTS[: limit or None]):
        passage = make_passage(source, script, scenes[number % len(scenes)], seed)
        with tempfile.TemporaryDirectory() as folder:
            row, masks = score_passage(passage, Path(folder), bool(script.others))
        if alone:
            row |= score_alone(passage)
        rows.append(row)
        told(row)
        true = passage.masks > 127
        picked = [round(share * (len(true) - 1)) for share in (0, 0.25, 0.5, 0.75, 1)] + [int(row["worst frame"])]  # type: ignore[call-overload]
        caption = f"{passage.name}: iou {row['iou']:.3f} worst {row['worst']:.3f} flicker {row['flicker']:.4f}"
        sheet.append((caption, [draw_outlines(passage.clip.read(k).rgb, masks[k], true[k]) for k in picked]))
    return rows, sheet


def score_passage(passage: Passage, folder: Path, given: bool) -> tuple[Row, NDArray[np.bool_]]:
    """Track a passage -> its row, and the masks (t, h, w) found. given: whether the first frame's mask is."""
    masks = None
    if given:
        masks = folder / "given"
        masks.mkdir()
        PillowImage.fromarray(passage.masks[0]).save(masks / "first.png")
    started, spent = time.perf_counter(), time.process_time()
    found = track(passage.clip, folder / "track", mask_dir=masks)
    seconds, processor = time.perf_counter() - started, time.process_time() - spent
    inside = np.stack([found.read_mask(k) > 0.5 for k in range(len(passage.masks))])
    scores = np.array([mask_iou(inside[k], passage.masks[k] > 127) for k in range(len(inside))])
    row: Row = {"passage": passage.name, **summary_of(scores), "worst frame": int(scores.argmin())}
    row |= {"background": background_error(found, passage), "seconds": seconds / len(scores), "processor": processor / len(scores)}
    return row, inside


def summary_of(scores: NDArray[np.float64]) -> dict[str, float]:
    """scores: (t,) IoU of each frame."""
    return {"iou": float(scores.mean()), "worst": float(scores.min()), "flicker": float(np.abs(np.diff(scores)).mean())}


def background_error(found: Track, passage: Passage) -> float:
    """The largest distance, pixels, of a corner of the first frame from where it should be; infinite where nothing was found."""
    if found.background is None:
        return float("inf")
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [0, HEIGHT, 1], [WIDTH, HEIGHT, 1]], np.float64)
    return float(np.linalg.norm(_project(found.background, corners) - _project(passage.background, corners), axis=-1).max())


def _project(matrices: FloatArray | NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    moved = points @ np.asarray(matrices, np.float64).transpose(0, 2, 1)  # (t, n, 3)
    return np.asarray(moved[..., :2] / moved[..., 2:])


def score_alone(passage: Passage) -> Row:
    """Matting of each frame alone, the innermost point of the true mask clicked on; an error counts 0."""
    scores = []
    started = time.perf_counter()
    for k, true in enumerate(passage.masks > 127):
        row, column = np.unravel_index(int(ndimage.distance_transform_edt(true).argmax()), true.shape)
        try:
            mask = find_mask(passage.clip.read(k), at=((float(column) + 0.5) / WIDTH, (float(row) + 0.5) / HEIGHT))
        except MenagerieError as refusal:
            if refusal.code != "no_animal":
                raise
            mask = np.zeros(true.shape, np.float32)
        scores.append(mask_iou(mask > 0.5, true))
    seconds = (time.perf_counter() - started) / len(scores)
    return {**{f"alone {name}": value for name, value in summary_of(np.array(scores)).items()}, "alone seconds": seconds}
