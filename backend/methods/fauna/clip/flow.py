"""Where the animal's skin goes in the picture from a frame to the next: optical flow, in the crop that looks at the animal.

Enters: two frames with their masks, the first one's crop. Leaves: a field of whole numbers, small enough to be kept, and what it says at
places in the crop. Flow is read from the picture itself and errs by a third of a pixel in a step: what joints are read at errs by ten times
as much, so that the steps of legs, and which of two legs lies in front, are better told by it. Half widths of the crop, y down.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.media.crop import LEVEL, CropCamera, warp
from backend.methods.fauna.clip.packed import Packed
from backend.observe.flow import optical_flow, trust
from backend.types import ByteArray, Image, Mask

SIZE = 256
"""Pixels a side of the crops that are compared."""
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


def grey(image: Image, mask: Mask, crop: CropCamera) -> tuple[ByteArray, Mask]:
    """The animal alone as the crop sees it, (SIZE, SIZE) uint8, and how much of each pixel it covers."""
    cover = np.asarray(warp(mask, crop, SIZE), np.float32)
    light = np.asarray(warp(image.rgb, crop, SIZE), np.float32) @ LUMA * 255
    return np.clip(light * cover + GREY * (1 - cover), 0, 255).astype(np.uint8), cover


def flow_between(first: tuple[Image, Mask], second: tuple[Image, Mask], crop: CropCamera) -> Tensor:
    """(SIDE, SIDE, 2) int16, `UNIT`: where what the first frame shows in each cell of its crop has gone in the second one, `UNKNOWN` where
    that can't be told."""
    (here, cover), (there, _) = grey(*first, crop), grey(*second, crop)
    ahead, back = optical_flow(here, there), optical_flow(there, here)
    known = trust(ahead, back) & (cover > LEVEL)
    at = ((np.arange(SIDE) + 0.5) * (SIZE / SIDE)).astype(int)
    field, known = ahead[at][:, at] * (2 / SIZE / UNIT), known[at][:, at]
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
