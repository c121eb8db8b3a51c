"""One animal followed from frame to frame: what was known of the last frame and the next frame in, its mask out.

The last mask is carried along by optical flow; both networks of `mask.py` look once at the part of the frame in which the animal should
be; and the colours that it and what is around it had so far vote with them. All three are odds that add up, so that no single one loses a
leg or wins an island in one frame. What is an animal but not this one is carried along too, and never becomes this one where they cross.
(With the salient-object network on every third frame only, the rest carried by flow, masks shimmer five times as much.)

The edges are fitted to the frame's own pixels (`mask.fit_edges`). Masks of the state are uint8, as they are stored: a job that goes on
later goes on from the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.special import expit

from backend.observe import flow
from backend.observe.colours import Colours
from backend.observe.crossing import choose, drop_scraps, find_rivals, reachable, regain, tell_by_motion
from backend.observe.looks import Bools, around, box_of, extent, look, look_beside, make_copy, odds_of, part_of
from backend.observe.mask import LEVEL, Boxed, fit_edges
from backend.observe.refine import shrink
from backend.types import ByteArray, FloatArray, Mask

LOOK_SURE, SURE = 0.97, 0.9
"""The most that a look and the last mask are believed."""
CARRIED, DOUBTED, COLOURED = 0.7, 0.15, 0.35
"""Weight of the last mask's odds where the flow can be trusted, and where not; and of the colours'."""
VETO, BESIDE, REACH = 6.0, 3.5, 61
"""Odds against what was another animal, and against what comes up new within this square about one: who shows it can't be told yet."""
AGAINST = 0.8, 2.0
"""Weight, there, of colours and motion that speak for the other, where this animal was and where it wasn't."""
MOVED = 1.5
"""Odds that motion gives at most."""
HIDDEN = 0.9
"""Of the animal's usual area: where less is seen, something may hide the rest."""
GONE = 0.06
"""Of it: what is less counts as out of sight."""
FADE = 0.99
"""By which the usual size goes down a frame at most, while less of the animal is seen."""


@dataclass(frozen=True)
class Size:
    """How large the animal usually is, in the copy's pixels."""

    area: float = 0.0
    width: float = 0.0
    height: float = 0.0

    def meet(self, inside: Bools) -> Size:
        """The usual size after one frame more."""
        width, height = extent(inside)
        return Size(max(float(inside.sum()), FADE * self.area), max(width, FADE * self.width), max(height, FADE * self.height))


@dataclass(frozen=True)
class State:
    """What is known after a frame. grey: (h, w) of the copy; mask, others: (h, w) uint8, this animal and others; known: whether the
    decoder knows this kind of animal; seen: whether it is in sight; stranger: whether another was found where it was looked for."""

    grey: ByteArray
    mask: ByteArray
    others: ByteArray
    size: Size
    known: bool
    seen: bool
    stranger: bool = False
    colours: Colours = field(default_factory=Colours)


def start(rgb: ByteArray, mask: Mask, known: bool, before: State | None = None) -> State:
    """The state after a frame whose mask is given or was found. rgb: (H, W, 3); mask: (H, W); before: an earlier state of the animal."""
    small, grey = make_copy(rgb)
    nothing = np.zeros_like(grey)
    if before is None:
        before = State(grey, nothing, nothing, Size(), known, False)
    return _remember(replace(before, known=known), small, grey, mask, nothing)


def _remember(state: State, small: ByteArray, grey: ByteArray, mask: Mask, others: ByteArray) -> State:
    carried = np.rint(np.asarray(shrink(mask, grey.shape[1], grey.shape[0]), np.float32) * 255).astype(np.uint8)
    inside = carried > 127
    colours = state.colours.learn(small, inside, around(inside), others > 0) if inside.any() else state.colours
    return State(grey, carried, others, state.size.meet(inside), state.known, bool(inside.any()), False, colours)


def lose(state: State, grey: ByteArray, others: ByteArray, stranger: bool = False) -> State:
    """The state where the animal is out of sight."""
    return replace(state, grey=grey, mask=np.zeros_like(grey), others=others, seen=False, stranger=stranger)


def follow(state: State, rgb: ByteArray) -> tuple[Mask, State]:
    """The next frame -> the animal's mask (H, W), all 0 where it is out of sight, and the state after it. rgb: (H, W, 3)."""
    small, grey = make_copy(rgb)
    back, there = flow.optical_flow(grey, state.grey), flow.optical_flow(state.grey, grey)
    carried = np.asarray(flow.pull(state.mask, back), np.float32) / 255
    others = np.asarray(flow.pull(state.others, back)) > 127
    nothing = np.zeros(rgb.shape[:2], np.float32)
    if (carried > LEVEL).sum() < GONE * state.size.area:
        return nothing, lose(state, grey, _as_mask(others))
    box = box_of(carried > LEVEL, whole=(state.size.width, state.size.height))
    part = part_of(box)
    odds, animal = _weigh(state, rgb, small, (back, flow.trust(back, there)), carried, others, box)
    chosen = choose(odds, carried[part])
    if _partly_hidden(chosen, box, grey.shape, state.size.area):
        beside = look_beside(rgb, small, box, chosen, state.known)
        tell = state.colours.odds_against_others if others[part].any() else state.colours.odds
        regained = regain(beside > LEVEL, chosen, others[part], tell(small[part]), state.size.area)
        odds, chosen = np.where(regained, np.maximum(odds, odds_of(beside, SURE)), odds), chosen | regained
    rivals = find_rivals(animal > LEVEL, chosen, others[part], state.size.area)
    others[part] = drop_scraps((others[part] & (animal > LEVEL / 2)) | rivals, chosen, state.size.area)
    if chosen.sum() < GONE * state.size.area:
        return nothing, lose(state, grey, _as_mask(others))
    coarse, kept = np.zeros(grey.shape, np.float32), np.zeros(grey.shape, bool)
    coarse[part], kept[part] = expit(odds), chosen
    mask = fit_edges(coarse, kept, small, rgb)
    return mask, _remember(state, small, grey, mask, _as_mask(others & ~kept))


def _as_mask(inside: Bools) -> ByteArray:
    return inside.astype(np.uint8) * np.uint8(255)


def _weigh(
    state: State, rgb: ByteArray, small: ByteArray, moved: tuple[FloatArray, Bools], carried: Mask, others: Bools, box: Boxed
) -> tuple[FloatArray, Mask]:
    """Odds that a pixel of the box is the animal's, and how sure the decoder is that it is any animal's."""
    part = part_of(box)
    back, trusted = moved
    joined, animal = look(rgb, box, small.shape[:2], state.known)
    before, other = carried[part], others[part]
    odds = odds_of(joined, LOOK_SURE) + np.float32(COLOURED) * state.colours.odds(small[part])
    odds += np.where(trusted[part], np.float32(CARRIED), np.float32(DOUBTED)) * odds_of(before, SURE)
    odds[~reachable(before > LEVEL, max(state.size.width, state.size.height))] -= np.float32(VETO)
    if other.any():
        near = cv2.dilate(other.astype(np.uint8), np.ones((REACH, REACH), np.uint8)) > 0
        new = before <= LEVEL
        against = state.colours.odds_against_others(small[part]) + np.float32(MOVED) * tell_by_motion(back[part], ~new, other)
        odds += near * np.where(new, np.float32(AGAINST[1]), np.float32(AGAINST[0])) * np.minimum(against, 0)
        odds -= near * new * np.float32(BESIDE) + (other & new) * np.float32(VETO)
    return odds, animal


def _partly_hidden(chosen: Bools, box: Boxed, shape: tuple[int, ...], usual: float) -> bool:
    """Whether less of the animal than usual is seen, though it stands within the frame."""
    if not chosen.any() or chosen.sum() >= HIDDEN * usual:
        return False
    left, top, right, bottom = box_of(chosen, 0.0, 0)
    return left + box[0] > 0 and top + box[1] > 0 and right + box[0] < shape[1] and bottom + box[1] < shape[0]
