"""Where the animal is: a photo in, the share of each pixel that it covers out.

A photo with alpha says so itself, but for stray specks (`keep_islands`). Otherwise two bundled networks look at the whole photo,
then at the part in which they found something, so that a small animal gets as many pixels as a large one: the animal decoder knows
better what is an animal, the salient-object network where it ends. The second answer is fitted to the photo's own edges
(`refine.py`). Where the decoder finds no animal (a toy, a drawing), the salient-object network looks twice alone. What is found must be
one thing: nothing, or two things of like size, are errors that a person can act on, unless a point says which one is meant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, logit

from backend.errors import MenagerieError
from backend.observe.animal.look import look_for_animal
from backend.observe.refine import apply, shrink, solve
from backend.observe.u2net import SIZE, U2Netp, load_u2netp
from backend.types import ByteArray, Image, Mask, Progress, no_progress

LEVEL = 0.5
WORKING_SIDE = 1024
"""Longer side of the picture on which components and edges are found."""
OPAQUE_SHARE = 0.97
"""A photo whose alpha covers more than this has rounded corners or a frame, not a cut-out."""
SMALLEST_SHARE = 0.003
"""Of the picture: what is smaller is not worth reconstructing."""
LARGEST_SHARE = 0.93
"""Of the picture: where nearly everything stands out, nothing does."""
RIVAL_SHARE = 0.4
"""Of the largest component: a second one of this size is a second animal."""
ISLAND_SHARE = 0.02
"""Of the largest island of a mask that somebody made: a smaller one is a speck."""
NEAR_SHARE = 0.02
"""Of the animal's box: a smaller component this near belongs to it (a foot behind a blade of grass)."""
REACH_SHARE = 0.03
"""Of the picture's diagonal: a point this far beside a component still means it."""
MARGIN = 0.18
"""Room around the first find for the second look, as a share of its longer side."""
AGREEMENT = 0.4
"""IoU of two answers below which they mean different things: then the first look is trusted, and of two networks the decoder."""
SURE = 0.99
"""The most that either network is believed where both count."""
CLOSE, HALF_SURE = 0.7, 0.7
"""IoU of the two from which only the outline is in question, and the most that the decoder, less sharp there, then is believed."""
RADIUS_SHARE = 0.012
"""Radius of the guided filter's windows, as a share of the animal's longer side."""
CONTRAST = 2.0

Boxed = tuple[int, int, int, int]
Point = tuple[float, float]
"""x and y as shares of the photo's width and height."""
Look = Callable[[ByteArray], Mask]
"""A picture (h, w, 3) in, a square of what is looked for out, however large, that covers the whole of it."""


@functools.lru_cache(maxsize=1)
def _network() -> U2Netp:
    return load_u2netp()


def look_for_subject(rgb: ByteArray) -> Mask:
    """What stands out in a picture of any size, squeezed to the salient-object network's square: (320, 320)."""
    square = torch.from_numpy(np.array(shrink(rgb, SIZE, SIZE))).permute(2, 0, 1)[None].float() / 255  # (1, 3, 320, 320)
    with torch.inference_mode():
        answer: Mask = _network()(square)[0].numpy()
    return answer


def _agree(one: NDArray[np.bool_], other: NDArray[np.bool_], share: float = AGREEMENT) -> bool:
    return bool((one & other).sum() >= share * (one | other).sum())


def look_closely(rgb: ByteArray) -> Mask:
    """Both networks' answer about a part of a photo, joined."""
    return join_looks(look_for_animal(rgb), look_for_subject(rgb))


def join_looks(animal: Mask, subject: Mask) -> Mask:
    """The answers of the decoder (h, w) and of the other network (s, s) about one picture -> (s, s): their odds multiplied, or the
    decoder's alone where the other means something else."""
    animal = np.asarray(shrink(animal, *subject.shape[::-1]), np.float32)
    if not _agree(animal > LEVEL, subject > LEVEL):
        return animal
    most = HALF_SURE if _agree(animal > LEVEL, subject > LEVEL, CLOSE) else SURE
    odds = logit(np.clip(animal, 1 - most, most)) + logit(np.clip(subject, 1 - SURE, SURE))
    return np.asarray(expit(odds), np.float32)


def working_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the picture on which components and edges are found."""
    scale = min(1.0, WORKING_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _box(inside: NDArray[np.bool_]) -> Boxed:
    """left, top, right, bottom of what is true."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def select_animal(mask: Mask, at: Point | None = None) -> NDArray[np.bool_]:
    """The one component that is the animal, with the small parts that lie next to it. mask: (h, w) -> (h, w).

    Components are ranked by area times the square of their mean: a wall that is taken for an animal with doubts is no rival of one.

    at: a point on the animal that is meant, where a person has said so; else it is the largest. Raises `no_animal` where nothing is
    large enough or near the point, `several_animals` where two components are of like size and no point chooses.
    """
    labels, count = ndimage.label(mask > LEVEL, structure=np.ones((3, 3), int))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    if count == 0 or sizes.max() < SMALLEST_SHARE * mask.size:
        raise MenagerieError("no_animal", "No animal stands out in the photo.")
    weights = ndimage.sum_labels(mask, labels, np.arange(1, count + 1)) ** 2 / sizes
    order = np.argsort(weights)[::-1]
    main = order[0] + 1 if at is None else _component_at(labels, sizes, at)
    largest = labels == main
    if count == 1:
        return largest
    left, top, right, bottom = _box(largest)
    near = NEAR_SHARE * max(right - left, bottom - top)
    distance = ndimage.distance_transform_edt(~largest)
    touching = np.unique(labels[(distance <= near) & (labels > 0)])
    if at is not None:
        # A second animal may stand as near as a foot behind a blade of grass: what is of like size is no part.
        touching = touching[(touching == main) | (sizes[touching - 1] < RIVAL_SHARE * sizes[main - 1])]
        parts: NDArray[np.bool_] = np.isin(labels, touching)
        return parts
    rivals = [index for index in order[1:] if weights[index] >= RIVAL_SHARE * weights[order[0]] and index + 1 not in touching]
    if rivals:
        raise MenagerieError("several_animals", f"{len(rivals) + 1} things of like size stand out in the photo.")
    result: NDArray[np.bool_] = np.isin(labels, touching)
    return result


def _component_at(labels: NDArray[np.int32], sizes: NDArray[np.int64], at: Point) -> int:
    """The label of the component, large enough to be an animal, that lies at the point or nearest to it."""
    height, width = labels.shape
    candidates = np.isin(labels, 1 + np.flatnonzero(sizes >= SMALLEST_SHARE * labels.size))
    distance, (rows, columns) = ndimage.distance_transform_edt(~candidates, return_indices=True)
    row, column = min(height - 1, int(at[1] * height)), min(width - 1, int(at[0] * width))
    if distance[row, column] > REACH_SHARE * np.hypot(height, width):
        raise MenagerieError("no_animal", "Nothing stands out from the photo where you clicked.")
    return int(labels[rows[row, column], columns[row, column]])


def keep_islands(cover: ByteArray) -> ByteArray:
    """A mask that somebody made (a photo's alpha, painted, loaded) without its stray specks: (h, w) uint8 -> the same.

    Every island stays, however far off, whose area is at least `ISLAND_SHARE` of the largest one's: a tail's tip behind a branch is
    the animal's, a dab that hand erasing has left would widen the crop. What is half covered or less (soft edges) goes with the
    island nearest to it. Islands are found on blocks of pixels, `WORKING_SIDE` of them at most a side, none of which overlooks a
    pixel: what is less than a block apart counts as one. Where nothing goes, the mask itself is returned.
    """
    block = -(-max(cover.shape) // WORKING_SIDE)
    pixels = _count_covered(cover, block)
    labels, count = ndimage.label(pixels > 0, structure=np.ones((3, 3), int))
    areas = np.bincount(labels.ravel(), weights=pixels.ravel(), minlength=count + 1)
    kept = areas >= ISLAND_SHARE * areas.max()
    if kept[1:].all():
        return cover
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    stays = kept[labels[tuple(nearest)]]
    result = np.empty_like(cover)
    for row, line in enumerate(stays):
        strip = slice(row * block, (row + 1) * block)
        result[strip] = cover[strip] * np.repeat(line, block)[: cover.shape[1]]
    return result


def _count_covered(cover: ByteArray, block: int) -> NDArray[np.int64]:
    """How many pixels of each block x block are more than half covered, by strips: (h, w) -> (h / block, w / block), rounded up."""
    starts = np.arange(0, cover.shape[1], block)
    strips = [cover[top : top + block] > LEVEL * 255 for top in range(0, cover.shape[0], block)]
    return np.stack([np.add.reduceat(strip.sum(0), starts) for strip in strips])


def _from_alpha(alpha: NDArray[np.uint8], at: Point | None) -> Mask:
    height, width = alpha.shape
    small = shrink(alpha, *working_size(width, height)).astype(np.float32)
    chosen = select_animal(small * np.float32(1 / 255), at)
    mask = np.divide(keep_islands(alpha), np.float32(255), dtype=np.float32)
    if at is None:  # what somebody cut out far from the rest is meant so
        return mask
    _, nearest = ndimage.distance_transform_edt(small <= LEVEL * 255, return_indices=True)
    kept = chosen[tuple(nearest)].astype(np.float32)  # soft edges go with the island that they belong to
    return mask * (shrink(kept, width, height).astype(np.float32) > LEVEL)


def _paste(answer: Mask, box: Boxed, size: tuple[int, int]) -> Mask:
    """A square answer about `box` of the working picture -> the working picture (h, w), 0 elsewhere."""
    left, top, right, bottom = box
    whole = np.zeros((size[1], size[0]), np.float32)
    whole[top:bottom, left:right] = shrink(answer, right - left, bottom - top)
    return whole


def _second_box(first: NDArray[np.bool_]) -> Boxed:
    left, top, right, bottom = _box(first)
    room = int(MARGIN * max(right - left, bottom - top)) + 1
    return max(0, left - room), max(0, top - room), min(first.shape[1], right + room), min(first.shape[0], bottom + room)


def fit_edges(coarse: Mask, animal: NDArray[np.bool_], small: ByteArray, rgb: ByteArray) -> Mask:
    """A coarse mask fitted to the photo's own edges.

    coarse: (h, w) of the working picture; animal: (h, w), the components of it that stay; small: (h, w, 3), the working picture;
    rgb: (H, W, 3), the photo, or the working picture itself -> (H, W) float32 in [0, 1].
    """
    left, top, right, bottom = _box(animal)
    radius = max(2, round(RADIUS_SHARE * max(right - left, bottom - top)))
    # Room for soft edges beyond the component, and none for the components that were left out.
    keep = (ndimage.distance_transform_edt(~animal) <= 2 * radius) & ((coarse <= LEVEL) | animal)
    # The filter looks two radii far: what lies further from what is kept need not be solved for.
    near = tuple(slice(max(0, first - 4 * radius), last + 4 * radius) for first, last in ((top, bottom), (left, right)))
    guide = small[near].astype(np.float32) * np.float32(1 / 255)
    model = np.zeros((*coarse.shape, 4), np.float32)
    model[near] = solve(guide, coarse[near], radius)
    return apply(model, rgb, keep.astype(np.float32), CONTRAST)


def find_mask(image: Image, progress: Progress = no_progress, at: Point | None = None) -> Mask:
    """-> (h, w) float32 in [0, 1] at the photo's full resolution. at: a point on the animal that is meant, None for the only one.

    Raises `no_animal`, `several_animals`, `weights_missing`, `weights_damaged`, `Cancelled`.
    """
    height, width = image.rgb.shape[:2]
    progress("mask", 0.0)
    if image.alpha is not None and (image.alpha > 127).mean() < OPAQUE_SHARE:
        return _from_alpha(image.alpha, at)
    size = working_size(width, height)
    small = np.asarray(shrink(image.rgb, *size), np.uint8)
    try:
        coarse = look_twice(image.rgb, size, look_closely, look_closely, progress, at)
    except MenagerieError as error:
        if error.code != "no_animal":
            raise
        coarse = look_twice(image.rgb, size, look_for_subject, look_for_subject, progress, at)
    progress("mask", 0.7)
    result = fit_edges(coarse, select_animal(coarse, at), small, image.rgb)
    progress("mask", 1.0)
    return result


def look_twice(
    rgb: ByteArray, size: tuple[int, int], look: Look, again: Look, progress: Progress = no_progress, at: Point | None = None
) -> Mask:
    """The whole photo first, then, with `again`, the part in which something was found.

    rgb: (H, W, 3), the photo; size: (w, h) of the working picture; at: a point on the animal that is meant -> (h, w).
    Raises `no_animal`, `several_animals`.
    """
    first = _paste(look(rgb), (0, 0, *size), size)
    if (first > LEVEL).mean() > LARGEST_SHARE:
        raise MenagerieError("no_animal", "Nothing stands out from the rest of the photo.")
    chosen = select_animal(first, at)
    progress("mask", 0.4)
    box = _second_box(chosen)
    scale = np.array([rgb.shape[1] / size[0], rgb.shape[0] / size[1]])
    (left, top), (right, bottom) = (np.array(box[:2]) * scale).astype(int), np.ceil(np.array(box[2:]) * scale).astype(int)
    second = _paste(again(np.ascontiguousarray(rgb[top:bottom, left:right])), box, size)
    return second if _agree(second > LEVEL, chosen) else first * chosen
