"""The animal of a clip through time: frames in; a mask a frame, whether it is in sight, and how the background moves out.

A mask is the frame's alpha where the clip has it, else the picture that somebody gave for that frame, else found: in the first frame in
which an animal stands out, then from frame to frame (`following.py`). One animal is kept: that of the first mask. Out of sight, it is
looked for in each frame, until something of its colours and size comes.

Masks are written to the folder as they come, each whole (temporary name and rename), and read one by one: a long clip takes no more
memory than a short one. What stands in the folder after a job that was ended is not made again: `tracking.npz` holds what is known after
the last frame, and of which clip. Going on gives the same bits as going through.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from backend.errors import MenagerieError
from backend.observe.background import follow_background
from backend.observe.colours import Colours
from backend.observe.finding import find_again, find_first
from backend.observe.following import Size, State, follow, start
from backend.observe.given_masks import assign_masks, read_given_mask
from backend.observe.mask import LEVEL, OPAQUE_SHARE, keep_islands
from backend.types import ByteArray, Clip, FloatArray, Image, Mask, Progress, no_progress

STATE, BACKGROUND = "tracking.npz", "background.npz"
VERSION = 1
"""Of what the folder holds: another version's is not gone on from."""
MASKS_SHARE = 0.9
"""Of the work: the rest is the background."""
SMALLEST_SHARE = 0.0005
"""Of the frame: a mask of less shows nothing."""


@dataclass(frozen=True)
class Track:
    """visible: (t,) whether the animal is in sight; read_mask: k -> (h, w) float32 in [0, 1] of frame k, all 0 where it isn't;
    background: (t, 3, 3) homographies (see `background.py`), or None where nothing is known of it; warnings: sentences for the person."""

    visible: NDArray[np.bool_]
    read_mask: Callable[[int], Mask]
    background: FloatArray | None
    warnings: tuple[str, ...] = ()


@dataclass
class _Record:
    """What is known after the frames done. visible: of each of them; several: how many animals stood out where the first was found;
    alpha: whether masks came from alpha; strangers: frames in which another animal was seen in its place."""

    visible: list[bool] = field(default_factory=list)
    state: State | None = None
    several: int = 1
    alpha: bool = False
    strangers: list[int] = field(default_factory=list)


def track(clip: Clip, folder: Path, progress: Progress = no_progress, mask_dir: Path | None = None) -> Track:
    """Follow the animal of a clip. folder: made if absent; mask_dir: masks somebody made (see `given_masks.py`).

    Raises `no_animal` where there is none in the whole clip, `mask_unreadable`, `weights_missing`, `weights_damaged`, `Cancelled`, and
    `OSError` where the folder can't be written.
    """
    given = {} if mask_dir is None else assign_masks(mask_dir, clip)
    folder.mkdir(parents=True, exist_ok=True)
    count = len(clip.times)
    key = _key(clip, given)
    record = _read_record(folder, key, count)
    for k in range(len(record.visible), count):
        progress("mask", MASKS_SHARE * k / count)
        image = clip.read(k)
        mask = _next_mask(record, image, given.get(k))
        record.visible.append(bool((mask > LEVEL).mean() >= SMALLEST_SHARE))
        if record.state is not None and record.state.stranger:
            record.strangers.append(k)
        _write_mask(folder / _name(k), mask)
        _write_record(folder, key, record)
    visible = np.array(record.visible, bool)
    if not visible.any():
        remedy = "Choose a clip with one animal clearly in view, or give masks of its frames."
        raise MenagerieError("no_animal", "No animal stands out in any frame of the clip.", remedy)

    def read_mask(k: int) -> Mask:
        with PIL.Image.open(folder / _name(k)) as picture:
            return np.multiply(np.asarray(picture), np.float32(1 / 255), dtype=np.float32)

    def report(stage: str, fraction: float, preview: ByteArray | None = None) -> None:
        progress(stage, MASKS_SHARE + (1 - MASKS_SHARE) * fraction, preview)

    background = None if record.alpha else _background(clip, read_mask, folder, key, report)
    progress("mask", 1.0)
    return Track(visible, read_mask, background, _warnings(clip, visible, record, background))


def _next_mask(record: _Record, image: Image, given: Path | None) -> Mask:
    """The mask of the next frame; the record's state goes on."""
    rgb = image.rgb
    if given is not None:
        mask = read_given_mask(given, rgb.shape[1], rgb.shape[0])
    elif image.alpha is not None and (record.alpha or (image.alpha > 127).mean() < OPAQUE_SHARE):
        record.alpha = True
        cover = keep_islands(image.alpha) if (image.alpha > 127).any() else image.alpha
        return np.multiply(cover, np.float32(1 / 255), dtype=np.float32)
    elif record.state is None:
        return _find_first(record, rgb)
    else:
        go = follow if record.state.seen else find_again
        mask, record.state = go(record.state, rgb)
        return mask
    if record.state is not None or (mask > LEVEL).any():
        record.state = start(rgb, mask, True, record.state)
    return mask


def _find_first(record: _Record, rgb: ByteArray) -> Mask:
    try:
        mask, known, record.several = find_first(rgb)
    except MenagerieError as refusal:
        if refusal.code != "no_animal":
            raise
        return np.zeros(rgb.shape[:2], np.float32)
    record.state = start(rgb, mask, known)
    return mask


def _background(clip: Clip, read_mask: Callable[[int], Mask], folder: Path, key: str, progress: Progress) -> FloatArray | None:
    """The homographies, from the folder where they stand there."""
    stored = _load(folder / BACKGROUND, key)
    if stored is not None:
        found: FloatArray = stored["background"]
        return found if len(found) else None
    background = follow_background(clip, read_mask, progress)
    _save(folder / BACKGROUND, key, background=np.zeros((0, 3, 3), np.float32) if background is None else background)
    return background


def _key(clip: Clip, given: dict[int, Path]) -> str:
    """What the folder's files are of: the clip, its frames, and the masks that were given."""
    parts = [VERSION, clip.sha256, clip.width, clip.height, clip.numbers.tolist()]
    for k, path in given.items():
        status = path.stat()
        parts.append((k, path.name, status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _name(k: int) -> str:
    return f"mask_{k:06d}.png"


def _put(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """A file written whole or not at all."""
    partial = path.with_name(f".{path.name}")
    with partial.open("wb") as stream:
        write(stream)
    os.replace(partial, path)


def _write_mask(path: Path, mask: Mask) -> None:
    picture = PIL.Image.fromarray(np.rint(mask * 255).astype(np.uint8))
    _put(path, lambda stream: picture.save(stream, "PNG", compress_level=1))


def _save(path: Path, key: str, **arrays: NDArray[np.generic]) -> None:
    _put(path, lambda stream: np.savez(stream, key=np.array(key), **arrays))


def _load(path: Path, key: str) -> dict[str, NDArray[np.generic]] | None:
    """The arrays of a file that `_save` wrote, None where it isn't there, isn't whole or is of something else."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    return arrays if str(arrays.get("key")) == key else None


def _write_record(folder: Path, key: str, record: _Record) -> None:
    arrays: dict[str, NDArray[np.generic]] = {
        "visible": np.array(record.visible, bool),
        "several": np.array(record.several),
        "alpha": np.array(record.alpha),
        "strangers": np.array(record.strangers),
    }
    state = record.state
    if state is not None:
        size = state.size
        numbers = np.array([size.area, size.width, size.height, state.known, state.seen, state.stranger], np.float64)
        arrays |= {"grey": state.grey, "mask": state.mask, "others": state.others, "numbers": numbers}
        colours = state.colours
        arrays["colours"] = np.stack([colours.animal, colours.around, colours.others, colours.own])
    _save(folder / STATE, key, **arrays)


def _read_record(folder: Path, key: str, count: int) -> _Record:
    """Where an earlier job stopped, or the beginning."""
    stored = _load(folder / STATE, key)
    if stored is None:
        return _Record()
    visible = [bool(seen) for seen in stored["visible"]]
    if len(visible) > count or not all((folder / _name(k)).is_file() for k in range(len(visible))):
        return _Record()
    state = None
    if "grey" in stored:
        area, width, height, known, seen, stranger = (float(value) for value in stored["numbers"])  # type: ignore[arg-type]
        colours = Colours(*(np.ascontiguousarray(row) for row in stored["colours"]))
        size = Size(area, width, height)
        state = State(stored["grey"], stored["mask"], stored["others"], size, bool(known), bool(seen), bool(stranger), colours)
    return _Record(visible, state, int(stored["several"]), bool(stored["alpha"]), [int(k) for k in stored["strangers"]])


def _warnings(clip: Clip, visible: NDArray[np.bool_], record: _Record, background: FloatArray | None) -> tuple[str, ...]:
    seen = np.flatnonzero(visible)
    warnings = []
    if record.several > 1:
        warnings.append(f"{record.several} animals stand out at first; the largest is followed. Give the first frame's mask for another.")
    if seen[0] > 0:
        warnings.append(f"The animal comes into sight at second {clip.times[seen[0]]:.1f}: the clip begins there.")
    for before, after in zip(seen[:-1], seen[1:], strict=True):
        if after - before > 1:
            warnings.append(f"The animal is out of sight from second {clip.times[before + 1]:.1f} to {clip.times[after]:.1f}.")
    if seen[-1] < len(visible) - 1:
        other = any(k > seen[-1] for k in record.strangers)
        why = "what is seen after it is another animal" if other else "it isn't seen again"
        warnings.append(f"The animal goes out of sight at second {clip.times[seen[-1] + 1]:.1f} and {why}: the clip ends there.")
    if background is None and not record.alpha:
        warnings.append("Too little of the background can be followed to tell how the camera moved.")
    return tuple(warnings)
