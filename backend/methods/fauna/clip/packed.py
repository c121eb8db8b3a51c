"""What is kept of each frame's picture, deflated: a silhouette takes a tenth of its pixels, and masks and flow would be most of what is
kept of a frame.

Enters: arrays of frames, all of one shape. Leaves: one at a time, when it is asked for, bit for bit.
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
KINDS = {torch.uint8: np.uint8, torch.int16: np.int16}


class Packed:
    """Arrays (t, s, s, ...) of whole numbers, indexed as a tensor is along its first axis: by a number for one frame's, else for some of
    them, packed still."""

    def __init__(self, pieces: Sequence[bytes], shape: tuple[int, ...], kind: torch.dtype) -> None:
        """pieces: each an array's rows, deflated; shape: of each, kind: `KINDS`."""
        self.pieces, self.shape, self.kind = tuple(pieces), shape, kind

    @classmethod
    def of(cls, arrays: Tensor) -> Packed:
        """arrays (t, s, s, ...) uint8 or int16. Raises ValueError for others."""
        if arrays.dtype not in KINDS or arrays.ndim < 3 or arrays.shape[1] != arrays.shape[2]:
            raise ValueError(f"packed are (t, s, s, ...) uint8 or int16, not {tuple(arrays.shape)} {arrays.dtype}")
        return cls([zlib.compress(array.numpy().tobytes(), LEVEL) for array in arrays], tuple(arrays.shape[1:]), arrays.dtype)

    def __len__(self) -> int:
        return len(self.pieces)

    @overload
    def __getitem__(self, some: int) -> Tensor: ...
    @overload
    def __getitem__(self, some: slice | Tensor | list[int]) -> Packed: ...

    def __getitem__(self, some: int | slice | Tensor | list[int]) -> Tensor | Packed:
        if isinstance(some, int):
            numbers = np.frombuffer(bytearray(zlib.decompress(self.pieces[some])), KINDS[self.kind])
            return torch.from_numpy(numbers).view(self.shape)
        chosen = np.arange(len(self))[some.numpy() if isinstance(some, Tensor) else some]
        return Packed([self.pieces[k] for k in chosen], self.shape, self.kind)

    def unpacked(self) -> Tensor:
        """(t, s, s, ...)."""
        return torch.stack([self[k] for k in range(len(self))])

    @classmethod
    def join(cls, parts: Sequence[Packed]) -> Packed:
        """One after another; all of one shape."""
        return cls([piece for part in parts for piece in part.pieces], parts[0].shape, parts[0].kind)
