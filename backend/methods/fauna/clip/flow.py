"""Where the animal's skin goes in the picture from a frame to the next: optical flow, in the crop that looks at the animal.

Enters: two frames and their masks in the first one's crop. Leaves: a field of whole numbers, small enough to be kept, and what it says at
places in the crop. Flow is read from the picture itself and errs by a third of a pixel in a step: what joints are read at errs by ten times
as much, so that the steps of legs, and which of two legs lies in front, are better told by it. Half widths of the crop, y down.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.media.crop import LEVEL
from backend.methods.fauna.clip.packed import Packed
from backend.observe.flow import optical_flow, trust
from backend.types import ByteArray

SIDE = 96
"""Cells a side of what is kept."""
UNIT = 1 / 4096
"""Half widths of one step of the field's whole numbers."""
UNKNOWN = -32768
"""Where there is no animal, or flow that leads there and not back."""
GREY = 128.0
"""Behind the animal, in both pictures alike."""
FEWEST = 3
"""Cells whose median counts as known."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def unknown() -> Tensor:
    """(SIDE, SIDE, 2) int16: the field of a frame that no next one follows."""
    return torch.full((SIDE, SIDE, 2), UNKNOWN, dtype=torch.int16)


def grey(shown: Tensor, cover: Tensor) -> ByteArray:
    """(s, s) uint8 the animal alone, of a crop (s, s, 3) in [0, 1] and how much of each pixel it covers (s, s)."""
    light = shown.numpy() @ LUMA * 255
    return np.asarray(np.clip(light * cover.numpy() + GREY * (1 - cover.numpy()), 0, 255), np.uint8)


def flow_between(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """(SIDE, SIDE, 2) int16, `UNIT`: where what the first frame shows in each cell has gone in the second one, `UNKNOWN` where that can't
    be told. first, second: picture and cover, as for `grey`, both as the first one's crop sees them."""
    here, there = grey(*first), grey(*second)
    ahead, back = optical_flow(here, there), optical_flow(there, here)
    known = trust(ahead, back) & (first[1].numpy() > LEVEL)
    size = len(here)
    at = ((np.arange(SIDE) + 0.5) * (size / SIDE)).astype(int)
    field, known = ahead[at][:, at] * (2 / size / UNIT), known[at][:, at]
    whole = np.where(known[..., None], np.clip(np.round(field), UNKNOWN + 1, -UNKNOWN - 1), UNKNOWN)
    return torch.from_numpy(whole.astype(np.int16))


def cells() -> Tensor:
    """(SIDE, SIDE, 2) the cells' middles, x and y in [-1, 1]."""
    middle = (torch.arange(SIDE) + 0.5) / SIDE * 2 - 1
    return torch.stack(torch.meshgrid(middle, middle, indexing="xy"), -1)


def read_field(flow: Packed, number: int) -> tuple[Tensor, Tensor]:
    """A frame's known cells: their places (n, 2) and where they go, (n, 2)."""
    field = flow[number]
    known = field[..., 0] != UNKNOWN
    return cells()[known], field[known].float() * UNIT


def flow_at(flow: Packed, places: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Of all frames: the median of what the flow says within `reach` of places (t, n, 2) -> (t, n, 2), and whether it is known, (t, n)."""
    found, known = torch.zeros(places.shape), torch.zeros(places.shape[:2], dtype=torch.bool)
    for number, own in enumerate(places):
        at, step = read_field(flow, number)
        near = torch.cdist(own, at) < reach  # (n, cells)
        known[number] = near.sum(1) >= FEWEST
        for place in torch.nonzero(known[number]).flatten().tolist():
            found[number, place] = step[near[place]].median(0).values
    return found, known
