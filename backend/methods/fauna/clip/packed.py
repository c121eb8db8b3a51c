"""A clip's masks, deflated: a silhouette takes a tenth of its pixels, and they would be most of what is kept of a frame.

Enters: masks of frames. Leaves: one at a time, when it is asked for, bit for bit.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

LEVEL = 1
"""Of deflation: a tenth of a millisecond a mask."""


class Packed:
    """Masks (t, s, s) uint8, indexed as a tensor is along its first axis: by a number for one mask, else for some of them, packed still."""

    def __init__(self, pieces: Sequence[bytes], side: int) -> None:
        """pieces: each a mask's rows, deflated; side: s."""
        self.pieces, self.side = tuple(pieces), side

    @classmethod
    def of(cls, masks: Tensor) -> Packed:
        """masks (t, s, s) uint8. Raises ValueError for others."""
        if masks.dtype != torch.uint8 or masks.ndim != 3 or masks.shape[1] != masks.shape[2]:
            raise ValueError(f"masks must be (t, s, s) uint8, not {tuple(masks.shape)} {masks.dtype}")
        return cls([zlib.compress(mask.numpy().tobytes(), LEVEL) for mask in masks], masks.shape[1])

    def __len__(self) -> int:
        return len(self.pieces)

    @overload
    def __getitem__(self, some: int) -> Tensor: ...
    @overload
    def __getitem__(self, some: slice | Tensor | list[int]) -> Packed: ...

    def __getitem__(self, some: int | slice | Tensor | list[int]) -> Tensor | Packed:
        if isinstance(some, int):
            pixels = np.frombuffer(bytearray(zlib.decompress(self.pieces[some])), np.uint8)
            return torch.from_numpy(pixels).view(self.side, self.side)
        chosen = np.arange(len(self))[some.numpy() if isinstance(some, Tensor) else some]
        return Packed([self.pieces[k] for k in chosen], self.side)

    def unpacked(self) -> Tensor:
        """(t, s, s)."""
        return torch.stack([self[k] for k in range(len(self))])
