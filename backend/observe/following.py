"""One animal followed from frame to frame: what was known of the last frame and the next frame in, its mask out.

The last mask is carried along by optical flow; both networks of `mask.py` look once at the part of the frame in which the animal should
be; and the colours that it and what is around it had so far vote with them. All three are odds that add up, so that no single one loses a
leg or wins an island in one frame. What is an animal but not this one is carried along too, and never becomes this one where they cross:
`others`. (With the salient-object network on every third frame only, the rest carried by flow, masks shimmer five times as much.)

Work goes on a copy of at most `SIDE` pixels; the edges are fitted to the frame's own pixels (`mask.fit_edges`). Masks of the state are
uint8, as they are stored: a job that goes on later goes on from the same bits.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, logit

from backend.errors import MenagerieError
from backend.observe import flow
from backend.observe.animal.look import look_for_animal
from backend.observe.colours import Colours
from backend.observe.mask import (
    LARGEST_SHARE,
    LEVEL,
    RIVAL_SHARE,
    SMALLEST_SHARE,
    Boxed,
    fit_edges,
    join_looks,
    look_closely,
    look_for_subject,
    look_twice,
)  # fmt: skip
from backend.observe.refine import shrink
from backend.observe.u2net import SIZE, U2Netp, load_u2netp
from backend.types import ByteArray, FloatArray, Mask

SIDE = 640
"""Longer side of the copy."""
MARGIN = 0.25
"""Room around the place where the animal should be, as a share of its longer side."""
HIDDEN = 0.9
"""Of the animal's usual length: where less is seen, something may hide the rest."""
LOOK_SURE, SURE = 0.97, 0.9
"""The most that a look and the last mask are believed."""
CARRIED, DOUBTED, COLOURED = 0.7, 0.15, 0.35
"""Weight of the last mask's odds where the flow can be trusted, and where not; and of the colours'."""
VETO, AGAINST, REACH = 6.0, (0.8, 2.0), 41
"""Odds against what was another animal; weight of the colours that tell the two apart, for what was this one's and for what is new, and
pixels about the other in which they count."""
GROWTH = 0.08
"""Of the animal's length: how far from where the flow carries it a part of it may come up in one frame."""
GONE = 0.06
"""Of the animal's usual area: what is less of it counts as out of sight."""
FADE = 0.98
"""By which the usual area goes down a frame at most, while less of the animal is seen."""
PART = 0.3
"""Share of an island that was the animal's, from which it is."""
PART_SHARE, OTHER_SHARE = 0.015, 0.08
"""Of the animal's area: a new thing of less is no part that comes out from behind something, and no other animal."""
OWN_COLOURS = 0.3
"""Mean odds of its colours from which what comes into sight near the animal is a part of it."""
RIM = 3
"""Pixels about the animal that belong to no other."""
CUT_OFF = 0.6
"""What the area of an animal counts that the first frame doesn't show whole."""
ALIKE = 0.72
"""Likeness of colours from which an animal that comes into sight may be the one that went."""
SIZES = 0.35, 2.8
"""Areas over its usual area that it may have then."""

Bools = NDArray[np.bool_]


@dataclass
class State:
    """What is known after a frame. grey: (h, w) of the copy; mask, others: (h, w) uint8; area, length: its usual area and
    longer side, in the copy's pixels;
    known: whether the decoder knows this kind of animal; seen: whether it is in sight;
    stranger: whether another animal was found where it was looked for."""

    grey: ByteArray
    mask: ByteArray
    others: ByteArray
    area: float
    length: float
    known: bool
    seen: bool
    stranger: bool = False
    colours: Colours = field(default_factory=Colours)


def copy_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the copy."""
    scale = min(1.0, SIDE / max(width, height))
    return max(flow.SMALLEST_SIDE, round(width * scale)), max(flow.SMALLEST_SIDE, round(height * scale))


def _copy(rgb: ByteArray) -> tuple[ByteArray, ByteArray]:
    small = np.asarray(shrink(rgb, *copy_size(rgb.shape[1], rgb.shape[0])), np.uint8)
    return small, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def start(rgb: ByteArray, mask: Mask, known: bool, before: State | None = None) -> State:
    """The state after a frame whose mask is given or was found. rgb: (H, W, 3); mask: (H, W); before: an earlier state of the animal."""
    small, grey = _copy(rgb)
    inside = _small_mask(mask, grey.shape)
    area = float((inside > 127).sum())
    colours = Colours() if before is None else before.colours
    if area:
        colours.learn(small, inside > 127, _around(inside > 127, MARGIN), np.zeros_like(inside, bool))
    others = np.zeros_like(grey)
    usual = area if before is None else max(area, before.area * FADE)
    length = max(_longest(inside > 127) if area else 0, 0 if before is None else FADE * before.length)
    return State(grey, inside, others, usual, length, known, area > 0, colours=colours)


def _small_mask(mask: Mask, shape: tuple[int, ...]) -> ByteArray:
    return np.rint(np.asarray(shrink(mask, shape[1], shape[0]), np.float32) * 255).astype(np.uint8)


def _longest(inside: Bools) -> int:
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return int(max(rows[-1] - rows[0], columns[-1] - columns[0]))


def _box(inside: Bools, margin: float, length: float = 0.0) -> Boxed:
    """left, top, right, bottom of what is true, with room around it. length: of the whole animal: where less of it is seen, the rest
    may be on any side."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    longest = _longest(inside)
    room = int(margin * longest + max(0.0, HIDDEN * length - longest)) + 8
    height, width = inside.shape
    return max(0, columns[0] - room), max(0, rows[0] - room), min(width, columns[-1] + 1 + room), min(height, rows[-1] + 1 + room)


def _around(inside: Bools, margin: float) -> Bools:
    """The box of what is true, less what is true."""
    left, top, right, bottom = _box(inside, margin)
    result = np.zeros_like(inside)
    result[top:bottom, left:right] = True
    return result & ~inside


def _cut(rgb: ByteArray, box: Boxed, shape: tuple[int, ...]) -> ByteArray:
    """The part of the frame that a box of the copy stands for."""
    scale = np.array([rgb.shape[1] / shape[1], rgb.shape[0] / shape[0]])
    (left, top), (right, bottom) = (np.array(box[:2]) * scale).astype(int), np.ceil(np.array(box[2:]) * scale).astype(int)
    return np.ascontiguousarray(rgb[top:bottom, left:right])


def _paste(answer: Mask, box: Boxed) -> Mask:
    return np.asarray(shrink(np.ascontiguousarray(answer), box[2] - box[0], box[3] - box[1]), np.float32)


def _odds(share: FloatArray, most: float = SURE) -> FloatArray:
    return np.asarray(logit(np.clip(share, 1 - most, most)), np.float32)


def follow(state: State, rgb: ByteArray) -> tuple[Mask, State]:
    """The next frame -> the animal's mask (H, W), all 0 where it is out of sight, and the state after it. rgb: (H, W, 3)."""
    small, grey = _copy(rgb)
    back, there = flow.optical_flow(grey, state.grey), flow.optical_flow(state.grey, grey)
    trusted = flow.trust(back, there)
    carried = np.asarray(flow.pull(state.mask, back), np.float32) / 255
    others = np.asarray(flow.pull(state.others, back), np.float32) / 255
    if (carried > LEVEL).sum() < GONE * state.area:
        return _lose(state, rgb, grey, others)
    box = _box(carried > LEVEL, MARGIN, state.length)
    part = slice(box[1], box[3]), slice(box[0], box[2])
    evidence = _weigh_memory(state, small, carried, others, trusted, part)
    joined, animal = _look(rgb, box, grey.shape, state.known)
    looked = _odds(joined, LOOK_SURE)
    odds = looked + evidence
    odds[~_reachable(carried[part] > LEVEL, state.length)] -= np.float32(VETO)
    chosen = _choose(odds, carried[part])
    other = others[part] > LEVEL
    colours = state.colours.odds_against_others(small[part]) if other.any() else state.colours.odds(small[part])
    regained, rivals = _sort_rest(joined > LEVEL, animal > LEVEL, chosen, other, colours, state.area)
    odds, chosen = np.where(regained, np.maximum(odds, looked), odds), chosen | regained
    if chosen.sum() < GONE * state.area:
        return _lose(state, rgb, grey, others)
    coarse, kept = np.zeros(grey.shape, np.float32), np.zeros(grey.shape, bool)
    coarse[part], kept[part] = expit(odds), chosen
    mask = fit_edges(coarse, kept, small, rgb)
    return mask, _remember(state, small, grey, mask, _other_animals(others, rivals, animal, kept, part))


def _reachable(carried: Bools, length: float) -> Bools:
    """Where the animal can have got to within a frame, beside where the flow says that it went."""
    reach = 2 * int(GROWTH * length) + 5
    return np.asarray(cv2.dilate(carried.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 0)


def _weigh_memory(state: State, small: ByteArray, carried: Mask, others: Mask, trusted: Bools, part: tuple[slice, slice]) -> FloatArray:
    """Odds of the last mask, the colours and the other animals, in the box."""
    weight = np.where(trusted[part], np.float32(CARRIED), np.float32(DOUBTED))
    odds = weight * _odds(carried[part]) + np.float32(COLOURED) * state.colours.odds(small[part])
    other = others[part] > LEVEL
    if other.any():
        near = cv2.dilate(other.astype(np.uint8), np.ones((REACH, REACH), np.uint8)) > 0
        new = np.where(carried[part] > LEVEL, np.float32(AGAINST[0]), np.float32(AGAINST[1]))
        odds += new * near * state.colours.odds_against_others(small[part])
    return odds - np.float32(VETO) * other * (others[part] > carried[part])


@functools.lru_cache(maxsize=1)
def _network() -> U2Netp:
    return load_u2netp().to(memory_format=torch.channels_last)


def glance(rgb: ByteArray) -> Mask:
    """`mask.look_for_subject` in three quarters of the time: channels last in memory, as the picture is. Its bits differ."""
    square = torch.from_numpy(np.array(shrink(rgb, SIZE, SIZE)))[None].float() / 255  # (1, 320, 320, 3)
    with torch.inference_mode():
        answer: Mask = _network()(square.permute(0, 3, 1, 2))[0].numpy()
    return answer


def _look(rgb: ByteArray, box: Boxed, shape: tuple[int, ...], known: bool) -> tuple[Mask, Mask]:
    """What both networks see in a box of the copy, and what the decoder sees (or the other, where it doesn't know the animal)."""
    crop = _cut(rgb, box, shape)
    subject = glance(crop)
    if not known:
        return _paste(subject, box), _paste(subject, box)
    animal = look_for_animal(crop)
    return _paste(join_looks(animal, subject), box), _paste(animal, box)


def _choose(odds: FloatArray, carried: Mask) -> Bools:
    """Of islands of what is likely those that are this animal. odds, carried: the box's."""
    labels, count = ndimage.label(odds > 0, structure=np.ones((3, 3), int))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    known = np.bincount(labels.ravel(), weights=(carried > LEVEL).ravel(), minlength=count + 1)
    sizes[0], known[0] = 1, 0
    mine = (known >= PART * sizes) & (known > 0)
    mine[int(known.argmax())] |= known.max() > 0
    mine[0] = False
    return np.asarray(mine[labels])


def _sort_rest(joined: Bools, animal: Bools, chosen: Bools, others: Bools, colours: FloatArray, usual: float) -> tuple[Bools, Bools]:
    """What else is an animal in the box -> what comes out from behind something and is this one's, and what is another animal's.

    Another one comes from beyond the box; where it was first seen elsewhere, its colours tell.
    """
    regained, rivals = np.zeros_like(chosen), np.zeros_like(chosen)
    rest = animal & ~ndimage.binary_dilation(chosen, iterations=RIM)
    labels, _ = ndimage.label(rest, structure=np.ones((3, 3), int))
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        island = labels[place] == number
        size = island.sum()
        if (others[place] & island).sum() >= PART * size:
            rivals[place] |= island
            continue
        rows, columns = place
        enters = rows.start == 0 or columns.start == 0 or rows.stop == rest.shape[0] or columns.stop == rest.shape[1]
        sure = (joined[place] & island).sum() >= LEVEL * size
        if sure and (not enters or not others.any()) and size >= PART_SHARE * usual and colours[place][island].mean() >= OWN_COLOURS:
            regained[place] |= island
        elif size >= OTHER_SHARE * usual:
            rivals[place] |= island
    return regained, rivals


def _other_animals(others: Mask, rivals: Bools, animal: Mask, kept: Bools, part: tuple[slice, slice]) -> ByteArray:
    """Where other animals are now: what was one and still is an animal, and new ones."""
    result = others > LEVEL
    result[part] = (result[part] & (animal > LEVEL / 2)) | rivals
    return np.where(result & ~kept, np.uint8(255), np.uint8(0))


def _remember(state: State, small: ByteArray, grey: ByteArray, mask: Mask, others: ByteArray) -> State:
    inside = _small_mask(mask, grey.shape)
    area = float((inside > 127).sum())
    if area:
        state.colours.learn(small, inside > 127, _around(inside > 127, MARGIN), others > 0)
    usual = max(area, FADE * state.area)
    length = max(_longest(inside > 127) if area else 0, FADE * state.length)
    return State(grey, inside, others, usual, length, state.known, True, colours=state.colours)


def _lose(state: State, rgb: ByteArray, grey: ByteArray, others: Mask) -> tuple[Mask, State]:
    """Out of sight from here on."""
    away = np.where(others > LEVEL, np.uint8(255), np.uint8(0))
    gone = State(grey, np.zeros_like(grey), away, state.area, state.length, state.known, False, colours=state.colours)
    return np.zeros(rgb.shape[:2], np.float32), gone


def find_first(rgb: ByteArray) -> tuple[Mask, bool, int]:
    """The animal of a frame in which nothing is known yet -> its mask (H, W), whether the decoder knows it, and how many stand out.

    Of several it is the largest. Raises `no_animal`.
    """
    size = copy_size(rgb.shape[1], rgb.shape[0])
    small = np.asarray(shrink(rgb, *size), np.uint8)
    for known, look in ((True, look_closely), (False, look_for_subject)):
        first = np.asarray(shrink(look(rgb), *size), np.float32)
        places = _candidates(first)
        if not places:
            continue
        largest = places[0]
        others = sum(len(other) >= RIVAL_SHARE * len(largest) for other in places if other is not largest)
        at = _inner_point(largest, size)
        try:
            coarse = look_twice(rgb, size, look, look, at=at)
        except MenagerieError:
            continue
        kept = _island_at(coarse, at)
        if kept.any():
            return fit_edges(coarse, kept, small, rgb), known, 1 + others
    raise MenagerieError("no_animal", "No animal stands out in the frame.")


def _candidates(found: Mask) -> list[NDArray[np.int64]]:
    """Pixels (n, 2) as (row, column) of each island that is large enough for an animal, the largest first."""
    if (found > LEVEL).mean() > LARGEST_SHARE:
        return []
    labels, count = ndimage.label(found > LEVEL, structure=np.ones((3, 3), int))
    islands = [np.argwhere(labels == number) for number in range(1, count + 1)]
    large = [island for island in islands if len(island) >= SMALLEST_SHARE * found.size]
    return sorted(large, key=lambda island: len(island) * (CUT_OFF if _is_cut_off(island, found.shape) else 1.0), reverse=True)


def _is_cut_off(island: NDArray[np.int64], shape: tuple[int, ...]) -> bool:
    """Whether it goes on beyond the frame's sides or top."""
    rows, columns = island[:, 0], island[:, 1]
    return bool(rows.min() == 0 or columns.min() == 0 or columns.max() == shape[1] - 1)


def _inner_point(island: NDArray[np.int64], size: tuple[int, int]) -> tuple[float, float]:
    """The pixel of an island deepest inside it, as shares of the picture."""
    inside = np.zeros((size[1] + 2, size[0] + 2), bool)
    inside[island[:, 0] + 1, island[:, 1] + 1] = True
    row, column = np.unravel_index(int(ndimage.distance_transform_edt(inside).argmax()), inside.shape)
    return (float(column) - 0.5) / size[0], (float(row) - 0.5) / size[1]


def _island_at(coarse: Mask, at: tuple[float, float]) -> Bools:
    """The island nearest to a point, of those of some size."""
    labels, _ = ndimage.label(coarse > LEVEL, structure=np.ones((3, 3), int))
    if not labels.any():
        return np.zeros(coarse.shape, bool)
    _, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    row, column = int(at[1] * coarse.shape[0]), int(at[0] * coarse.shape[1])
    return np.asarray(labels == labels[nearest[0][row, column], nearest[1][row, column]])


def find_again(state: State, rgb: ByteArray) -> tuple[Mask, State]:
    """Look for the animal in a frame after it went out of sight -> as `follow`: a thing of its colours and about its size is it."""
    small, grey = _copy(rgb)
    look = look_for_animal if state.known else look_for_subject
    found = np.asarray(shrink(np.ascontiguousarray(look(rgb)), grey.shape[1], grey.shape[0]), np.float32)
    stranger = False
    for island in _candidates(found):
        inside = np.zeros(grey.shape, bool)
        inside[island[:, 0], island[:, 1]] = True
        if not SIZES[0] <= len(island) / state.area <= SIZES[1] or state.colours.likeness(small, inside) < ALIKE:
            stranger |= not _is_cut_off(island, grey.shape)  # of an animal that comes in, there isn't enough to tell
            continue
        mask = _find_within(state, rgb, small, inside)
        if mask is not None:
            return mask, start(rgb, mask, state.known, state)
    nothing = np.zeros_like(grey)
    away = State(grey, nothing, nothing, state.area, state.length, state.known, False, stranger, state.colours)
    return np.zeros(rgb.shape[:2], np.float32), away


def _find_within(state: State, rgb: ByteArray, small: ByteArray, inside: Bools) -> Mask | None:
    """The mask (H, W) of what a first look found. small: (h, w, 3), the copy; inside: (h, w)."""
    box = _box(inside, MARGIN)
    part = slice(box[1], box[3]), slice(box[0], box[2])
    coarse, kept = np.zeros(inside.shape, np.float32), np.zeros(inside.shape, bool)
    odds = _odds(_look(rgb, box, inside.shape, state.known)[0], LOOK_SURE)
    coarse[part], kept[part] = expit(odds), _choose(odds, inside[part].astype(np.float32))
    return fit_edges(coarse, kept, small, rgb) if kept.sum() >= SIZES[0] * state.area else None
